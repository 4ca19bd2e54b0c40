"""Sends one request to a webhook, and lets nobody use it to reach what only this machine's network can reach.

The name is resolved here, every address that it has is checked, and the connection goes to one of those addresses: a
name that changes between the check and the connection gains nothing. Proxies are not used, redirects not followed, and
of the answer the status alone is told.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from http import HTTPStatus
from urllib.parse import urlsplit

from tuner import __version__
from tuner.jobs.webhooks import Answer
from tuner_service.webhooks.addresses import is_public

TIMEOUT_SECONDS = 10.0
"""For all of one attempt but the look-up of the name."""
_READ_BYTES = 65_536
_PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Sequence[str]]


class Refused(Exception):
    """Nothing was sent: the URL leads where webhooks may not."""


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a host.

    Raises:
        OSError: It has none, or the resolver does not answer.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Sender:
    """Posts to the URLs of webhooks.

    Args:
        allow_private: Whether private, loopback and other addresses outside the open internet may be reached.
        resolve: Looks up the addresses of a host.
        tls: Checks certificates; by default against the system's authorities.
        timeout_seconds: For all of one attempt but the look-up of the name.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._given_tls = tls
        self._timeout = timeout_seconds

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Only when it is needed: reading the system's authorities takes a while.
        return self._given_tls or ssl.create_default_context()

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request, and tell what came of it. Whatever the network does, it is told and not raised."""
        deadline = time.monotonic() + self._timeout
        try:
            status = self._status(url, body=body, headers=headers, deadline=deadline)
        except Refused as refusal:
            return Answer(status=None, error=str(refusal))
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline:
                return Answer(status=None, error=f"no answer within {self._timeout:g} seconds")
            return Answer(status=None, error=f"{type(error).__name__}: {error}")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return Answer(status=status, error=f"the receiver answered {status}; redirects are not followed")
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Answer(status=status, error=f"the receiver answered {status}")
        return Answer(status=status, error=None)

    def _status(self, url: str, *, body: bytes, headers: Mapping[str, str], deadline: float) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or _PORTS[parts.scheme]
        addresses = self._allowed(host, port)
        with closing(_connected(addresses, port=port, deadline=deadline)) as plain:
            # Not yet the handshake: the watch must be able to cut it short.
            connection = (
                self._tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
                if parts.scheme == "https"
                else plain
            )
            with closing(connection), _cut_at(deadline, connection) as cut:
                if isinstance(connection, ssl.SSLSocket):
                    connection.do_handshake()
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                return _exchange(connection, cut=cut, host=parts.netloc, target=target, body=body, headers=headers)

    def _allowed(self, host: str, port: int) -> Sequence[str]:
        addresses = self._resolve(host, port)
        closed = [] if self._allow_private else [address for address in addresses if not is_public(address)]
        if closed:
            raise Refused(
                f"{host} has the address {closed[0]}, which is not one of the open internet. Whoever runs the service "
                "can allow such addresses: TUNER_WEBHOOKS_ALLOW_PRIVATE"
            )
        if not addresses:
            raise OSError(f"{host} has no address")
        return addresses


def _connected(addresses: Sequence[str], *, port: int, deadline: float) -> socket.socket:
    """A connection to the first address that takes one.

    Raises:
        OSError: None does, or the time is up; what the last one met.
    """
    met: OSError = TimeoutError("no time was left to connect")
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            connection = socket.create_connection((address, port), timeout=left)
        except OSError as error:
            met = error
        else:
            return connection
    raise met


@contextmanager
def _cut_at(deadline: float, connection: socket.socket) -> Iterator[threading.Event]:
    """Cut a connection at a time: a time-out alone begins anew with every byte that a slow receiver sends.

    Yields:
        Set when that was done: what was read may then be half an answer.
    """
    done = threading.Event()

    def cut() -> None:
        done.set()
        with suppress(OSError):  # it has ended by itself
            # The plain socket's own way: that of TLS would take its state from under the thread that reads.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    watch = threading.Timer(max(deadline - time.monotonic(), 0.0), cut)
    watch.daemon = True
    watch.start()
    try:
        yield done
    finally:
        watch.cancel()


def _exchange(
    connection: socket.socket,
    *,
    cut: threading.Event,
    host: str,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
) -> int:
    """Send the request, and read the status of its answer.

    Raises:
        TimeoutError: The connection was cut before the answer was whole.
    """
    with closing(http.client.HTTPConnection(host)) as exchange:
        exchange.sock = connection
        exchange.auto_open = 0
        own = {"Host": host, "User-Agent": f"schedule-tuner/{__version__}", "Connection": "close"}
        exchange.request("POST", target, body=body, headers=own | dict(headers))
        response = exchange.getresponse()
        if cut.is_set():
            raise TimeoutError
        with suppress(OSError, http.client.HTTPException):  # a receiver that is read to the end can close in peace
            response.read(_READ_BYTES)
        return response.status
