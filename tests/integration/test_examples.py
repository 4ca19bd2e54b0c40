"""The examples: each is tuned end to end, by a search that is as small as searches get."""

from __future__ import annotations

import difflib
import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

import tuner
from tuner.training.checks.check import check
from tuner.training.checks.findings import Mark
from tuner.training.checks.recording import recorded_optimizers
from tuner.training.registry import load_provider

EXAMPLES = Path(__file__).parents[2] / "examples"
SEARCH = {"budget": 2, "trials": 2, "seeds": 1}


@contextmanager
def working_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the interpreter had been started there; what was imported from there is forgotten."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == folder:
                del sys.modules[name]
        importlib.invalidate_caches()


def skip_without(package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"NOT TESTED HERE: {package} is not installed; `make examples` installs it and runs this")


def tuned(provider: str, *, total_steps: int):
    (workload,) = load_provider(provider).values()
    report = tuner.tune(workload, total_steps=total_steps, search=SEARCH, device="cpu")
    assert report.workload == workload.name
    assert len(report.trials) == 2
    assert all(run.value is not None for candidate in report.candidates for run in candidate.values)
    return report


@pytest.mark.filterwarnings("ignore")  # of the libraries that the examples use
@pytest.mark.parametrize(
    ("example", "workload", "needs"),
    [
        ("nanogpt_loop", "NanoGpt", "torch"),
        ("hf_trainer", "HfLlama", "accelerate"),
        ("accelerate_loop", "AcceleratedDigits", "accelerate"),
        ("lightning_module", "LightningDigits", "lightning"),
        ("grad_scaler", "ScaledDigits", "torch"),
        ("two_optimizers", "MuonDigits", "torch"),
        pytest.param("finetuning", "MiniLm", "peft", marks=pytest.mark.frameworks),
        pytest.param("finetuning", "MiniLmLora", "peft", marks=pytest.mark.frameworks),
        pytest.param("trl_sft", "SmallSft", "trl", marks=pytest.mark.frameworks),
    ],
)
def test_an_example_is_tuned_end_to_end(example, workload, needs, monkeypatch):
    skip_without(needs)
    with warnings.catch_warnings(), working_in(EXAMPLES / example, monkeypatch):
        warnings.simplefilter("ignore")
        tuned(f"tuning:{workload}", total_steps=10)


def test_the_command_is_tuned_end_to_end_and_learns_something(monkeypatch):
    with working_in(EXAMPLES / "any_command", monkeypatch):
        report = tuned("bigram.toml", total_steps=100)
    assert report.recommended.expected < 3.3  # nats per character; guessing evenly is 4.6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("example", "length", "needs"),
    [
        ("nanogpt_loop", "max_iters", "torch"),
        ("hf_trainer", "max_steps", "accelerate"),
        ("lightning_module", "max_steps", "lightning"),
        ("grad_scaler", "max_steps", "torch"),
        ("two_optimizers", "max_steps", "torch"),
        pytest.param("finetuning", "max_steps", "peft", marks=pytest.mark.frameworks),
        pytest.param("trl_sft", "max_steps", "trl", marks=pytest.mark.frameworks),
    ],
)
def test_the_script_before_trains_and_knows_nothing_of_the_tuner(example, length, needs, monkeypatch, tmp_path):
    skip_without(needs)
    script = EXAMPLES / example / "train_before.py"
    assert "tuner" not in script.read_text()
    with warnings.catch_warnings(), working_in(EXAMPLES / example, monkeypatch):
        warnings.simplefilter("ignore")
        monkeypatch.chdir(tmp_path)  # what it writes goes where it is started
        before = importlib.import_module("train_before")
        monkeypatch.setattr(before, length, 4)
        with recorded_optimizers() as record:
            before.main()
    assert record.updates == 4


@pytest.mark.parametrize(("example", "workload"), [("grad_scaler", "ScaledDigits"), ("two_optimizers", "MuonDigits")])
def test_an_example_keeps_every_rule_of_the_check(example, workload, monkeypatch):
    with working_in(EXAMPLES / example, monkeypatch):
        (loaded,) = load_provider(f"tuning:{workload}").values()
        report = check(loaded, options={}, device="cpu")
    found = {finding.rule: finding for finding in report.findings}
    assert found["learning rates"].mark is Mark.OK, report.findings
    assert report.ok, report.findings


def _trains(folder: Path) -> bool:
    return (folder / "train_before.py").exists()


@pytest.mark.parametrize("example", sorted(folder.name for folder in EXAMPLES.iterdir() if _trains(folder)))
def test_a_script_is_made_tunable_by_changing_at_most_ten_lines(example):
    before, after = ((EXAMPLES / example / name).read_text().splitlines() for name in ("train_before.py", "train.py"))
    changes = [line for line in difflib.ndiff(before, after) if line[:2] in ("+ ", "- ")]
    assert 0 < len(changes) <= 10, changes
