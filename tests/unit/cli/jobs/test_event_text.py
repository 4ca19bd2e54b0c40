import pytest

from tuner.cli.jobs.event_text import describe_event
from tuner.jobs.records import EventRecord

ACCURACY = {"name": "accuracy", "direction": "maximize", "unit": "%"}


def line_of(kind: str, **data) -> str:
    return describe_event(EventRecord(id=1, job_id="j", kind=kind, data=data, at=0.0))


RUN = {"run": "r", "trial": 7, "step": 120}


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("job.submitted", {"workload": "tiny"}, "job submitted"),
        ("job.failed", {"reason": "every schedule diverged\nTraceback"}, "job failed: every schedule diverged"),
        ("job.completed", {"reason": None}, "job completed"),
        ("job.completed", {"reason": "the budget is spent"}, "job completed: the budget is spent"),
        ("trial.pruned", {"trial": 3, "reason": "9th of 12"}, "trial 3 pruned: 9th of 12"),
        ("run.succeeded", {**RUN, "value": 0.123456}, "trial 7: validation loss 0.1235"),
        ("run.succeeded", {**RUN, "value": 93.5, "metric": ACCURACY}, "trial 7: accuracy 93.50 %"),
        ("run.diverged", {**RUN, "value": None}, "trial 7 diverged at update 120"),
        ("run.stopped", {**RUN, "reason": "almost no chance"}, "trial 7 stopped at update 120: almost no chance"),
        ("run.failed", {**RUN, "reason": "ValueError: no\nTraceback"}, "trial 7 failed: ValueError: no"),
        ("run.requeued", {**RUN, "reason": "lease expired"}, "trial 7 will be retried: lease expired"),
        ("run.evaluated", RUN, ""),
        ("run.queued", RUN, ""),
        ("run.started", RUN, ""),
    ],
)
def test_an_event_that_is_shown_is_one_line(kind, data, line):
    assert line_of(kind, **data) == line
