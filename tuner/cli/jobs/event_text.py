"""Describes a job's events in one line each. Pure."""

from __future__ import annotations

from typing import Any, Final

from tuner.jobs.records import EventRecord
from tuner.metric import Metric
from tuner.text import one_line

_FREQUENT: Final = frozenset({"run.queued", "run.started", "run.evaluated", "run.stopping"})
"""Events that a progress display leaves out: it shows what they add up to."""
_REQUEUED: Final = {
    "failed": "failed and will be retried",
    "lost": "lost its machine and goes on from its last snapshot",
    "returned": "was returned to the queue",
}
"""How an attempt ended (`tuner.jobs.attempts.AttemptEnd`), in words."""


def highlight(event: EventRecord) -> str:
    """One line about an event for a progress display; empty for frequent ones."""
    return "" if event.kind in _FREQUENT else describe_event(event)


def describe_event(event: EventRecord) -> str:
    """One line about an event."""
    data = event.data
    reason = str(data.get("reason") or "").strip().split("\n", 1)[0]
    subject, _, what = event.kind.partition(".")
    if subject == "run":
        return _of_run(what, data, reason=reason)
    if subject == "trial":
        return f"{_trial(data)} {what}{_because(reason)}"
    return _of_job(what, data, reason=reason)


def _trial(data: dict[str, Any]) -> str:
    """A trial by its number; that of an LR range test, which has none of the search's, by its name."""
    number = data.get("trial")
    return "the range test" if number == -1 else f"trial {number}"


def _of_job(what: str, data: dict[str, Any], *, reason: str) -> str:
    match what:
        case "changed":
            return f"job changed: {', '.join(data.get('fields', ()))}"
        case "retried":
            return f"job retried: {_counted(data.get('runs', 0), 'run')} queued again"
        case "limit_reached":
            return f"job reached a limit{_because(reason)}"
        case _:
            return f"job {what.replace('_', ' ')}{_because(reason)}"


def _of_run(what: str, data: dict[str, Any], *, reason: str) -> str:
    run, step = _trial(data), data.get("step")
    match what:
        case "queued":
            return f"{run}: a run of {data['total_steps']:,} updates with seed {data['seed']} waits{_because(reason)}"
        case "started":
            again = f", attempt {data['attempt']}" if data.get("attempt", 1) > 1 else ""
            return f"{run} trains on worker {data['worker']}{again}"
        case "evaluated":
            value = data.get("value")
            reached = "not finite" if value is None else f"{value:.4g}"
            return f"{run} at update {step:,} of {data['total_steps']:,}: {reached}"
        case "succeeded":
            metric = Metric.model_validate(data.get("metric", {}))
            total = data.get("total_steps", step)
            early = "" if step == total else f" (ended early at update {step:,} of {total:,})"
            return f"{run}: {metric.name} {metric.text(data['value'])}{early}"
        case "diverged":
            return f"{run} diverged at update {step:,}"
        case "stopped":
            return f"{run} stopped at update {step:,}{_because(reason)}"
        case "stopping":
            return f"{run} is to stop{_because(reason)}"
        case "requeued":
            return f"{run} {_REQUEUED.get(data.get('end', ''), 'will be retried')}{_because(reason)}"
        case _:
            return f"{run} {what}{_because(reason)}"


def _because(reason: str) -> str:
    return f": {one_line(reason)}" if reason else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
