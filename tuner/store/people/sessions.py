"""Browser sessions: each stands for a token, and ends with it, at its own time, or when its browser logs out."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.people.permissions import Principal
from tuner.people.tokens import digest, new_session
from tuner.store.db.clock import CLOCK_STEP_SECONDS
from tuner.store.db.database import Tx, read_clock, writes
from tuner.store.db.models import BrowserSession, Token
from tuner.store.people.people_rows import valid_tokens
from tuner.store.people.tokens import Tokens

MAX_SESSIONS: Final = 100
"""Sessions of one token; a further login ends the oldest."""


class BrowserSessions(Tokens):
    """The logins of browsers. Only the digest of a session's secret is stored."""

    @writes
    def begin_session(self, tx: Tx, token_id: str, *, lifetime: float) -> str:
        """Begin a session.

        Args:
            token_id: The token that it stands for.
            lifetime: Seconds until it ends, unless the token ends before.

        Returns:
            The secret of the session, which cannot be read again.

        Raises:
            NotFound: The token does not exist, or is not valid any more.
        """
        # Locked against its revocation, which ends the sessions that it finds.
        token = tx.session.scalar(valid_tokens(now=tx.now).where(Token.id == token_id).with_for_update())
        if token is None:
            raise NotFound("token", key=token_id)
        sessions = select(BrowserSession.digest).where(BrowserSession.token_id == token_id)
        newest_first = sessions.order_by(BrowserSession.created_at.desc(), BrowserSession.digest)
        surplus = tx.session.scalars(newest_first.offset(MAX_SESSIONS - 1)).all()
        tx.session.execute(delete(BrowserSession).where(BrowserSession.digest.in_(surplus)))
        tx.session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= tx.now))
        secret = new_session()
        row = {"digest": digest(secret), "token_id": token_id, "created_at": tx.now, "expires_at": tx.now + lifetime}
        tx.session.add(BrowserSession(**row))
        return secret

    @writes
    def end_session(self, tx: Tx, session_digest: str) -> None:
        """End a session: its secret is refused from then on. Ending it again changes nothing.

        Args:
            session_digest: The digest of its secret.
        """
        tx.session.execute(delete(BrowserSession).where(BrowserSession.digest == session_digest))

    def session_principal(self, session_digest: str) -> Principal | None:
        """The principal of the token that a session stands for.

        Args:
            session_digest: The digest of its secret.

        Returns:
            ``None`` for a session that does not exist or has ended, and as in `authenticate`.
        """
        token_id = self._database.read(lambda session: _token_of(session, session_digest=session_digest))
        return None if token_id is None else self._resolve(Token.id == token_id)


def _token_of(session: Session, *, session_digest: str) -> str | None:
    now = read_clock(session)
    return session.scalar(
        select(BrowserSession.token_id).where(
            BrowserSession.digest == session_digest,
            BrowserSession.expires_at > now,
            BrowserSession.created_at <= now + CLOCK_STEP_SECONDS,  # else a fast clock stored it: it would end late
        )
    )
