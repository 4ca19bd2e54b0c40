"""The client: one service's API as methods."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

import httpx2

from tuner.client.errors import UNAVAILABLE, ApiProblem, ServiceUnreachable
from tuner.client.jobs import JobCalls
from tuner.client.people import People
from tuner.client.profiles import DEFAULT_URL, Profiles
from tuner.client.queue import QueueCalls
from tuner.client.runs import RunCalls
from tuner.client.schedules import ScheduleCalls
from tuner.client.transport import Transport
from tuner.client.webhooks import Webhooks

_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.1


class Client(JobCalls, RunCalls, QueueCalls, ScheduleCalls):
    """One service. A context manager that closes its connections.

    Every method may raise `ApiProblem` when the service refuses (`NotLoggedIn` when it does not know who asks), and
    `ServiceUnreachable` when none answers.

    Args:
        base_url: Address of the service.
        token: Sent with every request; none where nobody logs in. `from_profile` finds the one that `tuner login`
            stored.
        timeout: Seconds that one request may take.
        carrier: What carries the requests; the network when absent.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        carrier: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = Transport(base_url, token=token, timeout=timeout, carrier=carrier)
        self.people = People(self._http)
        """Teams, users, tokens, and who did what."""
        self.webhooks = Webhooks(self._http)
        """Where teams want to be told of their jobs' events."""

    @classmethod
    def from_profile(cls, url: str | None = None, *, timeout: float = _TIMEOUT_SECONDS) -> Self:
        """A client as the command line uses it.

        Args:
            url: Address of the service; ``TUNER_URL``, else the one that was logged in to last, else that of a service
                on this machine, when absent. The token is ``TUNER_TOKEN``, else the one stored for the address.
            timeout: Seconds that one request may take.

        Raises:
            InvalidValue: The profiles cannot be read.
        """
        profiles = Profiles.default()
        address = url or os.environ.get("TUNER_URL") or profiles.current() or DEFAULT_URL
        return cls(address, token=os.environ.get("TUNER_TOKEN") or profiles.token(address), timeout=timeout)

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._http.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def wait_ready(self, deadline: float) -> None:
        """Return once the service can do its work. No login is needed.

        Args:
            deadline: Seconds to wait at most.

        Raises:
            ServiceUnreachable: None answers by then.
            ApiProblem: One answers, but is still not ready.
        """
        end = time.monotonic() + deadline
        while True:
            try:
                self._http.ask("GET", "/readyz")
            except (ServiceUnreachable, ApiProblem) as error:
                if time.monotonic() >= end or (isinstance(error, ApiProblem) and error.status != UNAVAILABLE):
                    raise
            else:
                return
            time.sleep(_POLL_SECONDS)
