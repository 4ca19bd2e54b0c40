from __future__ import annotations

from worker.run_watch import RunWatch


def watch() -> RunWatch:
    return RunWatch(silence_limit=100, kill_grace=10, now=0)


def test_a_runner_is_overdue_when_it_was_silent_for_the_limit():
    run = watch()
    assert run.seconds_left(99) == 1
    assert run.overdue(99.9) == ""
    assert run.overdue(100) == "it sent nothing for 100 s"


def test_every_message_buys_time():
    run = watch()
    run.heard(90)
    assert run.overdue(189) == ""
    assert run.overdue(190) == "it sent nothing for 100 s"


def test_a_run_asked_to_stop_has_the_grace_however_often_it_is_asked_and_whatever_it_says():
    run = watch()
    assert not run.stopping
    run.asked_to_stop(50)
    run.asked_to_stop(59)
    run.heard(59)
    assert run.stopping
    assert run.seconds_left(59) == 1
    assert run.overdue(60) == "it did not stop within 10 s"


def test_silence_counts_while_a_run_should_stop():
    run = watch()
    run.asked_to_stop(95)
    assert run.seconds_left(95) == 5
    assert run.overdue(100) == "it sent nothing for 100 s"


def test_no_time_is_left_once_a_runner_is_overdue():
    assert watch().seconds_left(1000) == 0
