"""What the code of runs printed: kept in pieces, and not without end."""

from __future__ import annotations

from sqlalchemy import func, select

from tuner.errors import LeaseLost
from tuner.jobs.records import LeasedRun
from tuner.store.database import Tx
from tuner.store.models import LogChunk, Run
from tuner.store.rows import storable

MAX_LOG_CHARACTERS = 256 * 1024
"""Of one run, over all attempts."""
MORE = "\n[There is more: it is in the worker's own log file.]\n"


def append(tx: Tx, lease: LeasedRun, *, text: str) -> None:
    """Add a piece to a run's log; past the bound a last one that says so, and nothing after it.

    Raises:
        LeaseLost: The lease is no longer held.
    """
    held = select(Run.attempts).where(Run.id == lease.run_id, Run.lease_token == lease.token)
    attempt = tx.session.scalar(held.with_for_update(key_share=True))
    if attempt is None:
        raise LeaseLost(lease.run_id)
    kept, size = tx.session.execute(
        select(func.count(), func.coalesce(func.sum(func.length(LogChunk.text)), 0)).where(
            LogChunk.run_id == lease.run_id
        )
    ).one()
    clean = storable(text)
    room = MAX_LOG_CHARACTERS - size
    if not clean or room < 0:  # the piece that says that there is more is beyond the bound
        return
    shown = clean if len(clean) <= room else clean[:room] + MORE
    tx.session.add(LogChunk(run_id=lease.run_id, seq=kept, attempt=attempt, text=shown, at=tx.now))
