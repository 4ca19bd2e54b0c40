"""The audit log: who did what. Written with what was done, in the same transaction, by `Tx.audit`."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue
from tuner.people.records import AuditRecord
from tuner.store.database import Part, reads
from tuner.store.job_list import Page
from tuner.store.models import Audit

MAX_PAGE = 500


class AuditLog(Part):
    """What people did, the latest first. Nothing in it is ever changed."""

    @reads
    def page(
        self,
        session: Session,
        *,
        team: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[AuditRecord]:
        """Some entries, the latest first.

        Args:
            team: Only what concerns this team; everything when absent.
            actor: Only what this user did.
            action: Only this action (``"job.cancel"``), or all of a subject (``"job"``).
            cursor: ``next_cursor`` of the page before.
            limit: How many at most, 1 to 500.

        Raises:
            InvalidValue: The cursor is not one of ours, or the limit is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidValue("limit", value=limit, allowed=f"in [1, {MAX_PAGE}]")
        query = select(Audit).order_by(Audit.id.desc()).limit(limit + 1)
        if team is not None:
            query = query.where(Audit.team == team)
        if actor is not None:
            query = query.where(Audit.actor == actor)
        if action is not None:
            query = query.where((Audit.action == action) | Audit.action.startswith(f"{action}.", autoescape=True))
        if cursor is not None:
            query = query.where(Audit.id < _entry_id(cursor))
        rows = session.scalars(query).all()
        shown = tuple(_record(row) for row in rows[:limit])
        return Page(items=shown, next_cursor=str(shown[-1].id) if len(rows) > limit else None)


def _entry_id(cursor: str) -> int:
    # 18 digits: no id has more, and every such number fits the column
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18):
        raise InvalidValue("cursor", value=cursor, allowed="the next_cursor of a page before")
    return int(cursor)


def _record(row: Audit) -> AuditRecord:
    return AuditRecord(
        id=row.id,
        at=row.at,
        actor=row.actor,
        token_id=row.token_id,
        request_id=row.request_id,
        action=row.action,
        target=row.target,
        team=row.team,
        data=dict(row.data),
    )
