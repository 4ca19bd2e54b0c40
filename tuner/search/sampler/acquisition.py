"""Which configuration to try next, given what all trials have shown. Pure but for the numbers that chance gives it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup
from tuner.search.configuration import Configuration
from tuner.search.decision.controls import CONTROL_WARMUP
from tuner.search.decision.decisions import Control, NewTrial, StudyState, TrialStatus, TrialView
from tuner.search.decision.rungs import rung_steps
from tuner.search.divergence import are_stable, p_stable
from tuner.search.sampler.candidates import Grid
from tuner.search.sampler.features import Features
from tuner.search.sampler.gp import Observation, Surrogate, kernel
from tuner.search.sampler.grid import PEAK_RATIO, grid
from tuner.search.sampler.options import SearchedOptions
from tuner.search.space import Value

Array = NDArray[np.float64]

_SAMPLED: Final = 256
_LEADERS: Final = 4
"""Best trials whose neighbors are looked at."""
_OPENING: Final = (0.5, 0.75, 0.25, 0.1)
"""Places in the log range of peaks where a search begins, ..."""
_LEAST_LOSSES: Final = 2
"""... while it has fewer losses to learn from than these."""
_OPENING_LOSSES: Final = 3
"""So many losses are of one good shape: which peaks are good is what matters most, and is learned first."""
_SHARING: Final = 0.3
"""How much better a beginning it is to hold the peak: other shapes can begin alike, and are cheaper then."""
_USUAL_WARMUP: Final = 0.03
_GOOD_SHAPE: Final = 0.01
"""How far from the best shape to begin with another may be to be as good a beginning."""
_FAR_BEHIND: Final = -6.0
"""From here on the improvement is taken from its tail: computed as it stands, it would come out as 0."""
_UNSAFE: Final = math.log(0.02)
"""What it costs a schedule, in the logarithm of its merit, that it is likely to diverge on another seed."""
_CAUTION: Final = 0.5
"""What the deviation of a belief is multiplied by: few runs are left to make good for a bold one."""


def configuration_for(decision: NewTrial, *, state: StudyState) -> Configuration:
    """The configuration of a new trial: with the schedule that it was given, else a proposal.

    It depends on the state, the seed of the search and the number of the trial alone: asked again after a crash, it
    is the same.

    Args:
        decision: The plan's.
        state: The study that it was decided on.
    """
    if decision.schedule is not None:
        return Configuration(schedule=decision.schedule, options=decision.options)
    rng = np.random.default_rng((state.settings.seed, decision.number))
    return propose(state, control=decision.control, rng=rng)


def propose(state: StudyState, *, control: Control | None, rng: np.random.Generator) -> Configuration:
    """The configuration to try next: the one whose expected improvement at the horizon is largest.

    Args:
        state: The study. Trials that run count as tried, and what is like them is left to them.
        control: The group of controls that it must belong to; ``None``: anything in the space.
        rng: The source of chance.

    Returns:
        One that no trial of the study has, as long as there is one.
    """
    history = _History(state)
    return _most_promising(_choices(history, control=control, rng=rng), history=history)


def most_promising(choices: Sequence[Configuration], *, state: StudyState) -> Configuration:
    """The one of some configurations that is the most worth trying next.

    Args:
        choices: At least one. Those that a trial of the study has are left out, as long as another is left.
        state: The study, as for `propose`.
    """
    return _most_promising(choices, history=_History(state))


def _most_promising(choices: Sequence[Configuration], *, history: _History) -> Configuration:
    # Where a space has no more, something is tried again: the number of trials is exact.
    new = [one for one in choices if one not in history.tried] or list(choices)
    found = len(history.losses)
    if found < _OPENING_LOSSES:
        new = _good_to_begin_with(new, history=history)
    merit = _opening_merit(new, history=history) if found < _LEAST_LOSSES else _merit(new, history=history)
    return new[int(np.argmax(merit))]


class _History:
    """What the trials of a study have shown."""

    def __init__(self, state: StudyState) -> None:
        settings = state.settings
        self.total_steps = settings.total_steps
        self.space = settings.searched_space
        self.options = SearchedOptions(settings.options, usual=state.usual_options, batch_exponent=state.batch_exponent)
        self.peaks = (self.space.peak_lr.low, self.space.peak_lr.high)
        steps = rung_steps(settings)
        trials = [(trial, one) for trial in state.trials if (one := trial.configuration) is not None]
        self.tried = {one for _, one in trials}
        self.losses = [
            Observation(configuration=one, steps=length, loss=result.loss)
            for trial, one in trials
            for length, result in zip(steps, trial.results, strict=False)
            if result.loss is not None
        ]
        self.diverged = [one.schedule.peak_lr for trial, one in trials if _diverged(trial)]
        self.lasted = [one.configuration.schedule.peak_lr for one in self.losses]
        self.pending = [one for trial, one in trials if trial.running and not trial.results]
        self.leaders = _leaders(trials)

    def features(self, configurations: Sequence[Configuration]) -> Features:
        return Features.of(configurations, total_steps=self.total_steps, options=self.options)


def _diverged(trial: TrialView) -> bool:
    return any(result.diverged for result in trial.results)


def _leaders(trials: Sequence[tuple[TrialView, Configuration]]) -> list[Configuration]:
    """Those that came furthest, and of these the best."""
    alive = [
        (-len(trial.results), trial.results[-1].loss, trial.number, one)
        for trial, one in trials
        if trial.results and trial.results[-1].loss is not None and trial.status is not TrialStatus.FAILED
    ]
    return [one for *_, one in sorted(alive, key=lambda row: row[:3])[:_LEADERS]]


def _choices(history: _History, *, control: Control | None, rng: np.random.Generator) -> list[Configuration]:
    """What may be tried: points of the grid at random and around the leaders, or all that a group of controls has."""
    space = history.space
    if control is not None:
        return list(_group(control, history=history))
    points = Grid(space, options=history.options)
    near = (neighbor for leader in history.leaders for neighbor in points.neighbors(leader))
    found = dict.fromkeys((*points.sample(_SAMPLED, rng=rng), *near))
    if len(history.losses) < _OPENING_LOSSES:
        good = _good_to_begin_with(list(found), history=history)
        found |= dict.fromkeys(one for peak in grid(space.peak_lr, ratio=PEAK_RATIO) for one in _with_peak(good, peak))
    if history.tried.issuperset(found):  # a small space, and all of its grid was tried
        found |= dict.fromkeys(points.between(_SAMPLED, rng=rng))
    return list(found)


def _with_peak(configurations: Iterable[Configuration], peak: Value) -> list[Configuration]:
    return [replace(one, schedule=one.schedule.model_copy(update={"peak_lr": float(peak)})) for one in configurations]


def _group(control: Control, *, history: _History) -> Iterator[Configuration]:
    """The schedules of a group of controls, whether the space has them or not.

    With the options of the best so far: what the answer is measured against should differ in its schedule.
    """
    family = Constant() if control is Control.CONSTANT else Cosine()
    warmup = Warmup(shape="linear", fraction=CONTROL_WARMUP)
    options = history.leaders[0].options if history.leaders else history.options.usual
    for peak in grid(history.space.peak_lr, ratio=PEAK_RATIO):
        yield Configuration(schedule=Schedule(peak_lr=float(peak), family=family, warmup=warmup), options=options)


def _good_to_begin_with(choices: Sequence[Configuration], *, history: _History) -> list[Configuration]:
    """Those of a shape that theory calls good, and that others can begin like: so that they cost less later.

    With the usual options, as far as any of the choices has them.
    """
    usual = [one for one in choices if one.options == history.options.usual] or choices
    rows = history.features(usual)
    hold = np.mean(rows.curve == 1.0, axis=1)
    unusual = np.square(rows.warmup - math.log(_USUAL_WARMUP))
    score = 4.0 * rows.bound + 0.05 * unusual - _SHARING * hold
    return [one for one, own in zip(usual, score, strict=True) if own <= score.min() + _GOOD_SHAPE]


def _opening_merit(choices: Sequence[Configuration], *, history: _History) -> Array:
    """High for a peak near one of a few places of the range, while there is too little to learn from."""
    rows = history.features([*choices, *_range_ends(history)])
    low, high = rows.peak[-2:]
    place = low + (high - low) * _OPENING[min(len(history.tried), len(_OPENING) - 1)]
    merit: Array = -np.abs(rows.peak[:-2] - place) + np.log(_chances(choices, history=history))
    return merit


def _range_ends(history: _History) -> tuple[Configuration, Configuration]:
    """A linear decay at both ends of the range of peaks, to measure other shapes' peaks by."""
    low, high = (
        Configuration(schedule=Schedule(peak_lr=peak, family=Linear()), options=history.options.usual)
        for peak in history.peaks
    )
    return low, high


