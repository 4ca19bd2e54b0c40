"""Which addresses webhooks may reach."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import InvalidValue
from tuner_service.webhooks.addresses import check_written_address, is_public

CLOSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%2"],
    "shared": ["100.64.0.1"],
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "multicast": ["224.0.0.1", "224.0.1.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "broadcast and reserved": ["255.255.255.255", "240.0.0.1"],
    "documentation and tests": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1", "3fff::1"],
    "relays": ["192.88.99.1"],
    "site-local": ["fec0::1"],
    "standing for IPv4": [
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:93.184.215.14",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
}
OPEN = ["93.184.215.14", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]


@pytest.mark.parametrize("address", [one for family in CLOSED.values() for one in family])
def test_what_is_not_the_open_internet_is_closed(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_the_open_internet_is_open(address: str):
    assert is_public(address)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_every_address_that_python_calls_private_is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    closed = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
    )
    assert not (closed and is_public(str(address)))


@given(st.ip_addresses(v=4))
def test_no_ipv6_spelling_of_an_ipv4_address_is_open(address: ipaddress.IPv4Address):
    number = int(address)
    for prefix, shift in (("::ffff:0:0", 0), ("::", 0), ("64:ff9b::", 0), ("2002::", 80)):
        assert not is_public(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + (number << shift))))


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://[::1]:8443/hook", "http://169.254.169.254/latest"])
def test_a_url_with_a_private_address_is_refused_at_once(url: str):
    with pytest.raises(InvalidValue, match="TUNER_WEBHOOKS_ALLOW_PRIVATE"):
        check_written_address(url)


@pytest.mark.parametrize("url", ["http://localhost/", "https://example.org/", "http://8.8.8.8/"])
def test_names_are_checked_when_something_is_sent(url: str):
    check_written_address(url)
