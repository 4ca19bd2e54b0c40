"""A pruner that judges a trial by the forecast of its loss at the end, given the rest of its schedule."""

from __future__ import annotations

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.errors import InvalidValue
from tuner.optuna.trials import StudyReader, configuration_of
from tuner.search.pruning.forecast import LossForecaster
from tuner.search.pruning.stopping import Leader, check_forecast


class ForecastPruner(BasePruner):
    """Prunes a trial once it has a chance below 1 % to end better than the best one.

    A loss in the middle of a run says little of a schedule: a rate that is held long looks bad until its decay. So the
    loss at the end is forecast, from the trial's curve so far, the rest of its schedule, and the complete trials. It
    prunes from three complete trials, five reports and a fifth of the run on; trials without a schedule never.

    Args:
        total_steps: Optimizer updates of a run. Trials report with ``step`` = updates done, at `tuner.optuna.rungs`.

    Raises:
        InvalidValue: ``total_steps`` is below 1.

    Example:
        >>> import optuna
        >>> from tuner.optuna import ForecastPruner, ScheduleSampler
        >>> sampler = ScheduleSampler("adam", total_steps=1000)
        >>> study = optuna.create_study(sampler=sampler, pruner=ForecastPruner(1000))
    """

    def __init__(self, total_steps: int) -> None:
        if total_steps < 1:
            raise InvalidValue("total_steps", value=total_steps, allowed="at least 1")
        self._total_steps = total_steps

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end here."""
        configuration = configuration_of(trial)
        if configuration is None:
            return False
        reader = StudyReader.of(study.direction, total_steps=self._total_steps)
        others = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        best = min(reader.losses(others), default=None)
        if best is None:
            return False
        check = check_forecast(
            LossForecaster(reader.complete(others), total_steps=self._total_steps),
            reader.curve(trial, configuration),
            leader=Leader(mean=best, std=0.0),
            margin=0.0,
        )
        return check is not None and check.stop
