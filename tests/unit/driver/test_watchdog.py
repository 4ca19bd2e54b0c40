from __future__ import annotations

from tuner.driver.watchdog import ExceededTimeout, RunTimeouts, Watchdog


def watch(*, run: float | None = None) -> Watchdog:
    return Watchdog(RunTimeouts(start=300, silence=100, run=run, stop=10), now=0)


def stuck(run: Watchdog, now: float) -> str:
    overdue = run.overdue(now)
    assert overdue is not None
    assert overdue.stuck
    assert not overdue.final
    return overdue.reason


def test_a_run_has_longer_for_its_first_update():
    run = watch()
    run.progressed(1)  # the first validation
    assert run.seconds_left(300) == 1
    assert run.overdue(300.9) is None
    assert stuck(run, 301) == "it is stuck: no first update within 300 s (TUNER_START_LIMIT of the worker)"


def test_a_run_that_makes_no_progress_for_the_limit_is_stuck_and_its_last_update_is_reported():
    run = watch()
    run.progressed(5, updates=12)
    assert run.seconds_left(104) == 1
    assert run.overdue(104.9) is None
    reason = "it is stuck: no progress for 100 s (TUNER_SILENCE_LIMIT of the worker); the last known is update 12"
    assert stuck(run, 105) == reason


def test_every_sign_of_progress_buys_time():
    run = watch()
    run.progressed(1, updates=1)
    run.progressed(90)
    assert run.overdue(189) is None
    assert "the last known is update 1" in stuck(run, 190)


def test_a_run_may_be_limited_whatever_it_says_and_another_attempt_would_not_help():
    run = watch(run=50)
    run.progressed(49, updates=7)
    assert run.seconds_left(49) == 1
    assert run.overdue(50) == ExceededTimeout(
        reason="it took longer than 50 s (TUNER_RUN_LIMIT of the worker); the last known is update 7",
        final=True,
    )


def test_a_run_asked_to_stop_has_the_grace_however_often_it_is_asked_and_whatever_it_says():
    run = watch()
    assert not run.stopping
    run.stop_requested(50)
    run.stop_requested(59)
    run.progressed(59, updates=3)
    assert run.stopping
    assert run.seconds_left(59) == 1
    assert run.overdue(60) == ExceededTimeout(reason="it did not stop within 10 s")


def test_silence_counts_while_a_run_should_stop():
    run = watch()
    run.progressed(0, updates=1)
    run.stop_requested(95)
    assert run.seconds_left(95) == 5
    assert "no progress" in stuck(run, 100)


def test_no_time_is_left_once_a_runner_is_overdue():
    assert watch().seconds_left(1000) == 0
