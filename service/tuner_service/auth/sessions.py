"""Browser sessions: a signed cookie that names a token, good for as long as that token is, and not for ever."""

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
    """What a browser's cookie says."""

    token_id: str
    nonce: str
    """Differs from login to login."""


class Sessions:
    """Makes and reads the cookies. Nothing is stored: what is signed with the service's key is believed.

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
        prefix = "__Host-" if secure else ""  # a browser then takes it from this host alone
        self.cookie = f"{prefix}tuner_session"
        self.form_cookie = f"{prefix}tuner_login"

    def begin(self, response: Response, *, token_id: str) -> None:
        """Log a browser in with a response."""
        value = self._sessions.dumps([token_id, secrets.token_urlsafe(16)])
        self._set(response, self.cookie, value, seconds=self._lifetime)
        self._set(response, self.form_cookie, "", seconds=0)

    def end(self, response: Response) -> None:
        """Log a browser out with a response."""
        self._set(response, self.cookie, "", seconds=0)

    def read(self, cookie: str) -> Session | None:
        """What a cookie says; ``None`` when it is not signed by this service, or is too old."""
        try:
            said = self._sessions.loads(cookie, max_age=self._lifetime)
        except BadData:
            return None
        token_id, nonce = said
        return Session(token_id=token_id, nonce=nonce)

    def csrf_token(self, session: Session) -> str:
        """What a page of ours sends with every change: other sites cannot know it."""
        told = f"{session.token_id} {session.nonce}"
        return hmac.new(self._csrf_key, told.encode(), hashlib.sha256).hexdigest()

    def is_csrf_token(self, given: str, *, session: Session) -> bool:
        """Whether what came with a change is what only a page of ours can know."""
        return hmac.compare_digest(given.encode(), self.csrf_token(session).encode())

    def new_form(self) -> tuple[str, str]:
        """What ties a login form to the browser that asks for it, so that no site logs anybody in as somebody else.

        Returns:
            What the browser is to remember, and what the form must bring back.
        """
        nonce = secrets.token_urlsafe(16)
        return nonce, self._forms.dumps(nonce)

    def remember_form(self, response: Response, *, nonce: str) -> None:
        """Have the browser remember a form."""
        self._set(response, self.form_cookie, nonce, seconds=_FORM_MINUTES * 60)

    def is_own_form(self, given: str, *, cookie: str) -> bool:
        """Whether a form that came back was made for the browser that has this cookie."""
        try:
            nonce = self._forms.loads(given, max_age=_FORM_MINUTES * 60)
        except BadData:
            return False
        return hmac.compare_digest(str(nonce).encode(), cookie.encode())

    def _set(self, response: Response, name: str, value: str, *, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=self._secure)


def _serializer(secret: bytes, *, purpose: str) -> URLSafeTimedSerializer:
    key = derived(secret, purpose=purpose)
    return URLSafeTimedSerializer(key, salt=purpose, signer_kwargs={"digest_method": hashlib.sha256})
