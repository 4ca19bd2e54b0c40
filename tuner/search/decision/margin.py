"""The gain in loss from which a change of schedule is worth it, from the curves of a study. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.search.decision.decisions import Role, RunStatus, StudyState
from tuner.search.decision.estimates import Estimates
from tuner.search.pruning.forecast import Curve
from tuner.search.worth import LossOverSteps


def loss_margin(state: StudyState, *, curves: Sequence[Curve]) -> float | None:
    """The loss that the incumbent would gain from `SearchSettings.worth` more steps.

    Args:
        state: The study.
        curves: Of its complete runs.

    Returns:
        In units of the loss; ``None`` where the curves cannot say, or the incumbent has no loss.
    """
    if not curves or not any(run.status is RunStatus.FINISHED for run in state.runs):
        return None
    estimates = Estimates(state)
    for trial in state.trials:
        if trial.role is Role.INCUMBENT and trial.number in estimates.trials:
            return LossOverSteps(curves, total_steps=state.settings.total_steps).margin(
                rival=trial.configuration,
                rival_loss=estimates.expected(trial.number).mean,
                worth=state.settings.worth,
            )
    return None