def _merit(choices: Sequence[Configuration], *, history: _History) -> Array:
    """The logarithm of the expected improvement on the best so far.

    For what it costs, if it lasts, and as far as it is not left to a trial that runs.
    """
    surrogate = Surrogate(history.losses, total_steps=history.total_steps, peaks=history.peaks, options=history.options)
    safe = _safe(choices, history=history)
    lasted = [one.configuration for one in history.losses]
    rivals = {one for one, is_safe in zip(lasted, _safe(lasted, history=history), strict=True) if is_safe}
    belief = surrogate.belief(choices, rivals=rivals)
    deviation = _CAUTION * belief.deviation
    merit = np.log(deviation) + _log_improvement(-belief.gap / deviation)
    merit += np.log(_chances(choices, history=history)) + np.where(safe, 0.0, _UNSAFE)
    merit -= 0.5 * np.log(1.0 - _shared(choices, history=history))
    if history.pending:
        alike = kernel(history.features(choices), history.features(history.pending))
        merit += np.sum(np.log1p(-np.minimum(alike, 1.0 - 1e-9)), axis=1)
    result: Array = merit
    return result


def _log_improvement(ahead: Array) -> Array:
    """The logarithm of the expected positive part of a normal variable of deviation 1 with these means."""
    log_density = -0.5 * np.square(ahead) - 0.5 * math.log(2.0 * math.pi)
    far = ahead < _FAR_BEHIND
    near = np.where(far, 0.0, ahead)
    improvement = near * ndtr(near) + np.exp(-0.5 * np.square(near)) / math.sqrt(2.0 * math.pi)
    result: Array = np.where(far, log_density - 2.0 * np.log(np.maximum(-ahead, 1.0)), np.log(improvement))
    return result


def _shared(choices: Sequence[Configuration], *, history: _History) -> Array:
    """The share of each one's updates that the trials so far have trained already; below 1."""
    new, old = history.features(choices), history.features(list(history.tried))
    begin_alike = np.equal.outer(new.rate, old.rate) & np.equal.outer(new.warmup, old.warmup)
    begin_alike &= np.all(new.options[:, None, :] == old.options[None, :, :], axis=2)
    equal = np.cumprod(new.curve[:, None, :] == old.curve[None, :, :], axis=2).mean(axis=2)
    shares: Array = np.max(np.where(begin_alike, equal, 0.0), axis=1)
    return np.minimum(shares, 0.9)


def _safe(configurations: Sequence[Configuration], *, history: _History) -> NDArray[np.bool_]:
    """Whether they could be an answer: one that diverges on the next seed is none."""
    rates = [one.schedule.peak_lr for one in configurations]
    return are_stable(rates, lasted=history.lasted, diverged=history.diverged, peaks=history.peaks)


def _chances(choices: Sequence[Configuration], *, history: _History) -> Array:
    rates = [one.schedule.peak_lr for one in choices]
    return p_stable(rates, lasted=history.lasted, diverged=history.diverged, peaks=history.peaks)
