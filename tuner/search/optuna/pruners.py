"""Optuna's pruners on the raw loss, as what stops the running trainings of a search.

They compare the loss so far with those of other runs there, whatever the rest of their schedules: a rate that is held
long looks bad until its decay. Pure: the study that a pruner sees is made in memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from tuner.errors import InvalidValue
from tuner.search.pruning.forecast import Curve
from tuner.search.settings import PrunerName

_STRETCHES: Final = 20
"""A pruner sees the first loss of each twentieth of a run, and counts these."""
_REDUCTION: Final = 3
"""Of successive halving and Hyperband: a third of the runs continue."""
_BEST_PERCENT: Final = 25.0


class RawPruning:
    """The decisions of one pruner on one run.

    Args:
        pruner: Any but `PrunerName.FORECAST`.
        others: The first runs of other trials that have ended, by the trial's number.
        trial: Number of the trial whose first run is decided on.
        seed: Of the search: Hyperband's brackets follow from it and from the numbers of the trials.
    """

    def __init__(self, pruner: PrunerName, *, others: Mapping[int, Curve], trial: int, seed: int) -> None:
        self._study = optuna.create_study(study_name=f"search {seed}", pruner=_pruner(pruner))
        self._reported: frozenset[int] = frozenset()
        self._stops = False
        # The numbers of a study's trials have no gaps: those of trials without a curve are taken by empty ones.
        for number in range(max([trial, *others]) + 1):
            opened = self._study.ask()
            if number == trial:
                self._trial = opened
            elif number in others:
                self._replay(opened, others[number])
            else:
                self._study.tell(opened, state=TrialState.FAIL)

    def stops(self, running: Curve) -> bool:
        """Whether the run ends here: it does once the pruner has decided so at any evaluation.

        Args:
            running: The run so far.
        """
        for stretch, loss in _by_stretch(running).items():
            if stretch not in self._reported:
                self._reported |= {stretch}
                self._trial.report(loss, stretch)
                self._stops |= self._trial.should_prune()
        return self._stops

    def _replay(self, trial: optuna.Trial, curve: Curve) -> None:
        """Report a run that has ended, as it was reported while it ran: successive halving remembers its rungs."""
        for stretch, loss in _by_stretch(curve).items():
            trial.report(loss, stretch)
            trial.should_prune()
        if curve.is_complete:
            self._study.tell(trial, curve.points[-1][1])
        else:
            self._study.tell(trial, state=TrialState.PRUNED)


def _by_stretch(curve: Curve) -> dict[int, float]:
    """The first finite loss at or after each twentieth of a run, by its number from 1."""
    found: dict[int, float] = {}
    for step, loss in curve.points:
        stretch = step * _STRETCHES // curve.total_steps
        if stretch > 0 and math.isfinite(loss):
            found.setdefault(stretch, loss)
    return found


def _pruner(name: PrunerName) -> BasePruner:
    match name:
        case PrunerName.MEDIAN:
            return MedianPruner()
        case PrunerName.PERCENTILE:
            return PercentilePruner(_BEST_PERCENT)
        case PrunerName.SHA:
            return SuccessiveHalvingPruner(min_resource=1, reduction_factor=_REDUCTION)
        case PrunerName.HYPERBAND:
            return HyperbandPruner(min_resource=1, max_resource=_STRETCHES, reduction_factor=_REDUCTION)
        case PrunerName.FORECAST:
            raise InvalidValue("pruner", value=name.value, allowed="a rule on the raw loss")
