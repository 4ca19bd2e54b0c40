"""The logs of runs: what their code printed, in chunks; of a long log, the first and the last part."""

from __future__ import annotations

import re

from sqlalchemy import delete, func, select, update

from tuner.store.db.database import Tx
from tuner.store.db.models import LogChunk
from tuner.text import escaped_text

MAX_LOG_CHARACTERS = 256 * 1024
"""Maximum length of a run's log, over all attempts."""
HEAD_CHARACTERS = MAX_LOG_CHARACTERS // 2
"""Length of the first part that is kept, rounded up to a whole chunk."""
_NOTICE_ATTEMPT = 0
"""Attempt number of the chunk that holds the omission notice; attempts count from 1."""


def append_chunk(tx: Tx, run_id: str, *, attempt: int, text: str) -> None:
    """Append a chunk to a run's log. Past the maximum, the oldest chunks after the first part give way to a notice."""
    clean = _clipped(escaped_text(text))
    if not clean:
        return
    last, size = tx.session.execute(
        select(func.coalesce(func.max(LogChunk.seq), -1), func.coalesce(func.sum(func.length(LogChunk.text)), 0)).where(
            LogChunk.run_id == run_id
        )
    ).one()
    tx.session.add(LogChunk(run_id=run_id, seq=last + 1, attempt=attempt, text=clean, at=tx.now))
    if size + len(clean) > MAX_LOG_CHARACTERS:
        tx.session.flush()
        _drop_middle(tx, run_id, excess=size + len(clean) - MAX_LOG_CHARACTERS)


def omission_notice(characters: int) -> str:
    """The line in place of the omitted characters."""
    return f"\n[{characters:,} characters left out here: they are in the worker's own log file]\n"


def _drop_middle(tx: Tx, run_id: str, *, excess: int) -> None:
    """Delete chunks of at least so many characters after the first part; a notice replaces the first of them."""
    rows = tx.session.execute(
        select(LogChunk.seq, func.length(LogChunk.text), LogChunk.attempt)
        .where(LogChunk.run_id == run_id)
        .order_by(LogChunk.seq)
    ).all()
    head, dropped, notice = 0, 0, None
    last = rows[-1][0]
    deleted: list[int] = []
    for seq, length, attempt in rows:
        if attempt == _NOTICE_ATTEMPT:
            notice = seq
        elif head < HEAD_CHARACTERS:
            head += length
        elif dropped < excess and seq != last:
            deleted.append(seq)
            dropped += length
    if not deleted:
        return
    of_run = LogChunk.run_id == run_id
    if notice is None:
        notice = deleted.pop(0)
        omitted = 0
    else:
        text = tx.session.scalars(select(LogChunk.text).where(of_run, LogChunk.seq == notice)).one()
        omitted = int("".join(re.findall(r"\d", text)))
    tx.session.execute(delete(LogChunk).where(of_run, LogChunk.seq.in_(deleted)))
    tx.session.execute(
        update(LogChunk)
        .where(of_run, LogChunk.seq == notice)
        .values(text=omission_notice(omitted + dropped), attempt=_NOTICE_ATTEMPT)
    )


def _clipped(text: str) -> str:
    """The text of one chunk; of a very long one, the first and the last part."""
    most = MAX_LOG_CHARACTERS // 4
    if len(text) <= most:
        return text
    half = most // 2
    return text[:half] + omission_notice(len(text) - 2 * half) + text[-half:]
