"""The runs of a study, as the Gaussian process and the model of divergence read them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import RunStatus, StudyState
from tuner.search.decision.incumbent import incumbent_of
from tuner.search.divergence import are_stable, p_stable
from tuner.search.sampler.gp import Surrogate
from tuner.search.sampler.losses import Observation
from tuner.search.sampler.options import SearchedOptions
from tuner.search.training_key import TrainingKey, training_key


class Observations:
    """What a study's runs have shown.

    Args:
        state: The study.
    """

    def __init__(self, state: StudyState) -> None:
        self.settings = settings = state.settings
        self.space = settings.searched_space
        self.peaks = (self.space.peak_lr.low, self.space.peak_lr.high)
        self.options = SearchedOptions(settings.options, usual=state.usual_options, batch_exponent=state.batch_exponent)
        configurations = {trial.number: trial.configuration for trial in state.trials}
        self._incumbent = incumbent_of(state)
        self.usual_peak = self._incumbent.schedule.peak_lr
        self.tried = frozenset(configurations.values())
        self.losses = [
            Observation(configuration=configurations[run.trial], seed=run.seed, loss=run.loss, std=run.std)
            for run in state.runs
            if run.status in (RunStatus.FINISHED, RunStatus.STOPPED) and run.loss is not None
        ]
        """Of the runs that finished, and the forecasts of those that were stopped."""
        self.running = [(configurations[run.trial], run.seed) for run in state.runs if run.status is RunStatus.RUNNING]
        self._diverged = [
            configurations[run.trial].schedule.peak_lr for run in state.runs if run.status is RunStatus.DIVERGED
        ]
        self._stable = [one.configuration.schedule.peak_lr for one in self.losses]

    @cached_property
    def surrogate(self) -> Surrogate:
        """The GP over all losses.

        A running run counts with the loss that the others predict for it, so that no second device repeats what it will
        show.

        Raises:
            InvalidValue: There are no losses.
        """
        surrogate = self._fitted(self.losses)
        if not self.running:
            return surrogate
        posterior = surrogate.posterior([configuration for configuration, _ in self.running])
        expected = surrogate.scale.expand(posterior.mean[: len(self.running)])
        pending = [
            Observation(configuration=configuration, seed=seed, loss=float(loss))
            for (configuration, seed), loss in zip(self.running, expected, strict=True)
        ]
        return self._fitted([*self.losses, *pending])

    def named(self, configurations: Iterable[Configuration]) -> list[Configuration]:
        """The same trainings: one that is the incumbent's becomes the incumbent, so that it is known as it."""
        key = self._key(self._incumbent)
        return [self._incumbent if self._key(one) == key else one for one in configurations]

    def untried(self, configurations: Iterable[Configuration]) -> list[Configuration]:
        """The trainings that no trial of the study is, each once."""
        first: dict[TrainingKey, Configuration] = {}
        for one in configurations:
            first.setdefault(self._key(one), one)
        return [one for key, one in first.items() if key not in self._tried_keys]

    @cached_property
    def _tried_keys(self) -> frozenset[TrainingKey]:
        return frozenset(map(self._key, self.tried))

    def _key(self, configuration: Configuration) -> TrainingKey:
        return training_key(configuration, total_steps=self.settings.total_steps)

    def are_stable(self, configurations: list[Configuration]) -> NDArray[np.bool_]:
        """``[n]``, whether a configuration could be recommended: not if it is likely to diverge on the next seed."""
        rates = [one.schedule.peak_lr for one in configurations]
        return are_stable(rates, stable=self._stable, diverged=self._diverged, peaks=self.peaks)

    def p_stable(self, configurations: list[Configuration]) -> NDArray[np.float64]:
        """``[n]``, the probability that a run does not diverge."""
        rates = [one.schedule.peak_lr for one in configurations]
        return p_stable(rates, stable=self._stable, diverged=self._diverged, peaks=self.peaks)

    def _fitted(self, losses: list[Observation]) -> Surrogate:
        return Surrogate(
            losses,
            total_steps=self.settings.total_steps,
            peaks=self.peaks,
            options=self.options,
            one_seed=self.settings.seeds == 1,
        )
