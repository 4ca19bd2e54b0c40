"""The audit log: who did what. Written with what was done, in the same transaction, by `Tx.audit`."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.people.records import AuditRecord
from tuner.store.db.database import Repository, reads
from tuner.store.db.models import Audit
from tuner.store.db.pages import Page, check_limit, page_of, place_of


class AuditLog(Repository):
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
        check_limit(limit)
        query = select(Audit).order_by(Audit.id.desc()).limit(limit + 1)
        if team is not None:
            query = query.where(Audit.team == team)
        if actor is not None:
            query = query.where(Audit.actor == actor)
        if action is not None:
            query = query.where((Audit.action == action) | Audit.action.startswith(f"{action}.", autoescape=True))
        if cursor is not None:
            query = query.where(Audit.id < place_of(cursor))
        rows = session.scalars(query).all()
        return page_of(rows, limit=limit, record=_record, place=lambda row: row.id)


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
