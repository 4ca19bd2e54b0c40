"""The cases of the articles (`examples/cases`, `docs/cases`): they run, and their pages say what was recorded."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from tests.integration.test_examples import EXAMPLES, working_in

CASES = EXAMPLES / "cases"
PAGES = EXAMPLES.parent / "docs" / "cases"
NAMES = {
    "step_decay": "step-decay.md",
    "transformer_warmup": "transformer-warmup.md",
    "logistic_regression": "logistic-regression.md",
}
RIVALS = {"transformer_warmup": "no warm-up"}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    with working_in(CASES, monkeypatch):
        yield importlib.import_module


def grids_of(module: ModuleType) -> list:
    return module.GRIDS if hasattr(module, "GRIDS") else [module.GRID]


@pytest.mark.parametrize(
    "name",
    [
        "step_decay",
        pytest.param("transformer_warmup", marks=pytest.mark.frameworks),  # trains for a minute
        "logistic_regression",
    ],
)
def test_a_case_trains_what_is_not_recorded_prints_its_figures_and_draws(name, load, monkeypatch, tmp_path, capsys):
    case, grid = load(name), load("grid")
    monkeypatch.setattr(grid, "CHOICE", range(100, 101))
    monkeypatch.setattr(grid, "COMPARED", range(2))
    monkeypatch.setattr(grid, "FOLDER", tmp_path)
    monkeypatch.setattr(grid.sys, "argv", [name])
    monkeypatch.setattr(type(grids_of(case)[0].workload), "default_steps", 20)
    small = [dataclasses.replace(one, peaks=one.peaks[:1], recorded=tmp_path, runs={}) for one in grids_of(case)]
    rival = RIVALS.get(name, "fixed rate")
    grid.show(small, rival=rival, job={})
    first = capsys.readouterr().out
    assert all(f"| {shape} |" in first for shape in small[0].shapes)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(grid, "train", None)  # what was recorded is not trained again
    grid.show([dataclasses.replace(one, runs={}) for one in small], rival=rival, job={})
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_a_case_has_the_figures_of_its_records(name, load):
    page = (PAGES / NAMES[name]).read_text()
    for line in load("grid").tables(grids_of(load(name)), rival=RIVALS.get(name, "fixed rate")):
        assert line in page


def test_a_record_is_what_training_gives(load):
    grid = load("logistic_regression").GRID
    for line in (CASES / "recorded" / "logistic_regression.jsonl").read_text().splitlines():
        (_, _, shape, peak, seed), values = json.loads(line)
        if (peak, seed) == (0.01, 100):
            again = load("grid").train(grid.workload, grid.schedule(shape, peak), options={}, seed=seed)
            assert again == pytest.approx(values, rel=1e-3)


def test_step_decay_beats_a_fixed_rate_in_accuracy(load):
    _, low, _ = load("step_decay").GRID.gain("step decay", "fixed rate")
    assert low > 0.0


def test_logistic_regression_gains_less_than_a_twentieth_of_its_loss_from_any_schedule(load):
    grid = load("logistic_regression").GRID
    fixed = grid.results("fixed rate", grid.best_peak("fixed rate")).mean()
    assert all(grid.gain(shape, "fixed rate")[2] < 0.05 * fixed for shape in ("step decay", "cosine"))


def test_both_rules_for_a_larger_batch_come_to_the_peak_that_a_search_finds(load):
    case = load("batch_size")
    page = (PAGES / "batch-size.md").read_text()
    assert all(line in page for line in case.tables())
    for optimizer in case.RULES:
        small, large = case.grids(optimizer)
        old, best = small.best_peak("cosine"), large.best_peak("cosine")
        assert case.scaled_peak(optimizer, old) == best
        _, low, _ = load("grid").paired(large.results("cosine", old), large.results("cosine", best))
        assert low > 0.0


def test_the_case_of_the_batch_size_trains_what_is_not_recorded_and_draws(load, monkeypatch, tmp_path):
    case, grid = load("batch_size"), load("grid")
    monkeypatch.setattr(grid, "CHOICE", range(100, 101))
    monkeypatch.setattr(grid, "COMPARED", range(2))
    made = case.grids
    small = {name: [dataclasses.replace(one, recorded=tmp_path, runs={}) for one in made(name)] for name in case.RULES}
    monkeypatch.setattr(case, "grids", small.get)
    for workload in (case.SmallBatch, case.LargeBatch):
        monkeypatch.setattr(workload, "default_steps", 20)
    assert sum("by the" in line for line in case.tables()) == 2
    case.draw().savefig(tmp_path / "batch_size.png")
    assert len(list(tmp_path.glob("*.jsonl"))) == 4


PAIRS = arrays(np.float64, st.tuples(st.just(2), st.integers(2, 12)), elements=st.integers(-100, 100).map(float))


@given(pair=PAIRS)
def test_the_interval_of_a_gain_is_students_of_the_paired_differences(pair):
    paired = _paired()
    high, low = pair
    if np.ptp(high - low) == 0.0:
        assert paired(high, low)[0] == pytest.approx((high - low).mean())
        return
    expected = stats.ttest_rel(high, low).confidence_interval()
    assert paired(high, low) == pytest.approx(((high - low).mean(), expected.low, expected.high))


def _paired() -> Callable[..., tuple[float, float, float]]:
    spec = importlib.util.spec_from_file_location("cases_grid", CASES / "grid.py")
    module = importlib.util.module_from_spec(spec)
    importlib.import_module("sys").modules["cases_grid"] = module
    spec.loader.exec_module(module)
    return module.paired
