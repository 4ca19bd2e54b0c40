"""The client: the API of one service as methods."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

import httpx2

from tuner.client.errors import UNAVAILABLE, ApiProblem, ServiceUnreachable
from tuner.client.jobs import JobsApi
from tuner.client.people import PeopleApi
from tuner.client.profiles import DEFAULT_URL, Profiles
from tuner.client.queue import QueueApi
from tuner.client.runs import RunsApi
from tuner.client.schedules import SchedulesApi
from tuner.client.transport import Transport
from tuner.client.webhooks import WebhooksApi
from tuner.client.workers import WorkersApi

_TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.1


class Client(JobsApi, RunsApi, QueueApi, WorkersApi, SchedulesApi):
    """A client of one service. As a context manager it closes its connections.

    Every method may raise `ApiProblem` for an error of the service (`NotLoggedIn` without a valid token), and
    `ServiceUnreachable` when no service responds.

    Args:
        base_url: Address of the service.
        token: Sent with every request; ``None`` where no login is required. `from_profile` uses the one that
            `tuner login` stored.
        timeout: Seconds for one request.
        transport: Sends the requests; the network when absent.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        timeout: float = _TIMEOUT_SECONDS,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = Transport(base_url, token=token, timeout=timeout, transport=transport)
        self.people = PeopleApi(self._http)
        """Teams, users, tokens, and the audit log."""
        self.webhooks = WebhooksApi(self._http)
        """Webhooks and their deliveries."""

    @classmethod
    def from_profile(cls, url: str | None = None, *, timeout: float = _TIMEOUT_SECONDS) -> Self:
        """A client with the address and the token that the command line uses.

        Args:
            url: Address of the service. When absent: ``TUNER_URL``, else the address of the last login, else that of a
                service on this machine. The token is ``TUNER_TOKEN``, else the one stored for the address.
            timeout: Seconds for one request.

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
        """Wait until the service is ready. This needs no login.

        Args:
            deadline: Maximum seconds to wait.

        Raises:
            ServiceUnreachable: No service responds in time.
            ApiProblem: The service responds, but is not ready in time.
        """
        end = time.monotonic() + deadline
        while True:
            try:
                self._http.request("GET", "/readyz")
            except (ServiceUnreachable, ApiProblem) as error:
                if time.monotonic() >= end or (isinstance(error, ApiProblem) and error.status != UNAVAILABLE):
                    raise
            else:
                return
            time.sleep(_POLL_SECONDS)
