"""How an attempt at a run ends, and when a run is given up.

An attempt is one lease of a run. What the workload does counts apart from what happens to the machines that train it:
code that kills its runner is given up soon, while a run whose snapshots move on outlives any number of lost machines.
"""

from __future__ import annotations

from enum import StrEnum

MAX_FAILED_ATTEMPTS = 3
"""How often the workload may kill its runner before the run counts as failed."""
LOST_ATTEMPTS = 20
"""The default of TUNER_LOST_ATTEMPTS: attempts in a row that may be lost while no snapshot moves on."""

MAX_LEASE_SECONDS = 3600.0
"""The longest time that a lease of a run, or the lock of a study, may last without being extended."""


class AttemptEnd(StrEnum):
    """How an attempt ended that left the run without a result."""

    RETURNED = "returned"
    """In order, with a snapshot: the worker was stopped, the job paused, or a more urgent one needed the device."""
    FAILED = "failed"
    """By the workload's code: its runner crashed, ran out of memory, or was stuck."""
    LOST = "lost"
    """By the infrastructure: the machine, the network, the database, or the worker's own process."""


def attempts_in_words(leases: int | None = None, *, failed: int, lost: int) -> str:
    """Counts of attempts: ``"4: 1 failed, 2 lost"``.

    Args:
        leases: All attempts; left out when absent.
        failed: Those that failed.
        lost: Those that were lost.
    """
    parts = ", ".join(f"{count} {word}" for count, word in ((failed, "failed"), (lost, "lost")) if count)
    return ": ".join(filter(None, ["" if leases is None else str(leases), parts]))


def reason_to_give_up(end: AttemptEnd, *, failed: int, lost_in_a_row: int, lost_limit: int) -> str | None:
    """Why a run is not attempted again after an attempt that ended so, in words; ``None`` while it is.

    Args:
        end: Of the last attempt, which the counts include.
        failed: Attempts that failed.
        lost_in_a_row: Attempts that were lost since a snapshot last moved on.
        lost_limit: Most of them.
    """
    if end is AttemptEnd.FAILED and failed >= MAX_FAILED_ATTEMPTS:
        return f"given up after {failed} failed attempts"
    if end is AttemptEnd.LOST and lost_in_a_row >= lost_limit:
        return (
            f"given up after {lost_in_a_row} attempts in a row that lost their worker before a snapshot moved on "
            "(TUNER_LOST_ATTEMPTS allows no more): see to the machines or shorten TUNER_SNAPSHOT_INTERVAL, "
            "then retry the job"
        )
    return None
