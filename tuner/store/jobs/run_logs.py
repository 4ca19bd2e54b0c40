"""What the code of runs printed: kept in pieces, its beginning and its end, and not without bound."""

from __future__ import annotations

import re

from sqlalchemy import delete, func, select, update

from tuner.errors import LeaseLost
from tuner.jobs.records import LeasedRun
from tuner.store.db.database import Tx
from tuner.store.db.models import LogChunk, Run
from tuner.store.db.rows import storable

MAX_LOG_CHARACTERS = 256 * 1024
"""Of one run, over all attempts."""
HEAD_CHARACTERS = MAX_LOG_CHARACTERS // 2
"""Kept from the beginning, to the end of the piece that reaches it."""
_NOTICE_ATTEMPT = 0
"""Attempt of the one piece that we wrote: attempts are counted from 1."""


def append(tx: Tx, lease: LeasedRun, *, text: str) -> None:
    """Add a piece to a run's log; past the bound the oldest pieces after its beginning go, and one says how much went.

    Raises:
        LeaseLost: The lease is no longer held.
    """
    held = select(Run.attempts).where(Run.id == lease.run_id, Run.lease_token == lease.token)
    attempt = tx.session.scalar(held.with_for_update(key_share=True))
    if attempt is None:
        raise LeaseLost(lease.run_id)
    clean = _shortened(storable(text))
    if not clean:
        return
    last, size = tx.session.execute(
        select(func.coalesce(func.max(LogChunk.seq), -1), func.coalesce(func.sum(func.length(LogChunk.text)), 0)).where(
            LogChunk.run_id == lease.run_id
        )
    ).one()
    tx.session.add(LogChunk(run_id=lease.run_id, seq=last + 1, attempt=attempt, text=clean, at=tx.now))
    if size + len(clean) > MAX_LOG_CHARACTERS:
        tx.session.flush()
        _drop_the_middle(tx, lease.run_id, too_many=size + len(clean) - MAX_LOG_CHARACTERS)


def left_out(characters: int) -> str:
    """The line in place of what is not kept."""
    return f"\n[{characters:,} characters left out here: they are in the worker's own log file]\n"


def _drop_the_middle(tx: Tx, run_id: str, *, too_many: int) -> None:
    """Delete at least so many characters after the beginning, piece by piece, and say so where the first piece was."""
    rows = tx.session.execute(
        select(LogChunk.seq, func.length(LogChunk.text), LogChunk.attempt)
        .where(LogChunk.run_id == run_id)
        .order_by(LogChunk.seq)
    ).all()
    head, dropped, notice = 0, 0, None
    last = rows[-1][0]
    going: list[int] = []
    for seq, length, attempt in rows:
        if attempt == _NOTICE_ATTEMPT:
            notice = seq
        elif head < HEAD_CHARACTERS:
            head += length
        elif dropped < too_many and seq != last:
            going.append(seq)
            dropped += length
    if not going:
        return
    of_run = LogChunk.run_id == run_id
    if notice is None:
        notice = going.pop(0)
        before = 0
    else:
        text = tx.session.scalars(select(LogChunk.text).where(of_run, LogChunk.seq == notice)).one()
        before = int("".join(re.findall(r"\d", text)))
    tx.session.execute(delete(LogChunk).where(of_run, LogChunk.seq.in_(going)))
    tx.session.execute(
        update(LogChunk)
        .where(of_run, LogChunk.seq == notice)
        .values(text=left_out(before + dropped), attempt=_NOTICE_ATTEMPT)
    )


def _shortened(text: str) -> str:
    """One piece, of a very long one the beginning and the end."""
    most = MAX_LOG_CHARACTERS // 4
    if len(text) <= most:
        return text
    half = most // 2
    return text[:half] + left_out(len(text) - 2 * half) + text[-half:]
