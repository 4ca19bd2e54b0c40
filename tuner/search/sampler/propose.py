"""Which configuration is tried next: the one that maximizes the expected improvement at the horizon, for its cost.

Pure: randomness comes from a generator that the caller passes.
"""

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

_SAMPLES: Final = 256
_LEADERS: Final = 4
"""Best trials whose neighbors are candidates."""
_INITIAL_PEAKS: Final = (0.5, 0.75, 0.25, 0.1)
"""Positions in the log range of peaks at which a search starts, ..."""
_MIN_LOSSES: Final = 2
"""... while it has fewer losses than these, too few to fit the GP."""
_INITIAL_SHAPE_LOSSES: Final = 3
"""So many losses are of one good shape: the peak matters most, and the search learns it first."""
_HOLD_BONUS: Final = 0.3
"""Preference for an initial shape that holds its peak: later schedules can share it as a prefix, which saves steps."""
_USUAL_WARMUP: Final = 0.03
_SCORE_TOLERANCE: Final = 0.01
"""Largest difference in score to the best initial shape at which another counts as equally good."""
_TAIL: Final = -6.0
"""Below, log EI comes from its asymptote: computed directly, it would underflow."""
_LOG_UNSTABLE: Final = math.log(0.02)
"""Added to the log EI of a configuration that is likely to diverge on another seed."""
_STD_FACTOR: Final = 0.5
"""Multiplies the posterior standard deviation in EI: a short search leaves few runs to recover from exploration."""


def configuration_for(decision: NewTrial, *, state: StudyState) -> Configuration:
    """The configuration of a new trial: that of the decision, otherwise a proposal.

    It is a function of the state, the seed of the search and the trial's number: repeated after a crash, it returns the
    same.

    Args:
        decision: Of the plan.
        state: The study that the plan decided on.
    """
    if decision.schedule is not None:
        return Configuration(schedule=decision.schedule, options=decision.options)
    rng = np.random.default_rng((state.settings.seed, decision.number))
    return propose(state, control=decision.control, rng=rng)


def propose(state: StudyState, *, control: Control | None, rng: np.random.Generator) -> Configuration:
    """Propose the configuration to try next: the candidate with the largest acquisition value.

    Args:
        state: The study. Running trials count as tried, and candidates that resemble one of them lose value.
        control: The group of controls to propose for; ``None``: the whole space.
        rng: Source of randomness.

    Returns:
        One that no trial of the study has, as long as there is one.
    """
    history = _History(state)
    return _propose_among(_candidates(history, control=control, rng=rng), history=history)


def propose_among(candidates: Sequence[Configuration], *, state: StudyState) -> Configuration:
    """Propose one of these configurations, as `propose` does.

    Args:
        candidates: At least one. Those that a trial of the study has are left out, as long as another is left.
        state: The study.
    """
    return _propose_among(candidates, history=_History(state))


def _propose_among(candidates: Sequence[Configuration], *, history: _History) -> Configuration:
    # In an exhausted space a configuration is tried again: the number of trials is exact.
    new = [one for one in candidates if one not in history.tried] or list(candidates)
    losses = len(history.losses)
    if losses < _INITIAL_SHAPE_LOSSES:
        new = _initial_shapes(new, history=history)
    acquisition = _initial_value if losses < _MIN_LOSSES else _log_ei_per_cost
    return new[int(np.argmax(acquisition(new, history=history)))]


class _History:
    """What the sampler reads of the trials of a study."""

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
        self.diverged = [one.schedule.peak_lr for trial, one in trials if _has_diverged(trial)]
        self.stable = [one.configuration.schedule.peak_lr for one in self.losses]
        self.pending = [one for trial, one in trials if trial.running and not trial.results]
        self.leaders = _leaders(trials)

    def features(self, configurations: Sequence[Configuration]) -> Features:
        return Features.of(configurations, total_steps=self.total_steps, options=self.options)


