"""The OptunaHub package, loaded as the hub's own library loads it."""

from __future__ import annotations

import runpy
from functools import partial
from pathlib import Path

import pytest
import yaml

import tuner.optuna

pytestmark = pytest.mark.frameworks
REGISTRY = Path(__file__).resolve().parents[3] / "deploy" / "optunahub" / "package"
PACKAGE = "samplers/learning_rate_schedule"


@pytest.fixture
def hub():
    return pytest.importorskip("optunahub")


def test_the_hub_loads_the_sampler(hub):
    module = hub.load_local_module(package=PACKAGE, registry_root=str(REGISTRY))
    assert module.ScheduleSampler is tuner.optuna.ScheduleSampler
    assert sorted(module.__all__) == sorted(tuner.optuna.__all__)


def test_its_example_finds_a_schedule(hub, monkeypatch, capsys):
    monkeypatch.setattr(hub, "load_module", partial(hub.load_local_module, registry_root=str(REGISTRY)))
    ran = runpy.run_path(str(REGISTRY / PACKAGE / "example.py"))
    study = ran["study"]
    assert len(study.trials) == 15
    assert study.best_value < 0.9 * study.trials[0].value
    assert study.best_trial.user_attrs["label"] in capsys.readouterr().out


def test_its_readme_has_the_front_matter_and_the_sections_that_the_hub_wants():
    _, front, text = (REGISTRY / PACKAGE / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert set(fields) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert "sampler" in fields["tags"]
    sections = [line for line in text.splitlines() if line.startswith("## ")]
    assert sections == ["## Abstract", "## Class or Function Names", "## Installation", "## Example", "## Others"]
    assert all(f"`{name}(" in text for name in tuner.optuna.__all__)
