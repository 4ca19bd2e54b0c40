"""The examples that are commands: each is tuned in real processes, all of which follow the schedule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tuner
from tests.integration.test_examples import EXAMPLES, SEARCH, skip_without
from tuner.training.commands.command import CommandWorkload
from tuner.training.registry import load_provider

RECORDER = Path(__file__).with_name("recorded_script.py")


@pytest.mark.parametrize(
    ("example", "needs", "processes"),
    [
        ("epoch_loop", "torch", 1),
        pytest.param("torchrun_ddp", "torch", 2, marks=pytest.mark.frameworks),
        pytest.param("lightning_ddp", "lightning", 2, marks=pytest.mark.frameworks),
        pytest.param("timm_loop", "timm", 1, marks=pytest.mark.frameworks),
        pytest.param("hydra_app", "hydra", 1, marks=pytest.mark.frameworks),
    ],
)
def test_an_example_is_tuned_end_to_end_and_every_process_uses_the_rates_of_the_schedule(
    example, needs, processes, monkeypatch, tmp_path
):
    skip_without(needs)
    folder = EXAMPLES / example
    (workload,) = load_provider(str(folder / "tuning.toml")).values()
    assert isinstance(workload, CommandWorkload)
    recorded = tuple(str(RECORDER) if argument == "train.py" else argument for argument in workload.command)
    monkeypatch.setattr(type(workload), "command", recorded)
    monkeypatch.setenv("RECORDED_SCRIPT", str(folder / "train.py"))
    monkeypatch.setenv("RECORDED_FOLDER", str(tmp_path))

    report = tuner.tune(workload, total_steps=25, search=SEARCH, device="cpu")

    assert all(run.value is not None for candidate in report.candidates for run in candidate.values)
    found = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
    assert len(found) == processes * SEARCH["budget"]
    for one in found:
        assert one["rates"] == pytest.approx(one["schedule"], rel=1e-12)
