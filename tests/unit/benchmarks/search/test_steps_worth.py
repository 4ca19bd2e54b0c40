"""The benchmark of factors on steps: what it takes for the truth, and the recorded LLaMA runs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.lab.files import load_table
from benchmarks.lab.power_law import PowerLaw
from benchmarks.search.steps.recorded import RecordedLengths, recorded, solved
from benchmarks.search.steps.worth import Pair, against_the_best, names, run, true_factor, worth_tables
from tuner.schedules import Cosine
from tuner.search.configuration import Configuration
from tuner.search.worth import Normal, StepsFactor

LENGTHS = {50: 3.0, 100: 2.0, 200: 1.5}


def lengths(losses: dict[int, float]) -> dict[int, Normal]:
    return {steps: Normal(mean=loss, std=0.0) for steps, loss in losses.items()}


@pytest.fixture(scope="module")
def llama() -> RecordedLengths:
    return recorded(load_table("llama124m_slimpajama"))


def rival(data: RecordedLengths) -> Configuration:
    """Cosine to 10 % at 1e-3."""
    (found,) = (
        one
        for one in data.curves
        if isinstance(one.schedule.family, Cosine) and one.schedule.floor == 0.1 and one.schedule.peak_lr == 1e-3
    )
    return found


@pytest.mark.parametrize("horizon", [15_000, 25_000, 35_000])
def test_from_curves_of_one_length_the_interval_covers_what_longer_llama_runs_needed(
    llama: RecordedLengths, horizon: int
) -> None:
    pair = against_the_best(llama, rival(llama), horizon=horizon)
    assert pair.found is not None
    assert pair.is_exact
    assert 1.2 < pair.low < 1.4
    assert pair.is_covered
    assert pair.found.factor == pytest.approx(pair.low, rel=0.1)
    assert pair.found.low > 1.05


@given(loss=st.floats(0.5, 4.0), other=st.floats(0.5, 4.0))
def test_a_lower_loss_has_no_lower_true_factor(loss: float, other: float) -> None:
    lower, higher = (true_factor(lengths(LENGTHS), loss=one, horizon=100) for one in sorted((loss, other)))
    assert lower[0] >= higher[0]
    assert lower[1] >= higher[1]


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (3.0, (0.5, 0.5)),
        (2.0, (1.0, 1.0)),
        (1.75, (math.sqrt(2), math.sqrt(2))),
        (1.4, (2.0, math.inf)),
        (3.1, (0, 0.5)),
    ],
)
def test_the_true_factor_lies_between_recorded_lengths_or_has_a_bound(
    loss: float, expected: tuple[float, float]
) -> None:
    assert true_factor(lengths(LENGTHS), loss=loss, horizon=100) == pytest.approx(expected)


def test_a_longer_run_that_ends_worse_reaches_no_lower_loss() -> None:
    assert true_factor(lengths({**LENGTHS, 200: 2.5}), loss=1.9, horizon=100) == (2.0, math.inf)


@pytest.mark.parametrize(
    ("low", "high", "covered"), [(0.9, 1.1, False), (0.9, 1.3, True), (1.3, None, True), (1.6, None, False)]
)
def test_an_interval_without_an_end_covers_all_above(low: float, high: float | None, covered: bool) -> None:
    found = StepsFactor(factor=1.0, low=low, high=high, basis="the curves of 3 runs")
    assert Pair(1.2, 1.5, found).is_covered is covered


def test_the_exact_workload_has_losses_at_lengths_that_no_study_sees() -> None:
    law = PowerLaw(name="small", capacity=1.5, source=0.6, dimensions=16, total_steps=100, peaks=(0.05, 0.5))
    data = solved(law)
    assert data.lengths == (50, 100)
    one = next(iter(data.curves))
    assert set(data.losses(one)) == {25, 50, 70, 100, 140, 200, 400}
    assert data.losses(one)[400].mean == pytest.approx(law.expected_loss(one.schedule, steps=400))


def test_a_line_counts_every_pair_of_its_studies() -> None:
    lines = run("noisy-regression-a", studies=1)
    assert {(line["runs"], line["shorter"]) for line in lines} == {(3, 0), (3, 3), (10, 0), (10, 3)}
    three = next(line for line in lines if (line["runs"], line["shorter"]) == (3, 0))
    assert three["pairs"] == 3 * 3 * 2  # lengths, rivals, others
    assert len(list(worth_tables(lines))) == 2 + len(lines)
    assert "noisy-regression-a" in names()
