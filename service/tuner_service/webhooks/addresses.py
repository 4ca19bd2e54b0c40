"""The addresses that webhooks may reach. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tuner.errors import InvalidValue

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_UNASSIGNED = (ipaddress.IPv4Network("192.88.99.0/24"), ipaddress.IPv6Network("3fff::/20"))
"""Relays of 6to4, and documentation: Python 3.11 still counts these networks as public."""
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
"""6to4 and Teredo: such an address stands for an IPv4 address, which may be private."""


def is_public(address: str) -> bool:
    """Whether an address is on the public internet.

    Private, loopback, link-local, multicast, shared, reserved and documentation addresses are not; nor are IPv6
    addresses that embed an IPv4 address (mapped, translated, 6to4, Teredo).

    Args:
        address: IPv4 or IPv6, as the resolver returns it.

    Raises:
        ValueError: It is not an address.
    """
    found = ipaddress.ip_address(address)
    if (
        not found.is_global
        or found.is_multicast
        or found.is_reserved
        or any(found in network for network in _UNASSIGNED)
    ):
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return True
    return found in _GLOBAL_UNICAST and not any(found in network for network in _TUNNELS)


def check_written_address(url: str) -> None:
    """Refuse a URL that contains an address outside the public internet. Host names are resolved at each attempt.

    Args:
        url: The webhook's URL, well-formed.

    Raises:
        InvalidValue: It contains such an address.
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
            allowed="on the public internet",
            hint="The operator of the service can allow other addresses: TUNER_WEBHOOKS_ALLOW_PRIVATE",
        )
