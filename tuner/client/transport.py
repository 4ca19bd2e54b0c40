"""Carries requests to one service, and reads its answers: JSON values, pages, and streams of events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, TypeAdapter

from tuner.client.errors import (
    TOO_MANY_REQUESTS,
    UNAUTHENTICATED,
    UNAVAILABLE,
    ApiProblem,
    NotLoggedIn,
    ServiceUnreachable,
    problem_of,
    reason_of,
)
from tuner.jobs.records import EventRecord
from tuner.loopback import is_loopback

PAGE = 200
"""Items asked for at a time."""

_END = "end"
_SILENCE_SECONDS = 45.0  # an open event stream says something every 15
_BACKOFF_SECONDS = (0.1, 2.0)
_SHORTEST_WAIT_SECONDS = 0.1

T = TypeVar("T")


class Keep(Enum):
    """Stands for a value that is not said, where ``None`` means something."""

    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class _Page(Generic[T]):
    items: tuple[T, ...]
    next_cursor: str | None


class Transport:
    """The connections to one service.

    Args:
        url: Address of the service.
        token: Sent with every request; none where nobody logs in.
        timeout: Seconds that one request may take, and that it may wait when the service asks to slow down.
        carrier: What carries the requests; the network when absent.
    """

    def __init__(
        self, url: str, *, token: str | None, timeout: float, carrier: httpx2.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._has_token = token is not None
        self._timeout = timeout
        self._http = httpx2.Client(
            base_url=self.url,
            timeout=timeout,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            transport=carrier,
            # A proxy named in the environment is not on the way to this machine.
            trust_env=not is_loopback(urlsplit(self.url).hostname or ""),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Send a request, again when the service asks to wait a little, and return a successful answer.

        Args:
            method: ``"GET"``, ...
            path: From the root of the service.
            **request: As httpx2 takes it: ``params``, ``json``, ``headers``.

        Raises:
            ApiProblem: The service refuses, or cannot do it.
            ServiceUnreachable: No service answers.
        """
        end = time.monotonic() + self._timeout
        while True:
            try:
                response = self._http.request(method, path, **request)
            except httpx2.TransportError as error:
                raise ServiceUnreachable(self.url, reason=reason_of(error)) from error
            if not response.is_error:
                return response
            wait = _asked_to_wait(response)
            if wait is None or time.monotonic() + wait > end:
                raise self._problem(response)
            time.sleep(wait)

    def get(self, kind: type[T], path: str, *, params: Mapping[str, Any] | None = None) -> T:
        """Ask for a value of a type; parameters that are ``None`` are left out."""
        return read(kind, self.ask("GET", path, params=given(params or {})))

    def send(self, kind: type[T], method: str, path: str, *, body: BaseModel | Mapping[str, Any] | None = None) -> T:
        """Send a value, and read the answer. Of a pydantic model, the fields that were set are sent."""
        plain = body.model_dump(mode="json", exclude_unset=True) if isinstance(body, BaseModel) else dict(body or {})
        return read(kind, self.ask(method, path, json=plain))

    def pages(self, kind: type[T], path: str, *, params: Mapping[str, Any] | None = None) -> Iterator[T]:
        """The items of a list that comes in pages, fetched as they are needed."""
        query = given({"limit": PAGE, **(params or {})})
        while True:
            page = read(_page_of(kind), self.ask("GET", path, params=query))
            yield from page.items
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def events(
        self, path: str, *, after: int | None, patience: float, quiet: float | None = None
    ) -> Iterator[EventRecord]:
        """What a stream tells, to its end. A stream that is cut is taken up again: nothing is lost or told twice.

        Args:
            path: Of the stream.
            after: Id of the last event already seen; where the service begins by itself when ``None``.
            patience: Seconds without any service after which to give up.
            quiet: Seconds without an event after which to stop; follow to the stream's end when ``None``.

        Raises:
            ServiceUnreachable: No service answered for so long.
            ApiProblem: The service refuses.
        """
        seen, silent_since, wait = after, time.monotonic(), _BACKOFF_SECONDS[0]
        while True:
            try:
                for message in self._stream(path, after=seen, silence=_SILENCE_SECONDS if quiet is None else quiet):
                    silent_since, wait = time.monotonic(), _BACKOFF_SECONDS[0]
                    if message.event == _END:
                        return
                    event = adapter(EventRecord).validate_json(message.data)
                    seen = event.id
                    yield event
                    silent_since = time.monotonic()
            except httpx2.TransportError as error:
                if quiet is not None and isinstance(error, httpx2.ReadTimeout):
                    return
                if time.monotonic() - silent_since > patience:
                    raise ServiceUnreachable(self.url, reason=reason_of(error)) from error
            except ApiProblem as problem:
                passes = problem.status in {UNAVAILABLE, TOO_MANY_REQUESTS}
                if not passes or time.monotonic() - silent_since > patience:
                    raise
            time.sleep(wait)
            wait = min(wait * 2, _BACKOFF_SECONDS[1])

    def _stream(self, path: str, *, after: int | None, silence: float) -> Iterator[httpx2.ServerSentEvent]:
        """One connection's worth of messages, until none comes for so many seconds."""
        timeout = httpx2.Timeout(self._timeout, read=silence)
        headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
                raise self._problem(response)
            yield from httpx2.EventSource(response)

    def _problem(self, response: httpx2.Response) -> ApiProblem:
        problem = problem_of(response)
        if problem.status == UNAUTHENTICATED:
            return NotLoggedIn(self.url, problem=problem, had_token=self._has_token)
        return problem


def part(text: str) -> str:
    """One part of a path, escaped."""
    return quote(text, safe="")


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given: all but ``None``."""
    return {name: value for name, value in values.items() if value is not None}


def _asked_to_wait(response: httpx2.Response) -> float | None:
    """Seconds after which the service wants to be asked again; ``None`` when that is not what it says."""
    if response.status_code != TOO_MANY_REQUESTS:
        return None
    try:
        return max(_SHORTEST_WAIT_SECONDS, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None


def _page_of(kind: type[T]) -> type[_Page[T]]:
    return _Page[kind]  # type: ignore[valid-type]  # known when it runs, which is when pydantic reads it


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def adapter(kind: type[T]) -> TypeAdapter[T]:
    """The reader of a type; made once, because making one takes longer than using it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def read(kind: type[T], response: httpx2.Response) -> T:
    """The value of a type that an answer holds."""
    return adapter(kind).validate_json(response.content)
