"""Describes a job's events in one line each. Pure."""

from __future__ import annotations

from typing import Any

from tuner.jobs.records import EventRecord
from tuner.metric import Metric


def describe_event(event: EventRecord) -> str:
    """One line about an event; empty for events that are not shown (evaluations, queued runs)."""
    data = event.data
    reason = str(data.get("reason") or "").strip().split("\n", 1)[0]
    subject, _, what = event.kind.partition(".")
    if subject == "run":
        return _run_line(what, data, reason=reason)
    because = f": {reason}" if reason else ""
    name = f"trial {data.get('trial')}" if subject == "trial" else "job"
    return f"{name} {what}{because}"


def _run_line(what: str, data: dict[str, Any], *, reason: str) -> str:
    run = f"trial {data.get('trial')}"
    match what:
        case "succeeded":
            metric = Metric.model_validate(data.get("metric", {}))
            return f"{run}: {metric.name} {metric.text(data['value'])}"
        case "diverged":
            return f"{run} diverged at update {data.get('step')}"
        case "stopped":
            return f"{run} stopped at update {data.get('step')}: {reason}"
        case "failed":
            return f"{run} failed: {reason}"
        case "requeued":
            return f"{run} will be retried: {reason}"
        case _:
            return ""
