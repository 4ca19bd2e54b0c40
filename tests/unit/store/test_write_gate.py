"""Writes to a file that another process has locked are refused without a wait for each."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tuner.store.db.write_gate import LONG_SECONDS, MAX_WAITING, DatabaseLocked, WriteGate


def fail(gate: WriteGate) -> None:
    with pytest.raises(DatabaseLocked, match="waited"), gate.passing():
        raise DatabaseLocked("waited in vain")


def test_writers_pass_beside_each_other_while_nothing_is_blocked():
    gate = WriteGate()
    with gate.passing(), gate.passing():
        pass


def test_once_a_write_has_waited_in_vain_one_writer_waits_and_the_others_are_refused():
    gate = WriteGate()
    fail(gate)
    with gate.passing():
        for _ in range(3):
            with pytest.raises(DatabaseLocked, match="write lock"), gate.passing():
                pytest.fail("a second writer waits")
    with gate.passing(), gate.passing():  # the one that waited has got the lock
        pass


def test_it_stays_closed_while_the_one_that_waits_waits_in_vain():
    gate = WriteGate()
    for _ in range(3):
        fail(gate)
    with gate.passing(), pytest.raises(DatabaseLocked), gate.passing():
        pytest.fail("a second writer waits")


def test_an_error_of_the_transaction_itself_shows_that_the_lock_is_free():
    gate = WriteGate()
    fail(gate)
    with pytest.raises(ValueError, match="the body's own"), gate.passing():
        raise ValueError("the body's own")
    with gate.passing(), gate.passing():
        pass


def test_many_that_wait_for_long_at_a_time_leave_threads_for_reads():
    now = [0.0]
    gate = WriteGate(clock=lambda: now[0])
    with ExitStack() as waiting:
        for _ in range(MAX_WAITING + 5):
            waiting.enter_context(gate.passing())  # a burst: each is done in a moment
        now[0] += 2 * LONG_SECONDS
        with pytest.raises(DatabaseLocked), gate.passing():
            pytest.fail("one more waits")
