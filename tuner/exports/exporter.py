"""What an export is made for, what it says of itself, and what a format is."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.exports.shape import NotExpressible
from tuner.schedules import Epochs, Schedule, Updates
from tuner.schedules.families.base import ScalableValue

UNIT: Final = "optimizer updates; not epochs, not micro-batches"
RULES: Final = (
    "Another batch size: a starting point for the peak is peak * sqrt(new / old) with Adam and its kin, and "
    "peak * new / old with SGD. Neither happens by itself: `tuner schedule scale`, then tune around it."
)
_WIDTH: Final = 97
_NAME: Final = re.compile(r"[A-Za-z0-9 ._()-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Run:
    """The training run that a schedule is written for.

    Raises:
        InvalidValue: The optimizer's name could be something else than a name.
    """

    total_steps: int
    """Its optimizer updates, at least 1."""
    batch_size: int | None = None
    """Samples of one update, over all devices and accumulated micro-batches, where known."""
    optimizer: str = ""
    """What trains, where known: a name, which stands in comments of the code."""
    fitted_from: int | None = None
    """Updates of the run that the schedule was found with, where it was fitted to this one."""
    found_with: Mapping[str, Any] = field(default_factory=dict)
    """Options of the training code that were searched along with the schedule, with the values that go with it."""

    def __post_init__(self) -> None:
        if self.optimizer and not _NAME.fullmatch(self.optimizer):
            raise InvalidValue(
                "optimizer",
                value=self.optimizer,
                allowed="a name: letters, digits, blanks and any of . _ - ( ), at most 64",
            )


@dataclass(frozen=True, kw_only=True)
class Written:
    """A schedule in a format."""

    chunks: Iterable[str]
    """Its text, piece by piece; to be read once."""
    fallback: str = ""
    """Why the target's own schedules could not say it, so that a function does; empty when they could."""


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A format that schedules are written in."""

    name: str
    description: str
    """A line for a list."""
    own: str
    """What the target's own schedules express exactly; everything else becomes a function in its terms."""
    needs: str
    """What reads it: ``"torch"``; empty for nothing."""
    media_type: str
    ending: str
    """Of a file, without the dot."""
    write: Callable[[Schedule, Run], Written]


def code(
    schedule: Schedule, run: Run, *, target: str, own: str | NotExpressible, function: Callable[[], str]
) -> Written:
    """Python for a target: in its own terms where it has them, else as a function.

    Args:
        schedule: The schedule.
        run: The run.
        target: What the code is for, as people call it.
        own: The code in the target's own terms, comments on its use first; or why there is none.
        function: Makes the same for a function, imports included.
    """
    if isinstance(own, NotExpressible):
        exactness = f"{target} cannot express this schedule in its own terms: {own.reason} So a function does."
        body, fallback = function(), own.reason
    else:
        exactness = f"Exactly this schedule, in the terms of {target}."
        body, fallback = own, ""
    return Written(chunks=[header(schedule, run), comment(exactness), body], fallback=fallback)


def header(schedule: Schedule, run: Run) -> str:
    """What a reader must know of the numbers, as comments."""
    return "".join(comment(line) for line in (schedule.label, f"Digest: {schedule.digest}", *facts(schedule, run)))


def facts(schedule: Schedule, run: Run) -> tuple[str, ...]:
    """Sentences: unit, length, batch size, optimizer, and what to do when one of them changes."""
    batch = "not known here" if run.batch_size is None else f"{run.batch_size} samples of one update"
    return (
        f"Unit: {UNIT}. Total updates: {run.total_steps}.",
        f"Effective batch size: {batch}. Optimizer: {run.optimizer or 'not known here'}.",
        *([f"Found together with these options: {json.dumps(dict(run.found_with))}."] if run.found_with else []),
        another_length(schedule, run),
        RULES,
    )


def another_length(schedule: Schedule, run: Run) -> str:
    """What becomes of the lengths when the total changes."""
    fitted = f"Fitted from {run.fitted_from} updates to {run.total_steps}. " if run.fitted_from else ""
    rules = [_warmup_rule(schedule, run)]
    if _holds_updates(schedule.family):
        rules.append("lengths given in updates or epochs stay, all others scale; `tuner schedule compress` scales all")
    else:
        rules.append("all other lengths are fractions and scale with it")
    return f"{fitted}Another total: export again with it; {'; '.join(rules)}."


def comment(text: str) -> str:
    """The text as lines of comments."""
    lines = textwrap.wrap(text, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _warmup_rule(schedule: Schedule, run: Run) -> str:
    updates = schedule.warmup.length(run.total_steps)
    if not updates:
        return "it has no warm-up"
    if schedule.warmup.fraction is not None:
        return f"the warm-up is a fraction of the run, {updates} updates here, and scales with it"
    return f"the warm-up is {updates} updates and stays"


def _holds_updates(value: object) -> bool:
    match value:
        case Updates() | Epochs():
            return True
        case ScalableValue():
            return any(_holds_updates(getattr(value, name)) for name in type(value).model_fields)
        case tuple():
            return any(map(_holds_updates, value))
        case _:
            return False
