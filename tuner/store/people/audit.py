"""The audit log: the actions of users. `Tx.audit` writes an entry in the transaction of the action."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.people.records import AuditRecord
from tuner.store.db.database import Repository, reads
from tuner.store.db.models import Audit
from tuner.store.db.pages import Page, read_page


class AuditLog(Repository):
    """The actions of users, the latest first. Entries are never changed."""

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
        """One page of entries, the latest first.

        Args:
            team: Only entries of this team; all when absent.
            actor: Only actions of this user.
            action: Only this action (``"job.cancel"``), or all actions on a kind of object (``"job"``).
            cursor: ``next_cursor`` of the previous page.
            limit: Entries on the page, 1 to 500.

        Raises:
            InvalidValue: The cursor is invalid, or the limit is out of range.
        """
        query = select(Audit)
        if team is not None:
            query = query.where(Audit.team == team)
        if actor is not None:
            query = query.where(Audit.actor == actor)
        if action is not None:
            query = query.where((Audit.action == action) | Audit.action.startswith(f"{action}.", autoescape=True))
        return read_page(session, query, key=Audit.id, record=_record, cursor=cursor, limit=limit, newest_first=True)


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