def _has_diverged(trial: TrialView) -> bool:
    return any(result.diverged for result in trial.results)


def _leaders(trials: Sequence[tuple[TrialView, Configuration]]) -> list[Configuration]:
    """The trials at the highest rung, by their loss there, then those below."""
    alive = [
        (-len(trial.results), trial.results[-1].loss, trial.number, one)
        for trial, one in trials
        if trial.results and trial.results[-1].loss is not None and trial.status is not TrialStatus.FAILED
    ]
    return [one for *_, one in sorted(alive, key=lambda row: row[:3])[:_LEADERS]]


def _candidates(history: _History, *, control: Control | None, rng: np.random.Generator) -> list[Configuration]:
    """Random points of the grid and neighbors of the leaders, or all schedules of a group of controls."""
    space = history.space
    if control is not None:
        return list(_controls(control, history=history))
    points = Grid(space, options=history.options)
    near = (neighbor for leader in history.leaders for neighbor in points.neighbors(leader))
    found = dict.fromkeys((*points.sample(_SAMPLES, rng=rng), *near))
    if len(history.losses) < _INITIAL_SHAPE_LOSSES:
        shapes = _initial_shapes(list(found), history=history)
        found |= dict.fromkeys(one for peak in grid(space.peak_lr, ratio=PEAK_RATIO) for one in _at_peak(shapes, peak))
    if history.tried.issuperset(found):  # a small space, whose grid is exhausted
        found |= dict.fromkeys(points.sample_off_grid(_SAMPLES, rng=rng))
    return list(found)


def _at_peak(configurations: Iterable[Configuration], peak: Value) -> list[Configuration]:
    return [replace(one, schedule=one.schedule.model_copy(update={"peak_lr": float(peak)})) for one in configurations]


def _controls(control: Control, *, history: _History) -> Iterator[Configuration]:
    """The schedules of a group of controls, also where the space does not contain them.

    They have the options of the best trial so far, so that the recommendation differs from them in its schedule.
    """
    family = Constant() if control is Control.CONSTANT else Cosine()
    warmup = Warmup(shape="linear", fraction=CONTROL_WARMUP)
    options = history.leaders[0].options if history.leaders else history.options.usual
    for peak in grid(history.space.peak_lr, ratio=PEAK_RATIO):
        yield Configuration(schedule=Schedule(peak_lr=float(peak), family=family, warmup=warmup), options=options)


def _initial_shapes(candidates: Sequence[Configuration], *, history: _History) -> list[Configuration]:
    """The candidates to start with: shapes with a low convex bound whose prefix later schedules can share.

    Only those with the usual options, where there are any.
    """
    usual = [one for one in candidates if one.options == history.options.usual] or candidates
    rows = history.features(usual)
    # The curve is relative to a peak of 1, and a held rate is exactly 1: no tolerance is needed.
    hold = np.mean(rows.curve == 1.0, axis=1)
    unusual = np.square(rows.warmup - math.log(_USUAL_WARMUP))
    score = 4.0 * rows.bound + 0.05 * unusual - _HOLD_BONUS * hold
    return [one for one, own in zip(usual, score, strict=True) if own <= score.min() + _SCORE_TOLERANCE]


def _initial_value(candidates: Sequence[Configuration], *, history: _History) -> Array:
    """``[n]``, acquisition value before the GP can be fitted: high near one of the initial peaks."""
    # A linear decay at both ends of the range is the scale on which peaks of other shapes are compared.
    ends = [
        Configuration(schedule=Schedule(peak_lr=peak, family=Linear()), options=history.options.usual)
        for peak in history.peaks
    ]
    rows = history.features([*candidates, *ends])
    low, high = rows.peak[-2:]
    target = low + (high - low) * _INITIAL_PEAKS[min(len(history.tried), len(_INITIAL_PEAKS) - 1)]
    value: Array = -np.abs(rows.peak[:-2] - target) + np.log(_p_stable(candidates, history=history))
    return value


