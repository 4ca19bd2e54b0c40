"""Who is behind a request: looks tokens and sessions up, and remembers for a few seconds what it found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request

from tuner.people.permissions import LOCAL, Principal
from tuner.people.tokens import digest
from tuner_service.auth.rate_limits import ConcurrencyLimit, RateLimit
from tuner_service.auth.sessions import Session, Sessions
from tuner_service.errors import Unauthenticated
from tuner_service.settings import Settings

REMEMBERED_SECONDS = 5.0
"""So long a revoked token may still be good at a service that has just served it."""
_REMEMBERED = 10_000
_STREAM_AGAIN_SECONDS = 10


class Accounts(Protocol):
    """What the store knows about tokens."""

    def authenticate(self, secret: str) -> Principal | None:
        """Who is behind a token's secret."""

    def principal(self, token_id: str) -> Principal | None:
        """Who is behind a token that was good once."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a request, and how we know."""

    principal: Principal
    session: Session | None = None
    """Of the browser; ``None`` for a token, and where nobody logs in."""


class Guard:
    """Decides who may come in. For one event loop.

    Args:
        settings: Whether a login is needed, how long it holds, how often somebody may ask.
        accounts: Where the tokens are.
        secret: The service's own.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        accounts: Accounts,
        secret: bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.login_needed = settings.login_needed
        self.sessions = Sessions(secret, lifetime=settings.session_lifetime, secure=settings.secure_cookies)
        self.requests = RateLimit(settings.rate_limit)
        self.refusals = RateLimit(settings.login_rate_limit)
        self.streams = ConcurrencyLimit(settings.stream_limit, what="event streams", again_in=_STREAM_AGAIN_SECONDS)
        self._accounts = accounts
        self._clock = clock
        self._remembered: dict[str, tuple[Principal, float]] = {}

    async def identify(self, request: Request) -> Caller | None:
        """Who makes a request.

        Returns:
            ``None`` where the request brings neither a token nor a session that is good.

        Raises:
            Unauthenticated: It brings a token that is refused.
            TooManyRequests: As above, and too many of these came from its address.
            DatabaseUnavailable: Nobody can tell.
        """
        if not self.login_needed:
            return Caller(principal=LOCAL)
        given = request.headers.get("authorization")
        if given is not None:
            return Caller(principal=await self._bearer(given, address=address_of(request)))
        session = self.session_of(request)
        if session is None:
            return None
        token_id = session.token_id
        found = await self._recall(f"session {token_id}", find=lambda: self._accounts.principal(token_id))
        return None if found is None else Caller(principal=found, session=session)

    async def log_in(self, secret: str, *, address: str) -> Principal:
        """Who is behind a token that somebody types in.

        Raises:
            Unauthenticated: The token is refused.
            TooManyRequests: As above, and too many of these came from this address.
            DatabaseUnavailable: Nobody can tell.
        """
        found = await self._recall(f"token {digest(secret)}", find=lambda: self._accounts.authenticate(secret))
        if found is None:
            self.refusals.take(address)
            raise Unauthenticated("the token is not accepted: it is unknown, expired or revoked")
        return found

    def session_of(self, request: Request) -> Session | None:
        """What the cookie of a request says, if it is one of ours. Whether its token is good is another question."""
        cookie = request.cookies.get(self.sessions.cookie)
        return None if cookie is None else self.sessions.read(cookie)

    def forget(self) -> None:
        """Look everybody up again: somebody's rights have changed."""
        self._remembered = {}

    async def _bearer(self, given: str, *, address: str) -> Principal:
        scheme, _, secret = given.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            self.refusals.take(address)
            raise Unauthenticated("the Authorization header must be: Bearer <token>")
        return await self.log_in(secret.strip(), address=address)

    async def _recall(self, key: str, *, find: Callable[[], Principal | None]) -> Principal | None:
        remembered = self._remembered
        known = remembered.get(key)
        if known is not None and self._clock() - known[1] < REMEMBERED_SECONDS:
            return known[0]
        asked_at = self._clock()
        found = await run_in_threadpool(find)
        if found is None:
            remembered.pop(key, None)
            return None
        if len(remembered) >= _REMEMBERED:
            remembered.clear()
        # Into what was in use when we asked: what `forget` has dropped meanwhile stays dropped.
        remembered[key] = (found, asked_at)
        return found


def address_of(request: Request) -> str:
    """Where a request comes from; behind proxies that are trusted, where they say that it comes from."""
    return request.client.host if request.client else "unknown"
