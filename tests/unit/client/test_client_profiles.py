"""Where tokens are stored, and to which services they are sent."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tuner.client import DEFAULT_URL, Client, Profiles, canonical
from tuner.errors import InvalidValue

HERE = "https://tuner.example.org"


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profiles:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TUNER_URL", "TUNER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return Profiles.default()


def test_a_token_is_stored_by_address_and_makes_it_the_current_one(profiles: Profiles):
    assert (profiles.current(), profiles.token(HERE)) == (None, None)
    profiles.store(HERE, token="stt_a")
    profiles.store("http://other:8642", token="stt_b")
    assert profiles.current() == "http://other:8642"
    assert (profiles.token(HERE), profiles.token("http://other:8642")) == ("stt_a", "stt_b")
    assert profiles.token("http://other:8643") is None


def test_only_the_owner_may_read_the_file_and_no_temporary_file_remains(profiles: Profiles):
    profiles.store(HERE, token="stt_a")
    profiles.store(HERE, token="stt_b")
    assert stat.S_IMODE(profiles.path.stat().st_mode) == 0o600
    assert [path.name for path in profiles.path.parent.iterdir()] == ["profiles.json"]


def test_a_forgotten_address_is_no_longer_the_current_one(profiles: Profiles):
    profiles.store(HERE, token="stt_a")
    assert profiles.forget(HERE)
    assert not profiles.forget(HERE)
    assert (profiles.current(), profiles.token(HERE)) == (None, None)


@pytest.mark.parametrize(
    "url", ["https://TUNER.example.org", "https://tuner.example.org:443", "https://tuner.example.org/"]
)
def test_ways_to_write_an_address_lead_to_the_same_token(profiles: Profiles, url: str):
    profiles.store(HERE, token="stt_a")
    assert profiles.token(url) == "stt_a"


@pytest.mark.parametrize("url", ["http://tuner.example.org", "https://tuner.example.org:444", f"{HERE}/below"])
def test_another_address_gets_no_token(profiles: Profiles, url: str):
    profiles.store(HERE, token="stt_a")
    assert profiles.token(url) is None


def test_an_address_of_ipv6_keeps_its_brackets():
    assert canonical("http://[::1]:80/") == "http://[::1]"


@pytest.mark.parametrize("content", ["", "[]", '{"tokens": 3}', "\x00"])
def test_a_file_that_cannot_be_used_is_refused_with_what_to_do(profiles: Profiles, content: str):
    profiles.path.parent.mkdir()
    profiles.path.write_text(content)
    with pytest.raises(InvalidValue, match="Remove it, and log in again"):
        profiles.token(HERE)


class TestFromProfile:
    def test_without_a_word_it_is_a_service_on_this_machine(self, profiles: Profiles):
        assert Client.from_profile().url == DEFAULT_URL

    def test_the_address_is_the_given_one_else_the_environments_else_the_current_one(
        self, profiles: Profiles, monkeypatch: pytest.MonkeyPatch
    ):
        profiles.store(HERE, token="stt_a")
        assert Client.from_profile().url == HERE
        monkeypatch.setenv("TUNER_URL", "http://of-the-environment")
        assert Client.from_profile().url == "http://of-the-environment"
        assert Client.from_profile("http://given").url == "http://given"
