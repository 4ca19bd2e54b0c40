"""When a search ends early: at a target loss, or after many trials without improvement. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tuner.search.decision.decisions import RunStatus, Stop, StudyState, TrialStatus, TrialView


def search_over(state: StudyState, *, target_loss: float | None, patience: int | None) -> Stop | None:
    """Whether the search should end here, by the results of its trials.

    Trials count by their first run, in the order of their numbers, up to the first that is still active: it may still
    be a new best. So whether the search is over depends on results alone, not on the order in which they arrived, and a
    search that is over stays so.

    Args:
        state: The study.
        target_loss: The search ends once a trial has reached this loss at the full horizon; ``None``: no
            target.
        patience: The search ends once so many trials in a row have ended without a new best at the full horizon;
            ``None``: no limit. Those before the first trial at the horizon do not count.

    Returns:
        Why the search is over; ``None`` while it is not.
    """
    if target_loss is not None:
        for trial in state.trials:
            loss = _first_loss(state, trial)
            if loss <= target_loss:
                target, reached = (f"{state.metric.value(one):.6g}" for one in (target_loss, loss))
                return Stop.search_over(f"the target {target} is reached: trial {trial.number} has {reached}")
    if patience is not None and (best := _best_without_improvement(state, patience=patience)) is not None:
        return Stop.search_over(
            f"{patience} trials in a row did not improve on the result at the full horizon of trial {best.number}"
        )
    return None


def _best_without_improvement(state: StudyState, *, patience: int) -> TrialView | None:
    """The best trial that ``patience`` later trials did not improve on; ``None`` when there is none."""
    best: TrialView | None = None
    best_loss, without = math.inf, 0
    for trial in _ended(state):
        loss = _first_loss(state, trial)
        if loss < best_loss:
            best, best_loss, without = trial, loss, 0
        elif best is not None:
            without += 1
            if without == patience:
                return best
    return None


def _ended(state: StudyState) -> Iterator[TrialView]:
    """The trials by number, up to the first that has not ended."""
    for trial in state.trials:
        if trial.status is TrialStatus.ACTIVE:
            return
        yield trial


def _first_loss(state: StudyState, trial: TrialView) -> float:
    """The loss of its first run at the full horizon; infinite where it has none."""
    runs = state.runs_of(trial.number)
    if not runs or runs[0].status is not RunStatus.FINISHED or runs[0].loss is None:
        return math.inf
    return runs[0].loss
