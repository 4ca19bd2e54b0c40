import pytest

from tuner.cli.jobs.event_text import describe_event
from tuner.jobs.records import EventRecord

RUNGS = (100, 300, 900)
ACCURACY = {"name": "accuracy", "direction": "maximize", "unit": "%"}


def line_of(kind: str, **data) -> str:
    return describe_event(EventRecord(id=1, job_id="j", kind=kind, data=data, at=0.0), rungs=RUNGS)


RUN = {"run": "r", "trial": 7, "kind_of_run": "rung", "rung": 1, "step": 120}


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("job.submitted", {"workload": "tiny"}, "job submitted"),
        ("job.failed", {"reason": "every schedule diverged\nTraceback"}, "job failed: every schedule diverged"),
        ("job.completed", {"reason": None}, "job completed"),
        ("trial.pruned", {"trial": 3, "reason": "9th of 12"}, "trial 3 pruned: 9th of 12"),
        ("run.succeeded", {**RUN, "value": 0.123456}, "trial 7, 300 updates: validation loss 0.1235"),
        (
            "run.succeeded",
            {**RUN, "kind_of_run": "confirm", "rung": 2, "value": 93.5, "metric": ACCURACY},
            "trial 7 confirmation, 900 updates: accuracy 93.50 %",
        ),
        ("run.diverged", {**RUN, "value": None}, "trial 7, 300 updates diverged at update 120"),
        ("run.failed", {**RUN, "reason": "ValueError: no\nTraceback"}, "trial 7, 300 updates failed: ValueError: no"),
        (
            "run.requeued",
            {**RUN, "reason": "lease expired"},
            "trial 7, 300 updates will be retried: lease expired",
        ),
        ("run.evaluated", RUN, ""),
        ("run.queued", RUN, ""),
        ("run.started", RUN, ""),
    ],
)
def test_an_event_that_is_shown_is_one_line(kind, data, line):
    assert line_of(kind, **data) == line
