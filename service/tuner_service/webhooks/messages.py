"""The body of a delivery in each format. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tuner.jobs.webhooks import TEST_EVENT, WebhookFormat

_MAX_REASON = 500
_SIGNS = {
    "job.completed": ":white_check_mark:",
    "job.failed": ":x:",
    "job.cancelled": ":no_entry_sign:",
    "job.limit_reached": ":hourglass:",
    "run.failed": ":warning:",
    "trial.failed": ":warning:",
}


def test_message(*, message_id: str, at: float, webhook_id: str) -> dict[str, Any]:
    """The event of a test delivery: like every other, but without a job."""
    return {"id": message_id, "type": TEST_EVENT, "at": at, "job": None, "data": {"webhook": webhook_id}}


def encode(event: Mapping[str, Any], *, webhook_format: WebhookFormat) -> bytes:
    """The bytes of a delivery's body.

    Args:
        event: The event, in the shape of docs/webhooks.md.
        webhook_format: The format of the body.
    """
    content = event if webhook_format is WebhookFormat.JSON else {"text": slack_text(event)}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def slack_text(event: Mapping[str, Any]) -> str:
    """An event in one line, or two with its reason, in Slack's markup."""
    kind = event["type"]
    if kind == TEST_EVENT:
        return ":wave: Schedule Tuner reaches this channel."
    job, data = event["job"], event["data"]
    subject, _, what = kind.partition(".")
    number = data.get("trial")
    trial = "" if subject == "job" or number is None else f" trial {number}:"
    line = (
        f"{_SIGNS.get(kind, ':small_blue_diamond:')} *{_escaped(job['name'] or job['workload'])}*{trial} "
        f"{'run ' if subject == 'run' else ''}{what.replace('_', ' ')} "
        f"(team {_escaped(job['team'])}, {_escaped(job['owner'])}, job `{job['id']}`)"
    )
    reason = data.get("reason")
    return f"{line}\n>{_escaped(_one_line(str(reason)))}" if reason else line


def _escaped(text: str) -> str:
    """Escapes text for Slack: it mentions nobody (``<!channel>``) and contains no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    """The last line, which in a traceback is the error, shortened when it is long."""
    last = text.strip().rsplit("\n", 1)[-1]
    return last if len(last) <= _MAX_REASON else f"{last[:_MAX_REASON]}..."
