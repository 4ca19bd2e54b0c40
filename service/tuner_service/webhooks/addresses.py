"""Which addresses a webhook may be sent to. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tuner.errors import InvalidValue

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOBODYS = (ipaddress.IPv4Network("192.88.99.0/24"), ipaddress.IPv6Network("3fff::/20"))
"""Relays of 6to4, and documentation: Python 3.11 does not know that these are not of the open internet."""
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
"""6to4 and Teredo: such an address stands for an IPv4 address, which may be private."""


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet.

    Not so are private, loopback, link-local, multicast, shared, reserved and documentation addresses; nor IPv6
    addresses that stand for an IPv4 address (mapped, translated, 6to4, Teredo), whatever that is.

    Args:
        address: IPv4 or IPv6, as the resolver gives it.

    Raises:
        ValueError: It is no address.
    """
    found = ipaddress.ip_address(address)
    if not found.is_global or found.is_multicast or found.is_reserved or any(found in one for one in _NOBODYS):
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return True
    return found in _GLOBAL_UNICAST and not any(found in network for network in _TUNNELS)


def check_written_address(url: str) -> None:
    """Refuse a URL that names an address outside the open internet; names are looked up when something is sent.

    Args:
        url: Of a webhook, well-formed.

    Raises:
        InvalidValue: It names such an address.
    """
    host = urlsplit(url).hostname or ""
    try:
        public = is_public(host)
    except ValueError:
        return
    if not public:
        raise InvalidValue(
            "url",
            value=url,
            allowed="on the open internet",
            hint="Whoever runs the service can allow other addresses: TUNER_WEBHOOKS_ALLOW_PRIVATE",
        )