def _log_ei_per_cost(candidates: Sequence[Configuration], *, history: _History) -> Array:
    """``[n]``, log expected improvement on the best stable configuration, for its cost and the risk of divergence."""
    surrogate = Surrogate(history.losses, total_steps=history.total_steps, peaks=history.peaks, options=history.options)
    observed = [one.configuration for one in history.losses]
    rivals = {one for one, stable in zip(observed, _are_stable(observed, history=history), strict=True) if stable}
    posterior = surrogate.posterior(candidates, rivals=rivals)
    std = _STD_FACTOR * posterior.std
    # In logarithms, since EI underflows far from the best, where candidates must still have an order.
    value = np.log(std) + _log_ei(-posterior.mean_diff / std)
    # A diverged run improves nothing, and a recommendation must not diverge on another seed.
    stable = _are_stable(candidates, history=history)
    value += np.log(_p_stable(candidates, history=history)) + np.where(stable, 0.0, _LOG_UNSTABLE)
    # Steps of a prefix that is trained already cost nothing; the square root keeps EI ahead of cost.
    value -= 0.5 * np.log(1.0 - _shared_fraction(candidates, history=history))
    # Running trials: the more a candidate correlates with one, the more of its information will come from there.
    if history.pending:
        correlation = kernel(history.features(candidates), history.features(history.pending))
        # Clipped: a candidate equal to a running trial has correlation 1, and log 0 is infinite.
        value += np.sum(np.log1p(-np.minimum(correlation, 1.0 - 1e-9)), axis=1)
    result: Array = value
    return result


def _log_ei(mean: Array) -> Array:
    """Log of the expected positive part of a normal variable with standard deviation 1 and these means."""
    log_density = -0.5 * np.square(mean) - 0.5 * math.log(2.0 * math.pi)
    tail = mean < _TAIL
    # np.where computes both branches for every entry: replaced values keep the unused one free of log 0.
    near = np.where(tail, 0.0, mean)
    ei = near * ndtr(near) + np.exp(-0.5 * np.square(near)) / math.sqrt(2.0 * math.pi)
    # Far below 0 the expectation tends to density / mean^2.
    result: Array = np.where(tail, log_density - 2.0 * np.log(np.maximum(-mean, 1.0)), np.log(ei))
    return result


def _shared_fraction(candidates: Sequence[Configuration], *, history: _History) -> Array:
    """``[n]``, fraction of each candidate's steps that earlier trials have trained already; below 1."""
    new, old = history.features(candidates), history.features(list(history.tried))
    # Runs can share a prefix only if peak, warm-up and all options are equal; then up to where the curves differ.
    same_start = np.equal.outer(new.rate, old.rate) & np.equal.outer(new.warmup, old.warmup)
    same_start &= np.all(new.options[:, None, :] == old.options[None, :, :], axis=2)
    # [n, m, 16]: the product is 0 from the first difference on, so its mean is the share of the equal start.
    equal = np.cumprod(new.curve[:, None, :] == old.curve[None, :, :], axis=2).mean(axis=2)
    fraction: Array = np.max(np.where(same_start, equal, 0.0), axis=1)
    # The caller takes log(1 - fraction), which is infinite at 1.
    return np.minimum(fraction, 0.9)


def _are_stable(configurations: Sequence[Configuration], *, history: _History) -> NDArray[np.bool_]:
    """``[n]``, whether a configuration could be recommended: not if it is likely to diverge on the next seed."""
    rates = [one.schedule.peak_lr for one in configurations]
    return are_stable(rates, stable=history.stable, diverged=history.diverged, peaks=history.peaks)


def _p_stable(candidates: Sequence[Configuration], *, history: _History) -> Array:
    rates = [one.schedule.peak_lr for one in candidates]
    return p_stable(rates, stable=history.stable, diverged=history.diverged, peaks=history.peaks)
