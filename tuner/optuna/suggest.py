"""What an objective needs: the schedule of its trial, and the steps at which it reports."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from optuna.trial import BaseTrial

from tuner.errors import InvalidValue
from tuner.optuna.trials import LABEL, SCHEDULE
from tuner.schedules import Schedule
from tuner.search.optuna.distributions import suggest_point
from tuner.search.space import SearchSpace
from tuner.training.evaluation_steps import evaluation_steps


@runtime_checkable
class HasSpace(Protocol):
    """A sampler that knows the space (`tuner.optuna.sampler.ScheduleSampler`)."""

    space: SearchSpace


def suggest_schedule(trial: BaseTrial, space: SearchSpace | None = None) -> Schedule:
    """The schedule of a trial.

    Its parameters have the names that they have in the study of a job: ``family``, ``peak_lr``, ``warmup``, ``floor``,
    and those of the family as in ``wsd.cooldown``. The schedule as JSON and its label become the trial's attributes
    ``schedule`` and ``label``.

    Args:
        trial: Of any study, with any sampler.
        space: Where to search; that of the study's `ScheduleSampler` when absent.

    Raises:
        InvalidValue: There is no ``space``, and the study has another sampler.

    Example:
        >>> import optuna
        >>> from tuner.optuna import ScheduleSampler, suggest_schedule
        >>> study = optuna.create_study(sampler=ScheduleSampler("sgd", total_steps=100))
        >>> suggest_schedule(study.ask()).lrs(100).shape
        (100,)
    """
    space = _space_of(trial) if space is None else space
    schedule = space.build(suggest_point(trial, space))
    trial.set_user_attr(SCHEDULE, schedule.to_json())
    trial.set_user_attr(LABEL, schedule.label)
    return schedule


def _space_of(trial: BaseTrial) -> SearchSpace:
    sampler = getattr(getattr(trial, "study", None), "sampler", None)
    if isinstance(sampler, HasSpace):
        return sampler.space
    raise InvalidValue(
        "space",
        value=None,
        allowed="given where the study's sampler is no ScheduleSampler",
        hint="suggest_schedule(trial, ScheduleSampler('adam', total_steps=1000).space)",
    )


def rungs(total_steps: int) -> tuple[int, ...]:
    """The steps after which a trial reports its loss: twenty, evenly spread, the last one at the end.

    A `ForecastPruner` decides at these, and Optuna's storage slows down with many more of them.

    Args:
        total_steps: Optimizer updates of the run.

    Raises:
        InvalidValue: ``total_steps`` is below 1.

    Example:
        >>> from tuner.optuna import rungs
        >>> rungs(1000)[:3], rungs(1000)[-1]
        ((50, 100, 150), 1000)
    """
    if total_steps < 1:
        raise InvalidValue("total_steps", value=total_steps, allowed="at least 1")
    return evaluation_steps(total_steps)
