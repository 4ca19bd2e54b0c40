"""An outage of the database is one line when it begins and one when it ends, however many transactions meet it."""

from __future__ import annotations

import logging

import pytest

from tuner.errors import DatabaseUnavailable
from tuner.store.db.outage import OutageLog

AWAY = DatabaseUnavailable("connection refused")


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tuner.store.db.outage"]


def test_it_logs_the_beginning_and_the_end_alone(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    now = [0.0]
    log = OutageLog(clock=lambda: now[0])
    log.succeeded("read")
    for _ in range(50):
        log.failed("read", AWAY)
        log.failed("write", AWAY)
    now[0] = 20.0
    for _ in range(5):
        log.succeeded("read")
        log.succeeded("write")
    assert events(caplog) == [
        "database.unavailable reason=connection refused",
        "database.available seconds_unavailable=20.0",
    ]


def test_reads_that_succeed_while_writes_are_blocked_end_no_outage(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    log = OutageLog()
    for _ in range(10):
        log.failed("write", AWAY)
        log.succeeded("read")
    assert len(events(caplog)) == 1
    log.succeeded("write")
    assert len(events(caplog)) == 2


def test_each_outage_has_its_lines(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    log = OutageLog()
    for _ in range(3):
        log.failed("read", AWAY)
        log.succeeded("read")
    assert len(events(caplog)) == 6
