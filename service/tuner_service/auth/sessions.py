"""Browser sessions: a signed cookie that names a token. A session ends with its token or its lifetime."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.responses import Response

from tuner_service.auth.keys import derived

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
_FORM_MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Session:
    """The content of a session cookie."""

    token_id: str
    nonce: str
    """Differs from login to login."""


class Sessions:
    """Creates and verifies the cookies. Nothing is stored: the service's signature is the proof.

    Args:
        secret: The service's own; services over one database share it.
        lifetime: How long a browser stays logged in.
        secure: Whether cookies travel by HTTPS alone.
    """

    def __init__(self, secret: bytes, *, lifetime: timedelta, secure: bool) -> None:
        self._sessions = _serializer(secret, purpose="session")
        self._forms = _serializer(secret, purpose="login form")
        self._csrf_key = derived(secret, purpose="csrf")
        self._lifetime = int(lifetime.total_seconds())
        self._secure = secure
        prefix = "__Host-" if secure else ""  # browsers accept this prefix from the host itself only
        self.cookie = f"{prefix}tuner_session"
        self.form_cookie = f"{prefix}tuner_login"

    def begin(self, response: Response, *, token_id: str) -> None:
        """Set the session cookie on a response."""
        value = self._sessions.dumps([token_id, secrets.token_urlsafe(16)])
        self._set(response, self.cookie, value, seconds=self._lifetime)
        self._set(response, self.form_cookie, "", seconds=0)

    def end(self, response: Response) -> None:
        """Clear the session cookie on a response."""
        self._set(response, self.cookie, "", seconds=0)

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; ``None`` when this service did not sign it, or it is too old."""
        try:
            content = self._sessions.loads(cookie, max_age=self._lifetime)
        except BadData:
            return None
        token_id, nonce = content
        return Session(token_id=token_id, nonce=nonce)

    def csrf_token(self, session: Session) -> str:
        """The CSRF token of a session, which pages of other sites cannot know."""
        message = f"{session.token_id} {session.nonce}"
        return hmac.new(self._csrf_key, message.encode(), hashlib.sha256).hexdigest()

    def is_csrf_token(self, candidate: str, *, session: Session) -> bool:
        """Whether a text is the CSRF token of a session."""
        return hmac.compare_digest(candidate.encode(), self.csrf_token(session).encode())

    def new_form(self) -> tuple[str, str]:
        """Tie a login form to a browser, so that another site cannot log the browser in as another user (login CSRF).

        Returns:
            The nonce for the browser's cookie, and the token for the form.
        """
        nonce = secrets.token_urlsafe(16)
        return nonce, self._forms.dumps(nonce)

    def remember_form(self, response: Response, *, nonce: str) -> None:
        """Set the form's cookie on a response."""
        self._set(response, self.form_cookie, nonce, seconds=_FORM_MINUTES * 60)

    def is_own_form(self, form_token: str, *, cookie: str) -> bool:
        """Whether a form was created for the browser that has this cookie."""
        try:
            nonce = self._forms.loads(form_token, max_age=_FORM_MINUTES * 60)
        except BadData:
            return False
        return hmac.compare_digest(str(nonce).encode(), cookie.encode())

    def _set(self, response: Response, name: str, value: str, *, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=self._secure)


def _serializer(secret: bytes, *, purpose: str) -> URLSafeTimedSerializer:
    key = derived(secret, purpose=purpose)
    return URLSafeTimedSerializer(key, salt=purpose, signer_kwargs={"digest_method": hashlib.sha256})
