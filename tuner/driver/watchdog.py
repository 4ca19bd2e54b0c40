"""The patience with one run: how long its runner may be silent, take, and take to stop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The limits of one run, in seconds."""

    start: float
    """Until the first update is done: loading, building, the first validation, compiling."""
    silence: float
    """Between two signs of progress after that: an update, a validation."""
    run: float | None
    """From the claim to the end; no limit when ``None``."""
    stop: float
    """To end once it should stop."""


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """Why a runner should be killed."""

    reason: str
    stuck: bool = False
    """It makes no progress: where it stands is of interest."""
    final: bool = False
    """Another attempt would end the same."""


class Watchdog:
    """Says when a runner has been waited for long enough. It has no clock of its own.

    Args:
        patience: The limits.
        now: Monotonic seconds.
    """

    def __init__(self, patience: Patience, *, now: float) -> None:
        self._patience = patience
        self._began_at = self._heard_at = now
        self._updates: int | None = None
        self._stop_asked_at: float | None = None

    @property
    def stopping(self) -> bool:
        """Whether the run should stop."""
        return self._stop_asked_at is not None

    def heard(self, now: float, *, updates: int | None = None) -> None:
        """The runner said something; ``updates`` are done, where this attempt has made one."""
        self._heard_at = now
        self._updates = self._updates if updates is None else updates

    def asked_to_stop(self, now: float) -> None:
        """The run should stop. Only the first time counts."""
        if self._stop_asked_at is None:
            self._stop_asked_at = now

    def seconds_left(self, now: float) -> float:
        """Until the runner is overdue; 0 when it is."""
        return max(0.0, min(self._deadlines()) - now)

    def overdue(self, now: float) -> Overdue | None:
        """Why the runner should be killed; ``None`` while it should not."""
        run, silence, stop = self._deadlines()
        if now >= run:
            limit = f"it took longer than {self._patience.run:g} s (TUNER_RUN_LIMIT of the worker)"
            return Overdue(reason=f"{limit}; {self._came_to()}", final=True)
        if now >= silence:
            return Overdue(reason=self._stuck(), stuck=True)
        if now >= stop:
            return Overdue(reason=f"it did not stop within {self._patience.stop:g} s")
        return None

    def _deadlines(self) -> tuple[float, float, float]:
        """When the run, the silence and the stop have taken too long."""
        patience, never = self._patience, float("inf")
        return (
            never if patience.run is None else self._began_at + patience.run,
            self._heard_at + (patience.start if self._updates is None else patience.silence),
            never if self._stop_asked_at is None else self._stop_asked_at + patience.stop,
        )

    def _stuck(self) -> str:
        if self._updates is None:
            return f"it is stuck: no first update within {self._patience.start:g} s (TUNER_START_LIMIT of the worker)"
        limit = f"{self._patience.silence:g} s (TUNER_SILENCE_LIMIT of the worker)"
        return f"it is stuck: no progress for {limit}; {self._came_to()}"

    def _came_to(self) -> str:
        """How far the run is known to be; of quick updates the last second's are not told."""
        return "no update is known" if self._updates is None else f"the last known is update {self._updates:,}"
