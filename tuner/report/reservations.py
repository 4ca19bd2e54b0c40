"""What limits a recommendation: few seeds, peaks at the edge of what was tried, options that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tuner.report.comparisons.exploration import MIN_PEAKS, edge_of, peaks_tried, range_edge
from tuner.report.evidence import Evidence
from tuner.report.report import Candidate, Comparison, Rival, Verdict
from tuner.search.decision.decisions import RunStatus
from tuner.search.sampler.options import BATCH_SIZE
from tuner.search.settings import PrunerName

_MIN_WORSE: Final = 2
_SHARE_WORSE: Final = 0.75
"""Runs that end worse than they began, at least, and their share: a few may overfit."""
_NAMES: Final = {
    Rival.CONSTANT: "constant rates without warm-up",
    Rival.NO_WARMUP: "schedules without warm-up",
}

_NAMED: Final = 3
"""Of the runs that failed, so many are named."""


def reservations(evidence: Evidence, *, recommended: Candidate, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """What limits the recommendation and the comparisons, each in a sentence.

    Args:
        evidence: Of the study.
        recommended: The recommended candidate.
        comparisons: With all rivals.
    """
    peak = peak_sentence(evidence, recommended=recommended)
    rivals = [sentence for one in comparisons if (sentence := _rival_is_unexplored(evidence, comparison=one))]
    return (
        *_direction(evidence),
        *_failures(evidence),
        *_early_ends(evidence),
        *_raw_pruning(evidence),
        *_seeds(evidence, recommended=recommended),
        *([] if peak is None else [peak]),
        *_followed(recommended),
        *rivals,
        *_options(evidence, recommended=recommended, comparisons=comparisons),
    )


def _raw_pruning(evidence: Evidence) -> Iterator[str]:
    """That the best schedule may have been stopped by a rule on the raw loss."""
    state = evidence.result.state
    stopped = sum(run.status is RunStatus.STOPPED for run in state.runs)
    if stopped and state.settings.pruner is not PrunerName.FORECAST:
        yield (
            f"Pruner {state.settings.pruner} stopped {'1 run' if stopped == 1 else f'{stopped} runs'} by the loss in "
            "the middle of training, which says little of the end: a better schedule may be among them."
        )


def peak_sentence(evidence: Evidence, *, recommended: Candidate) -> str | None:
    """That the recommended peak lies at the edge of the searched range, or of what was tried; ``None`` if between."""
    peak, peaks = recommended.schedule.peak_lr, peaks_tried(evidence)
    space = evidence.result.state.settings.searched_space.peak_lr
    end = range_edge(evidence, recommended=recommended)
    if end is not None:
        return (
            f"The peak of the recommended schedule, {peak:.1e}, lies at the {end} end of the searched range "
            f"({space.low:.1e} to {space.high:.1e}): a better one may lie beyond, so search a wider range of peak_lr."
        )
    if len(peaks) == 1:
        return f"One peak rate alone was tried, {peak:.1e}: whether another one is better is not known."
    edge = edge_of(peak, peaks=peaks)
    if edge is None:
        return None
    return (
        f"The peak of the recommended schedule, {peak:.1e}, is the {edge} of the {len(peaks)} that were tried: a "
        "better one may lie beyond, so search with a larger budget."
    )


def _followed(recommended: Candidate) -> Iterator[str]:
    """That a schedule which follows the loss has other rates in every run."""
    if recommended.schedule.follows_loss:
        yield (
            "The recommended schedule follows the loss: each run has rates of its own, and those of one are drawn. Its "
            "patience counts evaluations, so evaluate as often as the runs of this job did."
        )


def _failures(evidence: Evidence) -> Iterator[str]:
    """Which runs failed, and why: their schedules have less evidence than the others, or none."""
    failures = evidence.result.failures
    if not failures:
        return
    named = "; ".join(
        f"trial {one.trial} on seed {one.seed} ({one.attempts}): {one.error.rstrip('.')}" for one in failures[:_NAMED]
    )
    count = "1 run failed and has no result" if len(failures) == 1 else f"{len(failures)} runs failed without a result"
    more = f"; and {len(failures) - _NAMED} more" if len(failures) > _NAMED else ""
    yield f"{count}: {named}{more}."


def _direction(evidence: Evidence) -> Iterator[str]:
    """That training made the metric worse in nearly all runs: its direction may be declared the wrong way round."""
    metric = evidence.result.metric
    curves = [curve.points for curve in evidence.result.complete_curves if len(curve.points) > 1]
    worse = sum(points[-1][1] > points[0][1] for points in curves)
    if worse < max(_MIN_WORSE, _SHARE_WORSE * len(curves)):
        return
    moved, side, direction = ("fell", "lower", "minimize") if metric.maximized else ("rose", "higher", "maximize")
    yield (
        f"The {metric.name} {moved} during {worse} of {len(curves)} runs. If {side} values are better, this report "
        f'recommends the worst: declare `metric = Metric(name=..., direction="{direction}")` in the workload, and '
        "submit it again. If not, training makes it worse at every schedule that was tried."
    )


def _early_ends(evidence: Evidence) -> Iterator[str]:
    """That trainings ended by a rule of their own before the horizon."""
    total = evidence.result.total_steps
    finished = [run for run in evidence.result.state.runs if run.status is RunStatus.FINISHED]
    ends = sorted(run.steps for run in finished if run.steps < total)
    if ends:
        where = f"{ends[0]:,}" if ends[0] == ends[-1] else f"{ends[0]:,} to {ends[-1]:,}"
        yield (
            f"{len(ends)} of {len(finished)} runs ended early by the training's own rule, at {where} of {total:,} "
            "updates: what they reported then counts as their result at the horizon."
        )


def _seeds(evidence: Evidence, *, recommended: Candidate) -> Iterator[str]:
    runs = sum(run.status is RunStatus.FINISHED for run in evidence.result.state.runs)
    if runs == 1:
        yield "One run reached the end, on one seed: nothing could be confirmed."
    elif not evidence.noise_is_measured:
        yield (
            "Every schedule was trained on one seed, so nothing could be confirmed: what another seed would change is "
            "not measured, but estimated from how the runs scatter around their model."
        )
    elif recommended.seeds == 1:
        yield "The recommended schedule was trained on one seed: its result is not confirmed on another."


def _rival_is_unexplored(evidence: Evidence, *, comparison: Comparison) -> str | None:
    """Why a better rival may exist, where it is said that the schedule helps."""
    name = _NAMES.get(comparison.rival)
    if name is None or comparison.trial is None or comparison.verdict is not Verdict.HELPS:
        return None
    peaks = peaks_tried(evidence, rival=comparison.rival)
    if len(peaks) < MIN_PEAKS:
        count = "1 peak rate" if len(peaks) == 1 else f"{len(peaks)} peak rates"
        return f"Of {name}, {count} alone {'was' if len(peaks) == 1 else 'were'} tried: a better one may exist."
    peak = evidence.view(comparison.trial).configuration.schedule.peak_lr
    edge = edge_of(peak, peaks=peaks)
    if edge is None:
        return None
    return f"The best peak of {name}, {peak:.1e}, is the {edge} that was tried: a better one may lie beyond."


def _options(evidence: Evidence, *, recommended: Candidate, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The reservations about options that were searched along with the schedule; none where none were searched."""
    named = {
        Rival.INCUMBENT: "the incumbent",
        Rival.CONSTANT: "the best constant rate",
        Rival.NO_WARMUP: "the best schedule without warm-up",
    }
    others = [
        named[one.rival]
        for one in comparisons
        if one.trial is not None
        and one.gain is not None
        and dict(evidence.view(one.trial).configuration.options) != recommended.options
    ]
    if others:
        yield (
            f"The recommended schedule was trained with other options than {' and '.join(others)}: a part of what lies "
            "between them is theirs."
        )
    if BATCH_SIZE in recommended.options:
        yield (
            "All trials had equally many updates: one with a larger batch saw more data, and each of its updates may "
            "have taken longer."
        )
