"""The content of deliveries: Slack's lines, signatures, keys."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuner.jobs.webhooks import WebhookEvent, WebhookFormat
from tuner_service.webhooks.messages import encode, slack_text
from tuner_service.webhooks.messages import test_message as message_to_try
from tuner_service.webhooks.signing import signed_headers, signing_key

JOB = {
    "id": "0f9b",
    "name": "first look",
    "team": "vision",
    "owner": "ada",
    "workload": "digits-mlp",
    "priority": "normal",
    "state": "failed",
}


def event(kind: str, **changes: Any) -> dict[str, Any]:
    return {"id": "7", "type": kind, "at": 1.5, "job": JOB, "data": {}} | changes


def test_json_is_the_event_itself():
    told = event("job.completed", data={"reason": "grün"})
    assert json.loads(encode(told, webhook_format=WebhookFormat.JSON)) == told


def test_slack_gets_one_text():
    told = json.loads(encode(event("job.completed"), webhook_format=WebhookFormat.SLACK))
    assert told == {"text": ":white_check_mark: *first look* completed (team vision, ada, job `0f9b`)"}


def test_a_reason_is_quoted_and_of_a_traceback_its_last_line():
    text = slack_text(event("job.failed", data={"reason": "Traceback:\n  line 1\nValueError: no data\n"}))
    assert text.splitlines() == [":x: *first look* failed (team vision, ada, job `0f9b`)", ">ValueError: no data"]


def test_messages_about_runs_and_trials_contain_the_trials_number():
    assert "*first look* trial 4: run failed" in slack_text(event("run.failed", data={"trial": 4}))
    assert "*first look* trial 0: pruned" in slack_text(event("trial.pruned", data={"trial": 0}))


def test_a_job_without_a_name_is_called_by_its_workload():
    assert "*digits-mlp*" in slack_text(event("job.started", job=JOB | {"name": ""}))


def test_a_try_says_so():
    told = message_to_try(message_id="test-1", at=2.0, webhook_id="w")
    assert told["job"] is None
    assert "reaches this channel" in slack_text(told)


@given(name=st.text(max_size=40), reason=st.text(max_size=2_000), kind=st.sampled_from(list(WebhookEvent)))
def test_nothing_that_people_write_calls_a_channel_or_becomes_a_link(name: str, reason: str, kind: WebhookEvent):
    text = slack_text(event(kind, job=JOB | {"name": name}, data={"reason": reason, "trial": 1}))
    assert "<" not in text
    assert len(text) < 4_000


def test_the_signature_is_that_of_the_specifications_example():
    key, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    assert signed_headers(key, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1_614_265_330, body=body) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_keys_differ_by_secret_webhook_and_version_and_are_the_same_again():
    keys = [
        signing_key(secret, webhook_id=webhook, version=version)
        for secret in (b"a" * 32, b"b" * 32)
        for webhook in ("w1", "w2", "w11")
        for version in (1, 2, 11)
    ]
    assert len(set(keys)) == len(keys)
    assert all(key.startswith("whsec_") and len(base64.b64decode(key[6:], validate=True)) == 32 for key in keys)
    assert signing_key(b"a" * 32, webhook_id="w1", version=1) == keys[0]
