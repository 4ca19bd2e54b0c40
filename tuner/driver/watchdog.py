"""The time limits of one run: to its first update, between updates, in all, and to stop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RunTimeouts:
    """The limits of one run, in seconds."""

    start: float
    """Until the first update is done: loading, building, the first validation, compiling."""
    silence: float
    """Longest time without progress after that: without an update or a validation."""
    run: float | None
    """From the claim to the end; no limit when ``None``."""
    stop: float
    """To end once it must stop."""
    run_limit_name: str = "TUNER_RUN_LIMIT of the worker"
    """The setting behind ``run``, for the error."""


@dataclass(frozen=True, kw_only=True)
class ExceededTimeout:
    """A limit that a run has exceeded."""

    reason: str
    stuck: bool = False
    """It makes no progress: its stack is dumped."""
    final: bool = False
    """Another attempt would end the same."""


class Watchdog:
    """Reports the limit that a run has exceeded. It has no clock of its own.

    Args:
        timeouts: The limits.
        now: Monotonic seconds.
    """

    def __init__(self, timeouts: RunTimeouts, *, now: float) -> None:
        self._timeouts = timeouts
        self._began_at = self._progress_at = now
        self._updates: int | None = None
        self._stop_requested_at: float | None = None

    @property
    def stopping(self) -> bool:
        """Whether the run must stop."""
        return self._stop_requested_at is not None

    def progressed(self, now: float, *, updates: int | None = None) -> None:
        """Note a report of the run, with the updates done where this attempt has made one."""
        self._progress_at = now
        self._updates = self._updates if updates is None else updates

    def stop_requested(self, now: float) -> None:
        """Note that the run must stop. Only the first call counts."""
        if self._stop_requested_at is None:
            self._stop_requested_at = now

    def seconds_left(self, now: float) -> float:
        """Seconds until the run is overdue; 0 when it is."""
        return max(0.0, min(self._deadlines()) - now)

    def overdue(self, now: float) -> ExceededTimeout | None:
        """The limit that the run has exceeded; ``None`` while it has exceeded none."""
        run, silence, stop = self._deadlines()
        if now >= run:
            limit = f"it took longer than {self._timeouts.run:g} s ({self._timeouts.run_limit_name})"
            return ExceededTimeout(reason=f"{limit}; {self._last_update()}", final=True)
        if now >= silence:
            return ExceededTimeout(reason=self._stuck(), stuck=True)
        if now >= stop:
            return ExceededTimeout(reason=f"it did not stop within {self._timeouts.stop:g} s")
        return None

    def _deadlines(self) -> tuple[float, float, float]:
        """When the run, the time without progress, and the stop exceed their limits."""
        timeouts, never = self._timeouts, float("inf")
        return (
            never if timeouts.run is None else self._began_at + timeouts.run,
            self._progress_at + (timeouts.start if self._updates is None else timeouts.silence),
            never if self._stop_requested_at is None else self._stop_requested_at + timeouts.stop,
        )

    def _stuck(self) -> str:
        if self._updates is None:
            return f"it is stuck: no first update within {self._timeouts.start:g} s (TUNER_START_LIMIT of the worker)"
        limit = f"{self._timeouts.silence:g} s (TUNER_SILENCE_LIMIT of the worker)"
        return f"it is stuck: no progress for {limit}; {self._last_update()}"

    def _last_update(self) -> str:
        """The last update that was reported; quick updates are reported once a second."""
        return "no update is known" if self._updates is None else f"the last known is update {self._updates:,}"
