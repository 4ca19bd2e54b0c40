"""Ends the trainings of a check that do not end by themselves or in time, and reports how they get on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Final, NoReturn, Self

from tuner.training.checks.findings import Findings

TIME_SECONDS: Final = 50.0
"""How long the trainings of a check may take together: with what comes before and after, it ends within a minute."""
SILENCE_SECONDS: Final = 120.0
"""How long a training of a check may go without an update or a report."""
_AGAIN_SECONDS: Final = 5.0
"""A training that catches the exception meets it again after this time."""


class TrainsOn(BaseException):
    """The training does not end. Raised within it; not an `Exception`, as `tuner.RunStopped` is none."""


class OutOfTime(BaseException):
    """The time of the check is over, or too short for another training. Raised in a training, or where one begins."""


@contextmanager
def leaves_out(*rules: str, findings: Findings) -> Iterator[None]:
    """Note rules as left out where the time of the check ends inside, or is too short for what they need."""
    try:
        yield
    except OutOfTime as over:
        findings.leave_out(*rules, detail=str(over))


class Watch:
    """Watches one training after the other; a context manager. Outside the main thread it limits the updates alone.

    Args:
        time_seconds: How long all trainings may take together, above 0. One that would not fit does not begin.
        silence_seconds: How long a training may go without an update or a report, above 0.
        on_progress: Called with a line when a training begins, and at its reports.
    """

    def __init__(self, *, time_seconds: float, silence_seconds: float, on_progress: Callable[[str], None]) -> None:
        self._time_seconds = time_seconds
        self._deadline = time.monotonic() + time_seconds
        self._silence_seconds = silence_seconds
        self._on_progress = on_progress
        self._has_alarm = threading.current_thread() is threading.main_thread()
        self._before: signal.Handlers | Callable[[int, FrameType | None], object] | int | None = None
        self._name = ""
        self._steps = 0
        self._last = "its start"
        self._begun = 0.0
        self._longest = 0.0  # seconds of a training that ended
        self.reason = ""
        """Why the last training was ended; empty where it ended by itself."""
        self.is_out_of_time = False
        """Whether the last training was ended because the time of the check was over."""
        self.has_progress = False
        """Whether any training has made an update or a report."""

    def __enter__(self) -> Self:
        if self._has_alarm:
            self._before = signal.signal(signal.SIGALRM, self._on_alarm)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._has_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self._before)

    def begin(self, name: str, *, steps: int) -> None:
        """A training begins.

        Args:
            name: In words.
            steps: Updates that it should make.

        Raises:
            OutOfTime: The time that is left is shorter than another training took.
        """
        left = self._deadline - time.monotonic()
        if left <= self._longest:
            raise OutOfTime(
                f"a training takes {self._longest:.2g} s, and of the {self._time_seconds:g} s of the check "
                f"{max(left, 0.0):.2g} s were left (--time-limit)"
            )
        self._name, self._steps, self._last, self.reason = name, steps, "its start", ""
        self._begun = time.monotonic()
        self._on_progress(f"{name}: {steps} updates")
        self._wait()

    def end(self) -> None:
        """The training has ended."""
        self._longest = max(self._longest, time.monotonic() - self._begun)
        if self._has_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def reported(self, step: int) -> None:
        """The training has reported."""
        self._last, self.has_progress = f"the report after {step} of {self._steps} updates", True
        self._on_progress(f"{self._name}: report after {step} of {self._steps} updates")
        self._wait()

    def updated(self, updates: int) -> None:
        """The training has made updates.

        Raises:
            OutOfTime: The time of the check is over.
            TrainsOn: They are far more than its schedule has.
        """
        self._last, self.has_progress = f"update {updates}", True
        if time.monotonic() >= self._deadline and not self.reason:
            self._end_in_time()
        self._wait()
        if updates > 2 * self._steps + 100:
            self.reason = (
                f"it made {updates} updates for {self._steps} of the schedule and trained on: end the loop after "
                "run.total_steps updates"
            )
            raise TrainsOn(self.reason)

    def _wait(self) -> None:
        if self._has_alarm and not self.reason:
            left = max(self._deadline - time.monotonic(), 0.001)
            signal.setitimer(signal.ITIMER_REAL, min(self._silence_seconds, left), _AGAIN_SECONDS)

    def _on_alarm(self, _: int, __: FrameType | None) -> None:
        if self.is_out_of_time or time.monotonic() >= self._deadline:
            self._end_in_time()
        self.reason = (
            f"it had not ended {self._silence_seconds:g} s after {self._last}, and made no update and no report since "
            "then (--silence-limit): end the loop after run.total_steps updates"
        )
        raise TrainsOn(self.reason)

    def _end_in_time(self) -> NoReturn:
        self.is_out_of_time = True
        self.reason = (
            f"it had not ended when the {self._time_seconds:g} s of the check were over (--time-limit); the last that "
            f"was seen of it is {self._last}"
        )
        raise OutOfTime(self.reason)
