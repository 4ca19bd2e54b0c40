"""Browser sessions: a cookie with a random secret, whose digest the database stores, and signed login forms."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.responses import Response

from tuner.people.tokens import digest, is_session
from tuner_service.auth.keys import derived

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
_FORM_MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session, by the digest of the secret in its cookie."""

    digest: str


class Sessions:
    """Sets and reads the cookies, and signs the tokens of forms.

    Args:
        secret: The service's own; services over one database share it.
        lifetime: How long a browser stays logged in.
        secure: Whether cookies travel by HTTPS alone.
    """

    def __init__(self, secret: bytes, *, lifetime: timedelta, secure: bool) -> None:
        self._forms = _serializer(secret, purpose="login form")
        self._csrf_key = derived(secret, purpose="csrf")
        self._lifetime = int(lifetime.total_seconds())
        self._secure = secure
        prefix = "__Host-" if secure else ""  # browsers accept this prefix from the host itself only
        self.cookie = f"{prefix}tuner_session"
        self.form_cookie = f"{prefix}tuner_login"

    def begin(self, response: Response, *, secret: str) -> None:
        """Set the session cookie on a response."""
        self._set(response, self.cookie, secret, seconds=self._lifetime)
        self._set(response, self.form_cookie, "", seconds=0)

    def end(self, response: Response) -> None:
        """Clear the session cookie on a response."""
        self._set(response, self.cookie, "", seconds=0)

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie, which may have ended; ``None`` for any other text."""
        return Session(digest=digest(cookie)) if is_session(cookie) else None

    def csrf_token(self, session: Session) -> str:
        """The CSRF token of a session, which pages of other sites cannot know."""
        return hmac.new(self._csrf_key, session.digest.encode(), hashlib.sha256).hexdigest()

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
