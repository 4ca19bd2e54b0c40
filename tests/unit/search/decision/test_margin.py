"""The gain from which a change is worth it: what more steps would gain the incumbent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.schedules import Cosine, Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.decision import margin
from tuner.search.decision.decisions import Role, RunStatus, RunView, StudyState, TrialStatus, TrialView
from tuner.search.decision.estimates import Estimates
from tuner.search.decision.margin import loss_margin
from tuner.search.pruning.forecast import Curve
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space

STEPS = 100
TODAY = Schedule(peak_lr=0.05, family=Cosine())
OTHER = Schedule(peak_lr=0.05, family=Linear())
SETTINGS = SearchSettings(
    total_steps=STEPS, worth=0.1, incumbent=TODAY, space=default_space(OptimizerKind.SGD), budget=5
)
CURVE = Curve(configuration=Configuration(schedule=TODAY), seed=1, total_steps=STEPS, points=((0, 2.0), (STEPS, 0.5)))


def study(*, role: Role | None = Role.INCUMBENT, status: RunStatus = RunStatus.FINISHED) -> StudyState:
    trials = tuple(
        TrialView(
            number=number,
            role=role if number == 0 else None,
            status=TrialStatus.COMPLETED,
            configuration=Configuration(schedule=schedule),
        )
        for number, schedule in enumerate((TODAY, OTHER))
    )
    runs = tuple(
        RunView(trial=number, seed=1, status=status, steps=STEPS, loss=loss if status is RunStatus.FINISHED else None)
        for number, loss in enumerate((0.5, 0.4))
    )
    return StudyState(settings=SETTINGS, trials=trials, runs=runs)


class Law:
    """Stands for the scaling law."""

    asked: dict[str, Any]

    def __init__(self, curves: Any, *, total_steps: int) -> None:
        Law.asked = {"curves": tuple(curves), "total_steps": total_steps}

    def margin(self, **arguments: Any) -> float:
        Law.asked |= arguments
        return 0.0125


@pytest.fixture(autouse=True)
def law(monkeypatch: pytest.MonkeyPatch) -> None:
    Law.asked = {}
    monkeypatch.setattr(margin, "LossOverSteps", Law)


def test_it_is_what_the_worth_in_steps_would_gain_the_incumbent() -> None:
    state = study()
    assert loss_margin(state, curves=[CURVE]) == 0.0125
    assert Law.asked == {
        "curves": (CURVE,),
        "total_steps": STEPS,
        "rival": Configuration(schedule=TODAY),
        "rival_loss": Estimates(state).expected(0).mean,
        "worth": 0.1,
    }


def test_it_is_unknown_without_curves_results_or_an_incumbent_that_has_a_loss() -> None:
    assert loss_margin(study(), curves=[]) is None
    assert loss_margin(study(role=None), curves=[CURVE]) is None
    assert loss_margin(study(status=RunStatus.RUNNING), curves=[CURVE]) is None
    only_the_other = replace(study(), runs=study().runs[1:])
    assert loss_margin(only_the_other, curves=[CURVE]) is None
    assert Law.asked == {}


def test_what_counts_is_worth_in_steps_or_else_a_tenth_of_the_spread_over_seeds() -> None:
    assert study().margin_at(0.02) == pytest.approx(0.002)
    assert replace(study(), margin=0.0125).margin_at(0.02) == 0.0125


@given(margin=st.none() | st.floats(0.0, 10.0), noise=st.floats(0.0, 10.0), least=st.floats(1e-6, 10.0))
def test_a_least_gain_that_the_job_names_is_never_undercut_and_never_lowers_the_margin(
    margin: float | None, noise: float, least: float
) -> None:
    without = replace(study(), margin=margin)
    settings = SETTINGS.model_copy(update={"least_gain": least})
    found = replace(without, settings=settings).margin_at(noise)
    assert found == max(without.margin_at(noise), least)


def test_the_estimates_have_the_least_gain_that_the_job_names() -> None:
    state = replace(study(), settings=SETTINGS.model_copy(update={"least_gain": 0.3}))
    assert Estimates(state).margin == 0.3
