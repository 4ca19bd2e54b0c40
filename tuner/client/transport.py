"""HTTP connections to one service: JSON values, pages, and event streams."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, TypeAdapter

from tuner.backoff import Backoff
from tuner.client.errors import (
    TOO_MANY_REQUESTS,
    UNAUTHENTICATED,
    UNAVAILABLE,
    ApiProblem,
    NotLoggedIn,
    ServiceUnreachable,
    failure_reason,
    to_problem,
)
from tuner.jobs.records import EventRecord
from tuner.loopback import is_loopback

PAGE = 200
"""Items per page."""

_END = "end"
_SILENCE_SECONDS = 45.0  # an open event stream sends a message at least every 15 s
_BACKOFF_SECONDS = (0.1, 2.0)
_SHORTEST_WAIT_SECONDS = 0.1

T = TypeVar("T")
Item = TypeVar("Item", covariant=True)


class Page(Protocol[Item]):
    """One page of a list, as in `tuner.api`."""

    @property
    def items(self) -> tuple[Item, ...]:
        """The items of the page."""

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page; ``None`` on the last page."""


class Transport:
    """The connections to one service.

    Args:
        url: Address of the service.
        token: Sent with every request; ``None`` where no login is required.
        timeout: Seconds for one request, including the waits that the service demands with 429.
        transport: Sends the requests; the network when absent.
    """

    def __init__(
        self, url: str, *, token: str | None, timeout: float, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._has_token = token is not None
        self._timeout = timeout
        self._http = httpx2.Client(
            base_url=self.url,
            timeout=timeout,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            transport=transport,
            # A proxy of the environment does not apply to this machine.
            trust_env=not is_loopback(urlsplit(self.url).hostname or ""),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request, retry it when the service is limiting the rate, and return a successful response.

        Args:
            method: ``"GET"``, ...
            path: From the root of the service.
            **options: Of httpx2: ``params``, ``json``, ``headers``.

        Raises:
            ApiProblem: The service responds with an error.
            ServiceUnreachable: No service responds.
        """
        end = time.monotonic() + self._timeout
        while True:
            try:
                response = self._http.request(method, path, **options)
            except httpx2.TransportError as error:
                raise ServiceUnreachable(self.url, reason=failure_reason(error)) from error
            if not response.is_error:
                return response
            wait = _retry_after(response)
            if wait is None or time.monotonic() + wait > end:
                raise self._problem(response)
            time.sleep(wait)

    def get(self, kind: type[T], path: str, *, params: Mapping[str, Any] | None = None) -> T:
        """Get a value of a type. Parameters that are ``None`` are omitted."""
        return read(kind, self.request("GET", path, params=without_none(params or {})))

    def send(self, kind: type[T], method: str, path: str, *, body: BaseModel | Mapping[str, Any] | None = None) -> T:
        """Send a value and read the response. Of a pydantic model, only the fields that were set are sent."""
        plain = body.model_dump(mode="json", exclude_unset=True) if isinstance(body, BaseModel) else dict(body or {})
        return read(kind, self.request(method, path, json=plain))

    def pages(self, kind: type[Page[T]], path: str, *, params: Mapping[str, Any] | None = None) -> Iterator[T]:
        """The items of a paginated list. Pages are requested when they are needed."""
        query = without_none({"limit": PAGE, **(params or {})})
        while True:
            page = read(kind, self.request("GET", path, params=query))
            yield from page.items
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def events(
        self, path: str, *, after: int | None, patience: float, quiet: float | None = None
    ) -> Iterator[EventRecord]:
        """The events of a stream, to its end. An interrupted stream is resumed: no event is lost or repeated.

        Args:
            path: Of the stream.
            after: Id of the last event received; the start of the stream when ``None``.
            patience: Seconds without a service after which to give up.
            quiet: Seconds without an event after which to stop; only at the stream's end when ``None``.

        Raises:
            ServiceUnreachable: No service responded for so long.
            ApiProblem: The service responds with an error.
        """
        seen, silent_since = after, time.monotonic()
        backoff = Backoff(first=_BACKOFF_SECONDS[0], longest=_BACKOFF_SECONDS[1])
        while True:
            try:
                for message in self._stream(path, after=seen, silence=_SILENCE_SECONDS if quiet is None else quiet):
                    silent_since = time.monotonic()
                    backoff.reset()
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
                    raise ServiceUnreachable(self.url, reason=failure_reason(error)) from error
            except ApiProblem as problem:
                is_transient = problem.status in {UNAVAILABLE, TOO_MANY_REQUESTS}
                if not is_transient or time.monotonic() - silent_since > patience:
                    raise
            time.sleep(backoff.pause())

    def _stream(self, path: str, *, after: int | None, silence: float) -> Iterator[httpx2.ServerSentEvent]:
        """The messages of one connection, until none arrives for so many seconds."""
        timeout = httpx2.Timeout(self._timeout, read=silence)
        headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
                raise self._problem(response)
            yield from httpx2.EventSource(response)

    def _problem(self, response: httpx2.Response) -> ApiProblem:
        problem = to_problem(response)
        if problem.status == UNAUTHENTICATED:
            return NotLoggedIn(self.url, problem=problem, had_token=self._has_token)
        return problem


def path_segment(text: str) -> str:
    """A text as one escaped segment of a path."""
    return quote(text, safe="")


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not ``None``."""
    return {name: value for name, value in values.items() if value is not None}


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds after which the service accepts a retry; ``None`` for any other response than 429."""
    if response.status_code != TOO_MANY_REQUESTS:
        return None
    try:
        return max(_SHORTEST_WAIT_SECONDS, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def adapter(kind: type[T]) -> TypeAdapter[T]:
    """The type's adapter, created once: creation takes longer than validation."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def read(kind: type[T], response: httpx2.Response) -> T:
    """Parse the response's body as a value of a type."""
    return adapter(kind).validate_json(response.content)
