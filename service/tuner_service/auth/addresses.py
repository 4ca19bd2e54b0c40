"""Addresses of clients, as limits count them."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_ONE_SITE = 64
"""Bits of an IPv6 prefix that one site has to itself: a client there may take any of 2^64 addresses."""


@lru_cache(maxsize=4096)
def is_among(address: str, hosts: frozenset[str]) -> bool:
    """Whether an address is one of some addresses and networks, in which ``*`` stands for all."""
    if "*" in hosts or address in hosts:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in map(_network, hosts) if network is not None)


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What an address counts as: itself, or its network of one site with IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _ONE_SITE), strict=False)) if not parsed.is_loopback else address
