import pytest

from tuner.cli.jobs.event_text import describe_event, highlight
from tuner.jobs.records import EventRecord
from tuner.store.jobs.events import EventKind

ACCURACY = {"name": "accuracy", "direction": "maximize", "unit": "%"}


def event(kind: str, **data) -> EventRecord:
    return EventRecord(id=1, job_id="j", kind=kind, data=data, at=0.0)


RUN = {"run": "r", "trial": 7, "step": 120}


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("job.submitted", {"workload": "tiny"}, "job submitted"),
        ("job.failed", {"reason": "every schedule diverged\nTraceback"}, "job failed: every schedule diverged"),
        ("job.completed", {"reason": None}, "job completed"),
        ("job.completed", {"reason": "the budget is spent"}, "job completed: the budget is spent"),
        ("trial.pruned", {"trial": 3, "reason": "9th of 12"}, "trial 3 pruned: 9th of 12"),
        ("trial.completed", {"trial": -1, "reason": "So."}, "the range test completed: So."),
        ("run.diverged", {**RUN, "trial": -1, "value": None}, "the range test diverged at update 120"),
        ("run.succeeded", {**RUN, "value": 0.123456}, "trial 7: validation loss 0.1235"),
        ("run.succeeded", {**RUN, "value": 93.5, "metric": ACCURACY}, "trial 7: accuracy 93.50 %"),
        (
            "run.succeeded",
            {**RUN, "value": 0.5, "step": 1200, "total_steps": 3000},
            "trial 7: validation loss 0.5000 (ended early at update 1,200 of 3,000)",
        ),
        ("run.succeeded", {**RUN, "value": 0.5, "step": 90, "total_steps": 90}, "trial 7: validation loss 0.5000"),
        ("run.diverged", {**RUN, "value": None}, "trial 7 diverged at update 120"),
        ("run.stopped", {**RUN, "reason": "almost no chance"}, "trial 7 stopped at update 120: almost no chance"),
        ("run.failed", {**RUN, "reason": "ValueError: no\nTraceback"}, "trial 7 failed: ValueError: no"),
        ("run.requeued", {**RUN, "reason": "lease expired"}, "trial 7 will be retried: lease expired"),
        ("run.requeued", {**RUN, "end": "failed", "reason": "a crash"}, "trial 7 failed and will be retried: a crash"),
        (
            "run.requeued",
            {**RUN, "end": "lost", "reason": "its lease expired"},
            "trial 7 lost its machine and goes on from its last snapshot: its lease expired",
        ),
        ("run.requeued", {**RUN, "end": "returned", "reason": ""}, "trial 7 was returned to the queue"),
        ("run.evaluated", {**RUN, "total_steps": 1500, "value": 0.25}, "trial 7 at update 120 of 1,500: 0.25"),
        ("run.evaluated", {**RUN, "total_steps": 1500, "value": None}, "trial 7 at update 120 of 1,500: not finite"),
        (
            "run.queued",
            {**RUN, "total_steps": 1500, "seed": 5, "reason": "most promising"},
            "trial 7: a run of 1,500 updates with seed 5 waits: most promising",
        ),
        ("run.started", {**RUN, "worker": "gpu1", "attempt": 1}, "trial 7 trains on worker gpu1"),
        ("run.started", {**RUN, "worker": "gpu1", "attempt": 3}, "trial 7 trains on worker gpu1, attempt 3"),
        ("run.stopping", {**RUN, "reason": "the job was paused"}, "trial 7 is to stop: the job was paused"),
        ("job.changed", {"fields": ["budget", "name"]}, "job changed: budget, name"),
        ("job.retried", {"runs": 1}, "job retried: 1 run queued again"),
        ("job.limit_reached", {"reason": "2 device hours"}, "job reached a limit: 2 device hours"),
    ],
)
def test_an_event_is_one_line_in_words(kind, data, line):
    assert describe_event(event(kind, **data)) == line


DATA = {
    **RUN,
    "total_steps": 10,
    "seed": 1,
    "worker": "w",
    "value": 1.0,
    "fields": ["name"],
    "runs": 1,
    "reason": "why",
}


@pytest.mark.parametrize("kind", EventKind)
def test_no_event_is_shown_as_its_bare_kind(kind):
    line = describe_event(event(kind.value, **DATA))
    assert " " in line
    assert kind.value not in line
    assert "_" not in line


@pytest.mark.parametrize("kind", ["run.queued", "run.started", "run.evaluated", "run.stopping"])
def test_a_progress_display_leaves_out_what_it_counts(kind):
    assert highlight(event(kind, **DATA)) == ""
    assert highlight(event("run.succeeded", **RUN, value=0.5)) == "trial 7: validation loss 0.5000"
