"""Ends the trainings of a check that do not end by themselves, and reports how they get on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

SILENCE_SECONDS: Final = 120.0
"""How long a training of a check may go without an update or a report."""
_AGAIN_SECONDS: Final = 5.0
"""A training that catches the exception meets it again after this time."""


class TrainsOn(BaseException):
    """The training does not end. Raised within it; not an `Exception`, as `tuner.RunStopped` is none."""


class Watch:
    """Watches one training after the other; a context manager. Outside the main thread it limits the updates alone.

    Args:
        silence_seconds: How long a training may go without an update or a report, above 0.
        on_progress: Called with a line when a training begins, and at its reports.
    """

    def __init__(self, *, silence_seconds: float, on_progress: Callable[[str], None]) -> None:
        self._silence_seconds = silence_seconds
        self._on_progress = on_progress
        self._has_alarm = threading.current_thread() is threading.main_thread()
        self._before: signal.Handlers | Callable[[int, FrameType | None], object] | int | None = None
        self._name = ""
        self._steps = 0
        self._last = "its start"
        self.reason = ""
        """Why the last training was ended; empty where it ended by itself."""

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
        """
        self._name, self._steps, self._last, self.reason = name, steps, "its start", ""
        self._on_progress(f"{name}: {steps} updates")
        self._wait()

    def end(self) -> None:
        """The training has ended."""
        if self._has_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def reported(self, step: int) -> None:
        """The training has reported."""
        self._last = f"the report after {step} of {self._steps} updates"
        self._on_progress(f"{self._name}: report after {step} of {self._steps} updates")
        self._wait()

    def updated(self, updates: int) -> None:
        """The training has made updates.

        Raises:
            TrainsOn: They are far more than its schedule has.
        """
        self._last = f"update {updates}"
        self._wait()
        if updates > 2 * self._steps + 100:
            self.reason = (
                f"it made {updates} updates for {self._steps} of the schedule and trained on: end the loop after "
                "run.total_steps updates"
            )
            raise TrainsOn(self.reason)

    def _wait(self) -> None:
        if self._has_alarm and not self.reason:
            signal.setitimer(signal.ITIMER_REAL, self._silence_seconds, _AGAIN_SECONDS)

    def _on_alarm(self, _: int, __: FrameType | None) -> None:
        self.reason = (
            f"it had not ended {self._silence_seconds:g} s after {self._last}, and made no update and no report since "
            "then (--silence-limit): end the loop after run.total_steps updates"
        )
        raise TrainsOn(self.reason)
