"""Describes a job's events in one line each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuner.jobs.records import EventRecord, RunKind
from tuner.metric import Metric

_KINDS = {RunKind.CONFIRM.value: " confirmation", RunKind.AUDIT.value: " audit"}


def describe_event(event: EventRecord, *, rungs: Sequence[int]) -> str:
    """One line about an event; empty for events that are not shown (evaluations, queued runs).

    Args:
        event: The event.
        rungs: Updates of each rung of the job, ascending.
    """
    data = event.data
    if event.kind.startswith("run."):
        return _run_line(event.kind.removeprefix("run."), data, rungs=rungs)
    reason = str(data.get("reason") or "").strip().split("\n", 1)[0]
    because = f": {reason}" if reason else ""
    if event.kind.startswith("trial."):
        return f"trial {data.get('trial')} {event.kind.removeprefix('trial.')}{because}"
    return f"job {event.kind.removeprefix('job.')}{because}"


def _run_line(what: str, data: dict[str, Any], *, rungs: Sequence[int]) -> str:
    run = _run_name(data, rungs=rungs)
    reason = str(data.get("reason") or "").strip().split("\n", 1)[0]
    match what:
        case "succeeded":
            metric = Metric.model_validate(data.get("metric", {}))
            return f"{run}: {metric.name} {metric.text(data['value'])}"
        case "diverged":
            return f"{run} diverged at update {data.get('step')}"
        case "failed":
            return f"{run} failed: {reason}"
        case "requeued":
            return f"{run} will be retried: {reason}"
        case _:
            return ""


def _run_name(data: dict[str, Any], *, rungs: Sequence[int]) -> str:
    rung = data.get("rung")
    updates = f", {rungs[rung]:,} updates" if isinstance(rung, int) and rung < len(rungs) else ""
    kind = _KINDS.get(str(data.get("kind_of_run")), "")
    return f"trial {data.get('trial')}{kind}{updates}"
