"""The patience with one run: how long its runner may be silent, and how long it may take to stop."""

from __future__ import annotations


class RunWatch:
    """Says when a runner has been waited for long enough. It has no clock of its own.

    Args:
        silence_limit: Seconds without a message after which a runner is taken to hang.
        kill_grace: Seconds that a run has to end once it should stop.
        now: Monotonic seconds.
    """

    def __init__(self, *, silence_limit: float, kill_grace: float, now: float) -> None:
        self._silence_limit = silence_limit
        self._kill_grace = kill_grace
        self._heard_at = now
        self._stop_asked_at: float | None = None

    @property
    def stopping(self) -> bool:
        """Whether the run should stop."""
        return self._stop_asked_at is not None

    def heard(self, now: float) -> None:
        """The runner said something."""
        self._heard_at = now

    def asked_to_stop(self, now: float) -> None:
        """The run should stop. Only the first time counts."""
        if self._stop_asked_at is None:
            self._stop_asked_at = now

    def seconds_left(self, now: float) -> float:
        """Until the runner is overdue; 0 when it is."""
        return max(0.0, self._deadline() - now)

    def overdue(self, now: float) -> str:
        """Why the runner should be killed; empty while it should not."""
        if now < self._deadline():
            return ""
        if now - self._heard_at >= self._silence_limit:
            return f"it sent nothing for {self._silence_limit:g} s"
        return f"it did not stop within {self._kill_grace:g} s"

    def _deadline(self) -> float:
        silent = self._heard_at + self._silence_limit
        return silent if self._stop_asked_at is None else min(silent, self._stop_asked_at + self._kill_grace)
