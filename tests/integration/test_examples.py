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
from tuner.training.registry import load_provider

EXAMPLES = Path(__file__).parents[2] / "examples"
SEARCH = {"trials": 2, "rungs": 1, "cohort": 2, "finalists": 1, "confirm_seeds": 2}


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


def tuned(provider: str, *, total_steps: int):
    (workload,) = load_provider(provider).values()
    report = tuner.tune(workload, total_steps=total_steps, search=SEARCH, device="cpu")
    assert report.workload == workload.name
    assert len(report.trials) == 2
    assert all(loss.loss is not None for candidate in report.candidates for loss in candidate.losses)
    return report


@pytest.mark.filterwarnings("ignore")  # of the libraries that the examples use
@pytest.mark.parametrize(
    ("example", "workload", "needs"),
    [
        ("nanogpt_loop", "NanoGpt", None),
        ("hf_trainer", "HfLlama", "accelerate"),
        ("accelerate_loop", "AcceleratedDigits", "accelerate"),
        ("lightning_module", "LightningDigits", "lightning"),
    ],
)
def test_an_example_is_tuned_end_to_end(example, workload, needs, monkeypatch):
    if needs is not None and find_spec(needs) is None:
        pytest.skip(f"NOT TESTED HERE: {needs} is not installed; `make examples` installs it and runs this")
    with warnings.catch_warnings(), working_in(EXAMPLES / example, monkeypatch):
        warnings.simplefilter("ignore")
        tuned(f"tuning:{workload}", total_steps=10)


def test_the_command_is_tuned_end_to_end_and_learns_something(monkeypatch):
    with working_in(EXAMPLES / "any_command", monkeypatch):
        report = tuned("bigram.toml", total_steps=100)
    assert report.best.median < 3.3  # nats per character; guessing evenly is 4.6


@pytest.mark.parametrize("example", ["nanogpt_loop", "hf_trainer", "lightning_module"])
def test_a_script_is_made_tunable_by_changing_at_most_ten_lines(example):
    before, after = ((EXAMPLES / example / name).read_text().splitlines() for name in ("train_before.py", "train.py"))
    changes = [line for line in difflib.ndiff(before, after) if line[:2] in ("+ ", "- ")]
    assert 0 < len(changes) <= 10, changes
