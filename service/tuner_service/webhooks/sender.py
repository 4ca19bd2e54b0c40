"""Sends signed events to webhooks, and prevents server-side request forgery.

The sender resolves the name itself, checks all of its addresses, and connects to one of the checked addresses: a name
that changes between the check and the connection (DNS rebinding) has no effect. It uses no proxies, follows no
redirects, and returns nothing of the response but the status.
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
from typing import Any
from urllib.parse import urlsplit

from tuner import __version__
from tuner.jobs.webhooks import DeliveryResponse, WebhookFormat
from tuner_service.webhooks.addresses import is_public
from tuner_service.webhooks.messages import encode
from tuner_service.webhooks.signing import signed_headers, signing_key

TIMEOUT_SECONDS = 10.0
"""For all of one attempt but the lookup of the name."""
_READ_BYTES = 65_536
_PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Sequence[str]]


class AddressRefused(Exception):
    """Nothing was sent: the URL leads to an address that webhooks may not reach."""


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a host.

    Raises:
        OSError: It has none, or the resolver does not respond.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class WebhookSender:
    """Encodes, signs and posts events.

    Args:
        secret: The service's own, from which the webhooks' keys are derived. Services over one database share it.
        allow_private: Whether private, loopback and other addresses outside the public internet may be reached.
        resolve: Looks up the addresses of a host.
        tls: Checks certificates; by default against the system's authorities.
        timeout_seconds: For all of one attempt but the lookup of the name.
        clock: Seconds since 1970 UTC, for the timestamps.
    """

    def __init__(
        self,
        *,
        secret: bytes,
        allow_private: bool,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._allow_private = allow_private
        self._resolve = resolve
        self._custom_tls = tls
        self._timeout = timeout_seconds
        self._clock = clock

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Created on first use: reading the system's authorities takes a while.
        return self._custom_tls or ssl.create_default_context()

    def key(self, webhook_id: str, *, version: int) -> str:
        """The key that signs a webhook's deliveries."""
        return signing_key(self._secret, webhook_id=webhook_id, version=version)

    def deliver(
        self, event: Mapping[str, Any], *, webhook_id: str, url: str, webhook_format: WebhookFormat, key_version: int
    ) -> DeliveryResponse:
        """Make one attempt to send an event. Network errors are returned, not raised."""
        body = encode(event, webhook_format=webhook_format)
        key = self.key(webhook_id, version=key_version)
        signed = signed_headers(key, message_id=event["id"], timestamp=int(self._clock()), body=body)
        return self.post(url, body=body, headers={"Content-Type": "application/json", **signed})

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> DeliveryResponse:
        """Send one request. Network errors are returned, not raised."""
        deadline = time.monotonic() + self._timeout
        try:
            status = self._status(url, body=body, headers=headers, deadline=deadline)
        except AddressRefused as refusal:
            return DeliveryResponse(status=None, error=str(refusal))
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline:
                return DeliveryResponse(status=None, error=f"no response within {self._timeout:g} seconds")
            return DeliveryResponse(status=None, error=f"{type(error).__name__}: {error}")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return DeliveryResponse(status=status, error=f"the receiver answered {status}; redirects are not followed")
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return DeliveryResponse(status=status, error=f"the receiver answered {status}")
        return DeliveryResponse(status=status, error=None)

    def _status(self, url: str, *, body: bytes, headers: Mapping[str, str], deadline: float) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or _PORTS[parts.scheme]
        addresses = self._allowed(host, port)
        with closing(_connected(addresses, port=port, deadline=deadline)) as plain:
            # The handshake comes later, so that the timer can interrupt it.
            connection = (
                self._tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
                if parts.scheme == "https"
                else plain
            )
            with closing(connection), _closed_at(deadline, connection) as expired:
                if isinstance(connection, ssl.SSLSocket):
                    connection.do_handshake()
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                return _exchange(
                    connection, expired=expired, host=parts.netloc, target=target, body=body, headers=headers
                )

    def _allowed(self, host: str, port: int) -> Sequence[str]:
        addresses = self._resolve(host, port)
        private = [] if self._allow_private else [address for address in addresses if not is_public(address)]
        if private:
            raise AddressRefused(
                f"{host} has the address {private[0]}, which is not on the public internet. The operator of the "
                "service can allow such addresses: TUNER_WEBHOOKS_ALLOW_PRIVATE"
            )
        if not addresses:
            raise OSError(f"{host} has no address")
        return addresses


def _connected(addresses: Sequence[str], *, port: int, deadline: float) -> socket.socket:
    """A connection to the first address that accepts one.

    Raises:
        OSError: None does, or the time is up; the error of the last address.
    """
    last_error: OSError = TimeoutError("no time was left to connect")
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            connection = socket.create_connection((address, port), timeout=left)
        except OSError as error:
            last_error = error
        else:
            return connection
    raise last_error


@contextmanager
def _closed_at(deadline: float, connection: socket.socket) -> Iterator[threading.Event]:
    """Shut a connection down at a deadline. A socket timeout would restart with every byte of a slow receiver.

    Yields:
        Set when the connection was shut down: the response may then be incomplete.
    """
    expired = threading.Event()

    def shut_down() -> None:
        expired.set()
        with suppress(OSError):  # the connection has ended already
            # The plain socket's method: that of TLS would drop the state that the reading thread uses.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0.0), shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def _exchange(
    connection: socket.socket,
    *,
    expired: threading.Event,
    host: str,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
) -> int:
    """Send the request, and read the status of its response.

    Raises:
        TimeoutError: The deadline passed before the response was complete.
    """
    with closing(http.client.HTTPConnection(host)) as exchange:
        exchange.sock = connection
        exchange.auto_open = 0
        own = {"Host": host, "User-Agent": f"schedule-tuner/{__version__}", "Connection": "close"}
        exchange.request("POST", target, body=body, headers=own | dict(headers))
        response = exchange.getresponse()
        if expired.is_set():
            raise TimeoutError
        with suppress(OSError, http.client.HTTPException):  # reading on avoids a reset at the receiver
            response.read(_READ_BYTES)
        return response.status
