"""The priority classes of jobs."""

from __future__ import annotations

from enum import StrEnum


class Priority(StrEnum):
    """Priority classes. A higher class is scheduled before every lower one, regardless of the teams' shares."""

    LOW = "low"
    """Scheduled when no job of a higher class waits."""
    NORMAL = "normal"
    HIGH = "high"
    """Scheduled first; pre-empts runs of lower classes at their next evaluation when no device is free."""

    @property
    def rank(self) -> int:
        """Its rank; a greater one is scheduled first."""
        return tuple(Priority).index(self)

    @classmethod
    def of_rank(cls, rank: int) -> Priority:
        """The class of a rank."""
        return tuple(cls)[rank]
