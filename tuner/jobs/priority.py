"""How urgent a job is."""

from __future__ import annotations

from enum import StrEnum


class Priority(StrEnum):
    """Classes of urgency. A higher class goes before every lower one, whatever the teams' shares."""

    LOW = "low"
    """When nothing else wants the devices."""
    NORMAL = "normal"
    HIGH = "high"
    """Before everything else; stops runs of lower classes at their next evaluation when no device is free."""

    @property
    def rank(self) -> int:
        """Greater goes first."""
        return tuple(Priority).index(self)

    @classmethod
    def of_rank(cls, rank: int) -> Priority:
        """The class of a rank."""
        return tuple(cls)[rank]
