"""States of small studies for tests of the plan. The horizon is 900 updates, the rungs 100, 300 and 900."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.search.decision.decisions import (
    ConfirmView,
    Control,
    Decision,
    Promote,
    Prune,
    RungResult,
    StudyState,
    TrialStatus,
    TrialView,
)
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space

SPACE = default_space(OptimizerKind.SGD)
ACTIVE, PRUNED, COMPLETED, FAILED = (
    TrialStatus.ACTIVE,
    TrialStatus.PRUNED,
    TrialStatus.COMPLETED,
    TrialStatus.FAILED,
)


def settings(**changes: object) -> SearchSettings:
    return SearchSettings.model_validate(
        {"total_steps": 900, "rungs": 3, "keep": 1 / 3, "trials": 6, "cohort": 6, "space": SPACE, **changes}
    )


def trial(
    number: int,
    *losses: float | None,
    status: TrialStatus = ACTIVE,
    running: bool = False,
    control: Control | None = None,
    cohort: int = 0,
) -> TrialView:
    return TrialView(
        number=number,
        cohort=cohort,
        control=control,
        status=status,
        schedule=None,
        results=tuple(RungResult(loss=loss) for loss in losses),
        running=running,
    )


def state(
    *trials: TrialView, confirmations: Sequence[ConfirmView] = (), committed: int = 0, **changes: object
) -> StudyState:
    return StudyState(
        settings=settings(**changes), trials=trials, confirmations=tuple(confirmations), updates_committed=committed
    )


def confirmed(number: int, seed: int, *, finished: bool = True) -> ConfirmView:
    return ConfirmView(trial=number, seed=seed, finished=finished, loss=0.1 if finished else None)


def promoted(decisions: Sequence[Decision]) -> list[int]:
    return [one.trial for one in decisions if isinstance(one, Promote)]


def pruned(decisions: Sequence[Decision]) -> list[int]:
    return [one.trial for one in decisions if isinstance(one, Prune)]


SIX = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
DONE = (
    trial(0, 0.3, 0.3, 0.3, status=COMPLETED, control=Control.DEFAULT),
    trial(1, 0.9, 0.9, 0.9, status=COMPLETED, control=Control.CONSTANT),
    trial(2, 0.1, 0.1, 0.1, status=COMPLETED),
    trial(3, 0.2, 0.2, 0.2, status=COMPLETED),
)
