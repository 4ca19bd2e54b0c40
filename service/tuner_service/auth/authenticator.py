"""Authenticates requests by tokens and sessions, with a cache of a few seconds."""

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

CACHE_SECONDS = 5.0
"""How long a service may still accept a token that another service has revoked."""
_CACHE_SIZE = 10_000
_STREAM_RETRY_SECONDS = 10


class Accounts(Protocol):
    """The part of the store that resolves tokens."""

    def authenticate(self, secret: str) -> Principal | None:
        """The principal of a token, by its secret; ``None`` for a token that is not valid."""

    def principal(self, token_id: str) -> Principal | None:
        """The principal of a token, by its id; ``None`` for a token that is not valid any more."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a request, and by which session."""

    principal: Principal
    session: Session | None = None
    """The browser's; ``None`` for a token, and where no login is required."""


class Authenticator:
    """Identifies the caller of each request, and limits rates. For one event loop.

    Args:
        settings: Whether a login is required, lifetime of sessions, rate limits.
        accounts: Resolves tokens.
        secret: The service's own.
        clock: Monotonic seconds.
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
        self.streams = ConcurrencyLimit(settings.stream_limit, what="event streams", retry_after=_STREAM_RETRY_SECONDS)
        self._accounts = accounts
        self._clock = clock
        self._cache: dict[str, tuple[Principal, float]] = {}

    async def identify(self, request: Request) -> Caller | None:
        """Authenticate a request.

        Returns:
            ``None`` for a request with neither a token nor a valid session.

        Raises:
            Unauthenticated: Its token is refused.
            TooManyRequests: Its token is refused, and its address sent too many refused tokens.
            DatabaseUnavailable: The token cannot be resolved.
        """
        if not self.login_needed:
            return Caller(principal=LOCAL)
        header = request.headers.get("authorization")
        if header is not None:
            return Caller(principal=await self._bearer(header, address=address_of(request)))
        session = self.session_of(request)
        if session is None:
            return None
        token_id = session.token_id
        principal = await self._cached(f"session {token_id}", resolve=lambda: self._accounts.principal(token_id))
        return None if principal is None else Caller(principal=principal, session=session)

    async def log_in(self, secret: str, *, address: str) -> Principal:
        """Authenticate a caller by the secret of a token.

        Raises:
            Unauthenticated: The token is refused.
            TooManyRequests: The token is refused, and the address sent too many refused tokens.
            DatabaseUnavailable: The token cannot be resolved.
        """
        principal = await self._cached(f"token {digest(secret)}", resolve=lambda: self._accounts.authenticate(secret))
        if principal is None:
            self.refusals.take(address)
            raise Unauthenticated("the token is not accepted: it is unknown, expired or revoked")
        return principal

    def session_of(self, request: Request) -> Session | None:
        """The session of a request's cookie, if this service signed it. Its token may be revoked."""
        cookie = request.cookies.get(self.sessions.cookie)
        return None if cookie is None else self.sessions.read(cookie)

    def forget(self) -> None:
        """Clear the cache, because rights have changed."""
        self._cache = {}

    async def _bearer(self, header: str, *, address: str) -> Principal:
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            self.refusals.take(address)
            raise Unauthenticated("the Authorization header must be: Bearer <token>")
        return await self.log_in(secret.strip(), address=address)

    async def _cached(self, key: str, *, resolve: Callable[[], Principal | None]) -> Principal | None:
        cache = self._cache
        entry = cache.get(key)
        if entry is not None and self._clock() - entry[1] < CACHE_SECONDS:
            return entry[0]
        resolved_at = self._clock()
        principal = await run_in_threadpool(resolve)
        if principal is None:
            cache.pop(key, None)
            return None
        if len(cache) >= _CACHE_SIZE:
            cache.clear()
        # Into the cache from before the call: entries that `forget` has dropped meanwhile stay dropped.
        cache[key] = (principal, resolved_at)
        return principal


def address_of(request: Request) -> str:
    """The client address of a request; behind trusted proxies, the one that they forward."""
    return request.client.host if request.client else "unknown"
