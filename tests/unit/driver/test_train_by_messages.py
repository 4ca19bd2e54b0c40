from __future__ import annotations

from typing import Any

import pytest

from tuner.driver.runner import RunnerDied, train_by_messages
from tuner.driver.watchdog import ExceededTimeout
from tuner.jobs.records import CurvePoint
from tuner.schedules import Constant, Schedule
from tuner.training.protocol import Directive, Ended, Evaluated, Hello, Outcome, Train, Updated

TRAIN = Train(
    run_id="r",
    workload="w",
    options={},
    schedule=Schedule(peak_lr=0.1, family=Constant()),
    total_steps=60,
    seed=1,
    snapshot_dir="nowhere",
    snapshot_seconds=60,
)
ENDED = Ended(run_id="r", outcome=Outcome.SUCCEEDED, step=60, updates=60, loss=0.5)
EVALUATED = Evaluated(run_id="r", point=CurvePoint(step=30, lr=0.1, train_loss=1.0, val_loss=0.5), updates=30)


class Both:
    """A runner that sends what it is made of, and the supervisor of its run; what happened, in order."""

    stopping = False

    def __init__(self, *messages, overdue_at: int | None = None) -> None:
        self.messages = list(messages)
        self.overdue_at = overdue_at
        self.happened: list[object] = []

    def send(self, message):
        self.happened.append(message)

    def receive(self, *, timeout, until_stop):
        assert (timeout, until_stop) == (2.5, not self.stopping)
        return self.messages.pop(0)

    def killed(self, reason, *, stuck=False, final=False):
        return RunnerDied(f"killed: {reason}, {stuck}", final=final)

    def directive(self, *, refresh):
        assert refresh
        return Directive(branch_points=(40,))

    def forecast(self, evaluated):
        self.happened.append(("forecast", evaluated))

    def record(self, report):
        self.happened.append(("recorded", report))

    def seconds_to_check(self):
        return 2.5

    def check(self):
        self.happened.append("checked")
        overdue = self.happened.count("checked") == self.overdue_at
        return ExceededTimeout(reason="too long", stuck=True, final=True) if overdue else None


def driven(both: Any) -> Any:
    return train_by_messages(both, TRAIN, supervisor=both)


def test_an_evaluation_is_forecast_and_its_directive_sent_before_it_is_stored():
    both = Both(EVALUATED, None, Updated(run_id="r", step=31), ENDED)
    assert driven(both) == ENDED
    assert both.happened == [
        TRAIN,
        ("forecast", EVALUATED),
        Directive(branch_points=(40,)),
        ("recorded", EVALUATED),
        "checked",
        "checked",
        ("recorded", Updated(run_id="r", step=31)),
        "checked",
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Hello(pid=1, device="cpu", workloads=()), "a second 'hello'"),
        (Updated(run_id="another", step=1), "the message names run another"),
    ],
)
def test_a_runner_that_breaks_the_protocol_is_killed(message, reason):
    both = Both(message)
    with pytest.raises(RunnerDied, match=f"killed: it broke the protocol: {reason}"):
        driven(both)


def test_a_runner_that_exceeds_a_limit_is_killed():
    both = Both(None, None, overdue_at=2)
    with pytest.raises(RunnerDied, match="killed: too long, True") as death:
        driven(both)
    assert death.value.final
