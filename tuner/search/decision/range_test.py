"""The part of the plan before the search: the runs of an LR range test, and the bound that they give. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import (
    RANGE_TEST_TRIAL,
    CompleteTrial,
    Decision,
    Finish,
    GiveUp,
    NewTrial,
    Prune,
    RangeTestView,
    Replicate,
    Role,
    RunStatus,
    RunView,
    StudyState,
    TrialStatus,
)
from tuner.search.decision.seeds import run_seed
from tuner.search.range_test.result import RangeTest
from tuner.search.range_test.settings import RangeTestSettings
from tuner.search.settings import SearchSettings

_LEAST_WIDTH: Final = 3.0
"""Ratio of the ends of a range of peaks down to which the range test may narrow it."""


def next_of_range_test(state: StudyState, *, free: bool) -> tuple[Decision, ...] | None:
    """What the range test of a study needs next.

    Args:
        state: The study.
        free: Whether a run may be requested.

    Returns:
        Decisions; none while runs of it have to end first, or no device is free. ``None`` once it is over, and in a
        study without one: the search goes on.
    """
    settings, test = state.settings.range_test, state.range_test
    if settings is None:
        return None
    if test is not None and test.status is not TrialStatus.ACTIVE:
        return (_end(test),) if settings.alone else None
    if state.stop is not None and state.stop.at_once:
        return (GiveUp(reason=f"{state.stop.reason}, before the range test had ended"),) if settings.alone else None
    begun = () if test is None else test.runs
    if test_lacks_runs(state):
        return (_request(state, settings, place=len(begun)),) if free else ()
    if any(run.status is RunStatus.RUNNING for run in begun):
        return ()
    return (_close(test),) if test is not None else ()


def test_lacks_runs(state: StudyState) -> bool:
    """Whether runs of the range test are still to be requested."""
    settings, test = state.settings.range_test, state.range_test
    if settings is None:
        return False
    return test is None or (
        test.status is TrialStatus.ACTIVE and len(test.runs) < settings.seeds and not _all_failed(test.runs)
    )


def bounded_settings(settings: SearchSettings, *, test: RangeTest | None) -> SearchSettings:
    """The settings of the search, with no peak above the last stable rate of its range test.

    The range is never widened. It stays as it is where the test found no unstable rate, or one so low that hardly a
    range would be left: `bound_text` says so.

    Args:
        settings: Of the job.
        test: The result; ``None`` without one.
    """
    high = None if test is None else test.readings.last_stable
    peaks = settings.searched_space.peak_lr
    if high is None or not peaks.low * _LEAST_WIDTH <= high < peaks.high:
        return settings
    high = max(float(f"{high:.3g}"), peaks.low)
    space = settings.searched_space
    return settings.model_copy(update={"space": space.with_peaks(low=peaks.low, high=high)})


def bound_text(settings: SearchSettings, *, test: RangeTest | None) -> str:
    """What a range test did to the range of peaks, as a sentence.

    Args:
        settings: Of the job, as they were before the test.
        test: Its result; ``None`` where all of its runs failed.
    """
    peaks = settings.searched_space.peak_lr
    stays = f"the range of peaks stays {peaks.low:.3g} to {peaks.high:.3g}"
    if test is None:
        return f"The range test has no result, as its runs failed: {stays}."
    if test.readings.last_stable is None:
        return f"The range test gives no upper bound: {stays}. {test.summary}"
    last = f"{test.readings.last_stable:.3g}"
    bounded = bounded_settings(settings, test=test).searched_space.peak_lr
    if bounded.high < peaks.high:
        return (
            f"The range test found rates above {last} unstable: peaks up to {bounded.high:.3g} were searched, "
            f"not up to {peaks.high:.3g}. It bounds the search; the runs of the search decide."
        )
    if test.readings.last_stable >= peaks.high:
        return f"The range test found no rate of the range unstable (the last stable one is {last}): {stays}."
    return f"The range test found rates above {last} unstable, which leaves hardly a range: {stays}."


def after_range_test(state: StudyState, decision: NewTrial | Replicate | CompleteTrial | Prune) -> StudyState:
    """The state after a decision about the range test, before any run ends."""
    test = state.range_test or RangeTestView(status=TrialStatus.ACTIVE, runs=())
    if isinstance(decision, CompleteTrial | Prune):
        ended = TrialStatus.COMPLETED if isinstance(decision, CompleteTrial) else TrialStatus.PRUNED
        return replace(state, range_test=replace(test, status=ended))
    steps = state.settings.total_steps if state.settings.range_test is None else state.settings.range_test.steps
    run = RunView(trial=RANGE_TEST_TRIAL, seed=decision.seed, status=RunStatus.RUNNING, steps=steps)
    return replace(state, range_test=replace(test, runs=(*test.runs, run)))


def _request(state: StudyState, settings: RangeTestSettings, *, place: int) -> NewTrial | Replicate:
    seed = run_seed(state.settings.seed, place=place)
    rise = f"the rate rises from {settings.low:.2g} to {settings.high:.2g}"
    reason = f"LR range test, seed {place + 1} of {settings.seeds}: {rise}"
    if place > 0:
        return Replicate(trial=RANGE_TEST_TRIAL, seed=seed, reason=reason)
    return NewTrial(
        number=RANGE_TEST_TRIAL,
        role=Role.RANGE_TEST,
        configuration=Configuration(schedule=settings.sweep, options=state.usual_options),
        seed=seed,
        reason=reason,
    )


def _all_failed(runs: tuple[RunView, ...]) -> bool:
    """Whether more seeds would fail, too."""
    return len(runs) > 0 and all(run.status is RunStatus.FAILED for run in runs)


def _close(test: RangeTestView) -> CompleteTrial | Prune:
    if test.result is None:
        return Prune(trial=RANGE_TEST_TRIAL, reason="none of its runs has a curve")
    return CompleteTrial(trial=RANGE_TEST_TRIAL, reason=test.result.summary)


def _end(test: RangeTestView) -> Finish | GiveUp:
    if test.result is None:
        return GiveUp(reason="no run of the range test has a curve; the errors of its runs say why")
    return Finish(reason=test.result.summary)
