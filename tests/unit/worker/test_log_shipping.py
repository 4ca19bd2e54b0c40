"""What a run prints, on its way to the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.driver.log_shipper import INTERVAL_SECONDS, LogShipper
from tuner.errors import DatabaseUnavailable, LeaseLost
from tuner_worker.redaction import Redaction
from tuner_worker.runner.log import RunnerLog

URL = "postgresql://tuner:s3cret%2Fs3cret@db/tuner"


class Desk:
    """A log, its shipper, and what arrived."""

    def __init__(self, folder: Path) -> None:
        self.log = RunnerLog(folder)
        self.now = 100.0
        self.shipper = LogShipper(self.log.fresh, hide=Redaction(URL).hide, clock=lambda: self.now)
        self.error: Exception | None = None
        self.arrived: list[str] = []

    def print(self, text: str) -> None:
        stdout, stderr = self.log.open()
        with stdout, stderr:
            stdout.write(text.encode())

    def append(self, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.arrived.append(text)

    def ship(self, *, last: bool = False) -> None:
        self.shipper.ship(self.append, last=last)


@pytest.fixture
def desk(tmp_path) -> Desk:
    desk = Desk(tmp_path)
    desk.print("of an earlier run\n")
    desk.log.mark("run 1")
    desk.shipper.begin()
    return desk


def test_what_a_run_prints_arrives_and_nothing_else(desk):
    desk.ship()
    assert desk.arrived == []
    desk.now += INTERVAL_SECONDS
    desk.print("epoch 1\n")
    desk.ship()
    assert desk.arrived == ["epoch 1\n"]


def test_pieces_are_no_closer_than_the_interval_but_the_last_comes_at_once(desk):
    desk.print("a\n")
    desk.ship()
    desk.print("b\n")
    desk.ship()
    assert desk.arrived == ["a\n"]
    desk.print("c")
    desk.ship(last=True)
    assert desk.arrived == ["a\n", "b\nc"]


def test_an_outage_is_reported_and_loses_nothing(desk):
    desk.print("a\n")
    desk.error = DatabaseUnavailable("gone")
    with pytest.raises(DatabaseUnavailable):
        desk.ship()
    desk.print("b\n")
    desk.error = None
    desk.now += INTERVAL_SECONDS
    desk.ship()
    desk.ship(last=True)
    assert desk.arrived == ["a\n", "b\n"]


def test_the_end_of_a_log_held_back_by_an_outage_comes_with_what_was_held_back(desk):
    desk.print("a\n")
    desk.error = DatabaseUnavailable("gone")
    with pytest.raises(DatabaseUnavailable):
        desk.ship()
    desk.print("b")
    desk.error = None
    desk.ship(last=True)
    assert "".join(desk.arrived) == "a\nb"


def test_a_lost_lease_is_reported(desk):
    desk.print("a\n")
    desk.error = LeaseLost("r")
    with pytest.raises(LeaseLost):
        desk.ship()


def test_any_other_failure_ends_the_shipping_of_this_run_alone(desk):
    desk.print("a\n")
    desk.error = RuntimeError("the database refused a statement")
    desk.ship()
    desk.error = None
    desk.now += INTERVAL_SECONDS
    desk.print("b\n")
    desk.ship()
    desk.ship(last=True)
    assert desk.arrived == []

    desk.log.mark("run 2")
    desk.shipper.begin()
    desk.print("c\n")
    desk.ship()
    assert desk.arrived == ["c\n"]


def test_a_new_run_does_not_get_what_the_one_before_it_left(desk):
    desk.print("a\n")
    desk.error = DatabaseUnavailable("gone")
    with pytest.raises(DatabaseUnavailable):
        desk.ship()
    desk.error = None
    desk.log.mark("run 2")
    desk.shipper.begin()
    desk.ship(last=True)
    assert desk.arrived == []


@pytest.mark.parametrize(
    ("url", "text", "seen"),
    [
        (URL, f"cannot connect to {URL}", "cannot connect to postgresql://tuner:***@db/tuner"),
        (URL, "password is s3cret/s3cret or s3cret%2Fs3cret", "password is *** or ***"),
        ("postgresql://tuner:tuner@db/tuner", "a tuner at tuner:tuner@db", "a tuner at tuner:***@db"),
        ("postgresql://db/x?user=u&password=tuner", "?user=u&password=tuner", "?user=u&password=***"),
        ("sqlite:///a.db", "nothing to hide at a:b@c", "nothing to hide at a:b@c"),
    ],
)
def test_the_password_is_hidden_as_it_is_written_and_as_it_is_meant(url, text, seen):
    assert Redaction(url).hide(text) == seen


def test_what_arrives_holds_no_password(desk):
    desk.print(f"os.environ says {URL}\n")
    desk.ship()
    assert desk.arrived == ["os.environ says postgresql://tuner:***@db/tuner\n"]
