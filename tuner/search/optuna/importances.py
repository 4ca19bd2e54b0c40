"""Parameter importances by Optuna's PED-ANOVA, from the first runs of the trials.

PED-ANOVA uses the rank of the loss alone: it compares the best third of the trials with all of them. So a diverged
trial, which has no loss, takes part as one that is not among the best.

Source: S. Watanabe, A. Bansal, F. Hutter, PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
Subspaces, IJCAI 2023 (arXiv 2304.10255), as Optuna implements it.
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, create_trial

from tuner.search.configuration import Configuration, option_parameters, values_of
from tuner.search.optuna.distributions import distribution_of
from tuner.search.settings import SearchSettings
from tuner.search.space import Choice, Parameter, Value

optuna.logging.set_verbosity(optuna.logging.WARNING)  # our own events report studies and trials

MIN_TRIALS: Final = 15
"""Fewest trials for the parameters common to all families: a third is five, the minimum recommended for PED-ANOVA."""
MIN_FAMILY_TRIALS: Final = 8
"""Fewest trials of one family for that family's own parameters."""
MAX_TRIALS: Final = 1_000
"""Most trials that take part, evenly spread over the study: evaluating them takes seconds."""
_BEST_SHARE: Final = 1 / 3
_SHUFFLES: Final = 99
_SIGNIFICANCE: Final = 0.05
_WORST: Final = sys.float_info.max

Row = tuple[Mapping[str, Value], float | None]
"""A trial's parameters and its loss; ``None`` when it diverged."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """The importance of one parameter."""

    name: str
    share: float
    """Of the total importance of the parameters evaluated together, in [0, 1]."""
    above_chance: bool
    """Whether the importance is significant: at most 5 of 100 permutations of the losses reach it."""


@dataclass(frozen=True, kw_only=True)
class Importances:
    """The parameter importances of a study."""

    trials: int
    """Number with a result, within the space; at most `MAX_TRIALS`."""
    diverged: int
    """How many of them diverged; each counts as worse than all losses."""
    common: tuple[Importance, ...]
    """``family``, ``peak_lr`` and the searched options (``option.NAME``), the most important first; empty below
    `MIN_TRIALS`."""
    families: Mapping[str, tuple[Importance, ...]] = field(default_factory=dict)
    """By family with at least `MIN_FAMILY_TRIALS` trials: the peak and its further parameters, among its trials."""


def parameter_importances(
    trials: Sequence[tuple[Configuration, float | None]], *, settings: SearchSettings
) -> Importances | None:
    """Evaluate the parameter importances of a study.

    Args:
        trials: Configurations, each with its loss at the horizon (of a stopped run its forecast); ``None`` where it
            diverged.
        settings: Of the search. Configurations outside its space are left out.

    Returns:
        The importances; ``None`` when no trial has a result.
    """
    space = settings.searched_space
    if not trials:
        return None
    rows = [(values, loss) for one, loss in trials if (values := values_of(one, settings=settings)) is not None]
    # The stride is rounded up, so that no more than the maximum remain; without rows it would be 0.
    rows = rows[:: -(-len(rows) // MAX_TRIALS) or 1]
    by_family: defaultdict[str, list[Row]] = defaultdict(list)
    for values, loss in rows:
        by_family[str(values["family"])].append((values, loss))
    shared: dict[str, Parameter] = {
        "family": Choice(values=space.keys),
        "peak_lr": space.peak_lr,
        **option_parameters(settings),
    }
    return Importances(
        trials=len(rows),
        diverged=sum(loss is None for _, loss in rows),
        common=_evaluate(rows, parameters=shared) if len(rows) >= MIN_TRIALS else (),
        families={
            family: found
            for family, own in sorted(by_family.items())
            if len(own) >= MIN_FAMILY_TRIALS and (found := _evaluate(own, parameters=space.parameters(family)))
        },
    )


def _evaluate(rows: Sequence[Row], *, parameters: Mapping[str, Parameter]) -> tuple[Importance, ...]:
    """The parameters that vary, the most important first; empty when none has any importance."""
    distributions = {name: distribution_of(parameter) for name, parameter in parameters.items()}
    varying = sorted(name for name in distributions if len({values[name] for values, _ in rows}) > 1)
    if not varying:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)  # of few trials; significance is measured below
        study = optuna.create_study(direction="minimize")
        for values, loss in rows:
            params = {name: values[name] for name in varying}
            varied = {name: distributions[name] for name in varying}
            value = _WORST if loss is None else loss
            study.add_trial(create_trial(params=params, distributions=varied, value=value))
        # Optuna leaves out trials that are not finite; to ranks, the largest float is as good as infinity.
        losses = np.array([_WORST if loss is None else loss for _, loss in rows])
        found = _divergences(study, losses=losses, names=varying)
        rng = np.random.default_rng(0)
        permuted = [_divergences(study, losses=rng.permutation(losses), names=varying) for _ in range(_SHUFFLES)]
    total = sum(found.values())
    if not total > 0.0:
        return ()
    importances = [
        Importance(
            name=name,
            share=found[name] / total,
            # The actual order counts as one permutation, so that p is never 0.
            above_chance=(1 + sum(other[name] >= found[name] for other in permuted)) / (1 + _SHUFFLES) <= _SIGNIFICANCE,
        )
        for name in varying
    ]
    return tuple(sorted(importances, key=lambda importance: (-importance.share, importance.name)))


def _divergences(study: optuna.Study, *, losses: NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator  # loads scikit-learn where that is installed

    def loss_of(trial: FrozenTrial) -> float:
        return float(losses[trial.number])

    evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
    return evaluator.evaluate(study, params=list(names), target=loss_of)
