"""The exporter of a format, the run that an export is for, and the comments that head exported code."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.exports.analysis import NotExpressible
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Epochs, Schedule, Updates
from tuner.schedules.families.base import ScalableValue

UNIT: Final = "optimizer updates; not epochs, not micro-batches"
BATCH_SIZE_RULES: Final = (
    "Another batch size: a starting point for the peak is peak * sqrt(new / old) with Adam and its variants, and "
    "peak * new / old with SGD. Neither happens by itself: `tuner schedule scale`, then tune around it."
)
GROUP_RULE: Final = (
    "The rates are those of the parameter group with the largest rate, of several optimizers the first's; every other "
    "group, of any optimizer, keeps its ratio to it."
)
_WIDTH: Final = 97
_NAME: Final = re.compile(r"[A-Za-z0-9 ._()-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class TargetRun:
    """The training run that an export is for.

    Raises:
        InvalidValue: The optimizer's name holds characters that could end the comment it is written into.
    """

    total_steps: int
    """Optimizer updates of the run, at least 1."""
    batch_size: int | None = None
    """Samples of one update, over all devices and accumulated micro-batches, where known."""
    optimizer: str = ""
    """Name of the optimizer, where known; it is written into comments of the code."""
    fitted_from: int | None = None
    """Updates of the run that the schedule was tuned for, where it was compressed to this one; else ``None``."""
    found_with: Mapping[str, Any] = field(default_factory=dict)
    """Values of the workload options that were searched along with the schedule."""
    metric: Metric = DEFAULT_METRIC
    """What evaluations measure; a schedule that follows the loss follows it."""

    def __post_init__(self) -> None:
        if self.optimizer and not _NAME.fullmatch(self.optimizer):
            raise InvalidValue(
                "optimizer",
                value=self.optimizer,
                allowed="a name: letters, digits, blanks and any of . _ - ( ), at most 64",
            )


@dataclass(frozen=True, kw_only=True)
class Export:
    """An exported schedule."""

    chunks: Iterable[str]
    """The text in order; iterate over it once."""
    fallback_reason: str = ""
    """Why the library's native schedules cannot express the schedule, so that the export is a function; else empty."""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A format, and the function that exports a schedule to it."""

    name: str
    description: str
    """One line for a list of formats."""
    native: str
    """What the library's native schedules express exactly; everything else becomes a function."""
    requires: str
    """Packages that the export needs: ``"torch"``; empty when it needs none."""
    write: Callable[[Schedule, TargetRun], Export]
    media_type: str = "text/x-python"
    extension: str = "py"
    """Of a file name, without the dot."""


def code(
    schedule: Schedule, run: TargetRun, *, target: str, native: str | NotExpressible, function: Callable[[], str]
) -> Export:
    """Python code for a library: its native schedules where they express the schedule, else a function.

    Args:
        schedule: The schedule.
        run: The training run.
        target: Name of the library's schedules, for comments.
        native: Code with the native schedules, usage comments first; or why there is none.
        function: Returns code that computes the rates by a function, imports included; called only when needed.
    """
    if isinstance(native, NotExpressible):
        exactness = f"{target} cannot express this schedule in its own terms: {native.reason} So a function does."
        body, fallback = function(), native.reason
    else:
        exactness = f"Exactly this schedule, in the terms of {target}."
        body, fallback = native, ""
    return Export(chunks=[header(schedule, run), comment(exactness), body], fallback_reason=fallback)


def header(schedule: Schedule, run: TargetRun) -> str:
    """Label, digest and facts of an export, as comments."""
    return "".join(comment(line) for line in (schedule.label, f"Digest: {schedule.digest}", *facts(schedule, run)))


def facts(schedule: Schedule, run: TargetRun) -> tuple[str, ...]:
    """Sentences: unit, length, batch size, optimizer, and what to do when one of them changes."""
    batch = "not known here" if run.batch_size is None else f"{run.batch_size} samples of one update"
    return (
        f"Unit: {UNIT}. Total updates: {run.total_steps}.",
        f"Effective batch size: {batch}. Optimizer: {run.optimizer or 'not known here'}.",
        *([f"Found together with these options: {json.dumps(dict(run.found_with))}."] if run.found_with else []),
        length_note(schedule, run),
        BATCH_SIZE_RULES,
        GROUP_RULE,
    )


def length_note(schedule: Schedule, run: TargetRun) -> str:
    """How the warm-up and the other lengths depend on the total number of updates."""
    fitted = f"Fitted from {run.fitted_from} updates to {run.total_steps}. " if run.fitted_from else ""
    rules = [_warmup_rule(schedule, run)]
    if schedule.follows_loss:
        rules.append("patience and cooldown count evaluations and stay")
    elif _has_absolute_lengths(schedule.family):
        rules.append("lengths given in updates or epochs stay, all others scale; `tuner schedule compress` scales all")
    else:
        rules.append("all other lengths are fractions and scale with it")
    return f"{fitted}Another total: export again with it; {'; '.join(rules)}."


def comment(text: str) -> str:
    """The text as comment lines of at most 99 characters."""
    lines = textwrap.wrap(text, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _warmup_rule(schedule: Schedule, run: TargetRun) -> str:
    updates = schedule.warmup.length(run.total_steps)
    if not updates:
        return "it has no warm-up"
    if schedule.warmup.fraction is not None:
        return f"the warm-up is a fraction of the run, {updates} updates here, and scales with it"
    return f"the warm-up is {updates} updates and stays"


def _has_absolute_lengths(value: object) -> bool:
    match value:
        case Updates() | Epochs():
            return True
        case ScalableValue():
            return any(_has_absolute_lengths(getattr(value, name)) for name in type(value).model_fields)
        case tuple():
            return any(map(_has_absolute_lengths, value))
        case _:
            return False
