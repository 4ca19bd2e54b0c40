"""Authenticates requests by tokens and sessions, with a cache of a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tuner.people.permissions import LOCAL, Principal
from tuner.people.tokens import digest, is_token
from tuner_service.auth.addresses import network_of
from tuner_service.auth.rate_limits import ConcurrencyLimit, RateLimit
from tuner_service.auth.sessions import Session, Sessions
from tuner_service.errors import TooManyRequests, Unauthenticated
from tuner_service.settings import Settings

CACHE_SECONDS = 5.0
"""How long a service may still accept a token that another service has revoked."""
_CACHE_SIZE = 10_000
_STREAM_RETRY_SECONDS = 10
_EXPENSIVE_RETRY_SECONDS = 1
_IN_ALL = 4
"""Expensive requests of all users, as a multiple of those of one: one user leaves room to the others."""


class Accounts(Protocol):
    """The part of the store that resolves tokens and sessions."""

    def authenticate(self, secret: str) -> Principal | None:
        """The principal of a token, by its secret; ``None`` for a token that is not valid."""

    def session_principal(self, session_digest: str) -> Principal | None:
        """The principal of a session; ``None`` for one that has ended."""

    def begin_session(self, token_id: str, *, lifetime: float) -> str:
        """Begin a session, and return its secret."""

    def end_session(self, session_digest: str) -> None:
        """End a session."""


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
        self.expensive = ConcurrencyLimit(
            settings.expensive_limit,
            in_all=_IN_ALL * settings.expensive_limit,
            what="expensive requests",
            retry_after=_EXPENSIVE_RETRY_SECONDS,
        )
        self._accounts = accounts
        self._clock = clock
        self._cache: dict[str, tuple[Principal, float]] = {}
        self._valid_before: dict[str, None] = {}
        self._doubtful = ConcurrencyLimit(1, what="unknown tokens of addresses that sent refused ones", retry_after=1)
        self._session_seconds = settings.session_lifetime.total_seconds()

    async def identify(self, request: Request) -> Caller | None:
        """Authenticate a request.

        Returns:
            ``None`` for a request with neither a token nor a valid session.

        Raises:
            Unauthenticated: Its token is refused.
            TooManyRequests: Its token or session is not known to be valid, and its address sent too many refused ones.
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
        principal = await self._resolved(
            f"session {session.digest}",
            resolve=lambda: self._accounts.session_principal(session.digest),
            address=address_of(request),
        )
        if principal is None:
            with suppress(TooManyRequests):  # counted like a refused token, but a browser is led to the login
                self.refusals.take(address_of(request))
            return None
        return Caller(principal=principal, session=session)

    async def log_in(self, secret: str, *, address: str) -> Principal:
        """Authenticate a caller by the secret of a token.

        Raises:
            Unauthenticated: The token is refused.
            TooManyRequests: The token is refused, and the address sent too many refused tokens.
            DatabaseUnavailable: The token cannot be resolved.
        """
        principal = None
        if is_token(secret):
            key = f"token {digest(secret)}"
            principal = await self._resolved(key, resolve=lambda: self._accounts.authenticate(secret), address=address)
        if principal is None:
            self.refusals.take(address)
            raise Unauthenticated("the token is not accepted: it is unknown, expired or revoked")
        return principal

    def session_of(self, request: Request) -> Session | None:
        """The session of a request's cookie. It may have ended, and its token may be revoked."""
        cookie = request.cookies.get(self.sessions.cookie)
        return None if cookie is None else self.sessions.read(cookie)

    async def begin_session(self, response: Response, *, token_id: str) -> None:
        """Begin a session, and set its cookie on a response.

        Raises:
            NotFound: The token is not valid any more.
            DatabaseUnavailable: The session cannot be stored.
        """
        lifetime = self._session_seconds
        secret = await run_in_threadpool(lambda: self._accounts.begin_session(token_id, lifetime=lifetime))
        self.sessions.begin(response, secret=secret)

    async def end_session(self, session: Session) -> None:
        """End a session: copies of its cookie are refused too, by other services after five seconds at most.

        Raises:
            DatabaseUnavailable: It cannot be ended now.
        """
        await run_in_threadpool(self._accounts.end_session, session.digest)
        self.forget()

    def forget(self) -> None:
        """Clear the cache, because rights have changed."""
        self._cache = {}

    async def _bearer(self, header: str, *, address: str) -> Principal:
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            self.refusals.take(address)
            raise Unauthenticated("the Authorization header must be: Bearer <token>")
        return await self.log_in(secret.strip(), address=address)

    async def _resolved(self, key: str, *, resolve: Callable[[], Principal | None], address: str) -> Principal | None:
        """The principal of a token or a session.

        What was valid before is always resolved. Anything else from an address that has sent too many refused tokens
        is resolved one at a time, and refused at once meanwhile, so that a flood costs next to no database reads.

        Raises:
            TooManyRequests: The address has sent too many refused tokens, and others are being resolved.
        """
        if key in self._valid_before or not self.refusals.is_reached(address):
            principal = await self._cached(key, resolve=resolve)
        else:
            with self._doubtful.one(""):
                principal = await self._cached(key, resolve=resolve)
        if principal is not None:
            self._valid_before.pop(key, None)
            self._valid_before[key] = None  # the latest last
            if len(self._valid_before) > _CACHE_SIZE:
                del self._valid_before[next(iter(self._valid_before))]
        return principal

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
    """The client address of a request, as limits count it; behind trusted proxies, the one that they forward."""
    return network_of(request.client.host) if request.client else "unknown"
