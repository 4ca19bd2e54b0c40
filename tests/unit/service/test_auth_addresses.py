from __future__ import annotations

import pytest

from tuner_service.auth.addresses import is_among, network_of


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_all_addresses_that_one_client_may_take_count_as_one(address: str, counts_as: str):
    assert network_of(address) == counts_as


@pytest.mark.parametrize(
    ("address", "hosts", "expected"),
    [
        ("10.1.2.3", {"10.1.2.3"}, True),
        ("10.1.2.3", {"10.0.0.0/8"}, True),
        ("11.1.2.3", {"10.0.0.0/8", "proxy"}, False),
        ("fd00::7", {"10.0.0.0/8", "fd00::/8"}, True),
        ("192.0.2.7", {"*"}, True),
        ("", {"10.0.0.0/8"}, False),
        ("192.0.2.7", set(), False),
    ],
)
def test_proxies_are_addresses_or_networks(address: str, hosts: set[str], expected: bool):
    assert is_among(address, frozenset(hosts)) is expected
