"""What a run has reported, and which reports fit: a refusal names the mistake that is likely behind it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, SupportsFloat

from tuner.errors import InvalidValue

_PER_UPDATE: Final = (
    "Count optimizer updates, not epochs, micro-batches or processes; run.epochs(steps_per_epoch) yields those of each "
    "epoch"
)
_ONE_PROCESS: Final = (
    "Reports ascend. Of several processes only one may report: the one whose rank is 0 (RANK in the environment)"
)
_LEAST_EVIDENCE: Final = 8
"""Steps of the scheduler beyond twice a report's step from which the report counts something else than updates."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation in plain numbers."""

    step: int
    value: float
    """Of the metric, as people read it."""
    train_loss: float | None


class Reports:
    """What was reported so far: refuses a report that does not fit.

    Args:
        total_steps: Updates of the run.
    """

    def __init__(self, *, total_steps: int) -> None:
        self._total_steps = total_steps
        self.step: int | None = None
        """Of the last report; ``None`` before the first."""
        self._value: float | None = None
        self._count = 0
        self._by_ones = True  # the steps so far are 1, 2, 3, ... or 0, 1, 2, ...

    @property
    def is_complete(self) -> bool:
        """Whether the result at the horizon is among them."""
        return self.step == self._total_steps

    def is_past_end(self, step: int) -> bool:
        """Whether a report comes after the end of a run whose result is in: the schedule has no such update."""
        return self.is_complete and _whole(step) > self._total_steps

    def check(
        self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None, scheduled: Sequence[int] = ()
    ) -> Report | None:
        """A new report in plain numbers; ``None`` when the last one said the same.

        Args:
            step: Updates done.
            value: Of the metric.
            train_loss: Mean training loss.
            scheduled: Updates by the count of each scheduler of the run.

        Raises:
            InvalidValue: As `TrainingRun.report` says.
        """
        report = self._plain(step, value=value, train_loss=train_loss)
        if report.step == self.step:
            if report.value == self._value:
                return None
            allowed = f"reported once per step; step {step} already has {self._value!r}"
            raise InvalidValue("value", value=report.value, allowed=allowed, hint=_ONE_PROCESS)
        self._check_unit(report.step, scheduled=scheduled)
        self._add(report)
        return report

    def finish(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None) -> Report:
        """The last report of a run that ends by itself; its value may differ from an earlier one of the same step.

        Raises:
            InvalidValue: As `TrainingRun.finish` says.
        """
        report = self._plain(step, value=value, train_loss=train_loss, at_least=1)
        self._add(report)
        return report

    def missing(self, *, scheduled: int | None = None) -> str:
        """Why the run has no result although its code has ended without an error, and what to write instead.

        Args:
            scheduled: Updates by the rates that were used, where that is known.
        """
        total = self._total_steps
        due = f"run.report({total}, value=...) is due after the last update (run.total_steps is {total})"
        if self.step is None:
            return f"the training ended without a report; {due}"
        last = f"the last report was after {self.step} of {total} updates; {due}"
        early = (
            f"a training that ends early by its own rule says so: run.finish({self.step}, value=...), "
            'or "final": true in the last line of a reports file'
        )
        beyond = _is_far_beyond(scheduled, step=self.step)
        if self.step == 0:
            return last
        if beyond or (self._by_ones and scheduled is None and self._count > 2):
            used = f", as the rates of {scheduled} updates were used" if beyond else ""
            steps = "step of its report seems" if self._count == 1 else f"steps of its {self._count} reports seem"
            return f"{last}. The {steps} to count epochs{used}: report the updates done. Or else {early}"
        return f"{last}. Where it has not trained that far, {early}"

    def _plain(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None, at_least: int = 0) -> Report:
        at_least = max(at_least, self.step or 0)
        return Report(
            step=checked_step(step, total_steps=self._total_steps, at_least=at_least, hint=self._hint(step)),
            value=_number("value", value),
            train_loss=None if train_loss is None else _number("train_loss", train_loss),
        )

    def _hint(self, step: int) -> str:
        total = self._total_steps
        if _whole(step) > total:
            return f"The schedule has {total} updates (run.total_steps): train no further. {_PER_UPDATE}"
        return _ONE_PROCESS if 0 <= _whole(step) < (self.step or 0) else _PER_UPDATE

    def _check_unit(self, step: int, *, scheduled: Sequence[int]) -> None:
        """Refuse a report by epochs, or a scheduler that steps by epochs, as soon as the other one shows it."""
        if not scheduled:
            return
        least, most = min(scheduled), max(scheduled)
        if self._by_ones and step <= self._count + 1 and _is_far_beyond(least, step=step):
            allowed = f"the updates done: the scheduler of the run has made {least} steps"
            raise InvalidValue("step", value=step, allowed=allowed, hint=_PER_UPDATE)
        if most > 0 and _is_far_beyond(step, step=most):
            raise InvalidValue(
                "the steps of the run's scheduler",
                value=most,
                allowed=f"one per optimizer update, {step} so far",
                hint="Call scheduler.step() after every optimizer.step(), in the inner loop, and not once per epoch",
            )

    def _add(self, report: Report) -> None:
        self._by_ones = self._by_ones and report.step in ((0, 1) if self.step is None else (self.step + 1,))
        self._count += 1
        self.step, self._value = report.step, report.value


def checked_step(step: int, *, total_steps: int, at_least: int = 0, hint: str = _PER_UPDATE) -> int:
    """An update count of a run.

    Raises:
        InvalidValue: It is no whole number in ``[at_least, total_steps]``.
    """
    whole = _whole(step)
    if not at_least <= whole <= total_steps:
        allowed = f"updates done, a whole number in [{at_least}, {total_steps}]"
        raise InvalidValue("step", value=step, allowed=allowed, hint=hint)
    return whole


def _is_far_beyond(scheduled: int | None, *, step: int) -> bool:
    return scheduled is not None and scheduled >= 2 * step + _LEAST_EVIDENCE


def _whole(step: object) -> int:
    """A whole number, also as a float; -1 for all else."""
    if isinstance(step, float) and step.is_integer():
        return int(step)
    try:
        whole: int = step.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        return -1
    return -1 if isinstance(step, bool) else whole


def _number(field: str, value: SupportsFloat) -> float:
    """A number, infinite where it is too large for one."""
    try:
        return float(getattr(value, "detach", lambda: value)())
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError, RuntimeError):
        allowed = "a number, or a tensor of one element"
        raise InvalidValue(field, value=type(value).__name__, allowed=allowed) from None
