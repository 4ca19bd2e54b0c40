"""Ids from their start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tuner.cli.ids import check_whole, find_job, find_run, find_token, find_webhook
from tuner.errors import InvalidValue, NotFound

FIRST, SECOND = "3f2a91c0-7d1e-4a55-9e0b-0c5f5f0a0001", "3f2a77aa-7d1e-4a55-9e0b-0c5f5f0a0002"


class Service:
    """A client of a service that has the same two ids of every kind."""

    def __init__(self) -> None:
        self.all = (SimpleNamespace(id=FIRST), SimpleNamespace(id=SECOND))
        self.webhooks = SimpleNamespace(list=lambda: self.all)
        self.people = SimpleNamespace(tokens=lambda: self.all)

    def jobs(self, *, text: str = "") -> Any:
        return iter(one for one in self.all if one.id.startswith(text))

    def find_runs(self, start: str) -> Any:
        return tuple(self.jobs(text=start))


KINDS = pytest.mark.parametrize("find", [find_job, find_run, find_webhook, find_token])


@KINDS
@pytest.mark.parametrize("text", [FIRST, FIRST[:8], "3f2a9", "3F2A91C0"])
def test_an_id_is_found_by_its_start(find, text):
    assert find(Service(), text=text) == FIRST


@KINDS
@pytest.mark.parametrize("text", ["", "3", "3f2", "zzzz", "3f2_"])
def test_a_text_that_is_too_short_or_no_id_is_refused_before_the_service_is_asked(find, text):
    with pytest.raises(InvalidValue, match="at least its first 4 characters"):
        find(None, text=text)


@KINDS
def test_a_start_of_several_ids_is_refused_with_them(find):
    with pytest.raises(InvalidValue, match=f"It matches {FIRST}, {SECOND}"):
        find(Service(), text="3f2a")


@KINDS
def test_a_start_of_none_is_not_found_and_says_where_they_are_listed(find):
    with pytest.raises(NotFound, match=r"`tuner .*` lists"):
        find(Service(), text="0000")


def test_the_latest_job_is_the_first_of_the_list():
    service: Any = Service()
    assert find_job(service, text="latest") == FIRST


@pytest.mark.parametrize("text", ["latest", "3f2a91c0"])
def test_what_cannot_be_undone_and_asks_nobody_needs_the_whole_id(text):
    check_whole(FIRST, found=FIRST, kind="job")
    with pytest.raises(InvalidValue, match=f"JOB must be the whole id with --yes, got '{text}'. It stands for {FIRST}"):
        check_whole(text, found=FIRST, kind="job")
