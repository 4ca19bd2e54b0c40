"""The end of a service whose clients are in the middle of something."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path

from tests.integration.service.limits.test_slow_clients import EXPORT, connected, request, status_of
from tests.integration.service.live import PATIENCE_SECONDS, service_process


def test_a_stop_disconnects_streams_slow_readers_and_half_sent_requests_without_an_error_in_the_log(tmp_path: Path):
    with service_process(tmp_path) as service, ExitStack() as opened:
        stream = opened.enter_context(connected(service.url, request("GET", "/v1/events")))
        unread = opened.enter_context(
            connected(service.url, request("POST", "/v1/schedules/export", body=EXPORT | {"total_steps": 10**7}))
        )
        assert (status_of(stream), status_of(unread)) == (200, 200)
        half_body = request("POST", "/v1/schedules/preview", headers={"Content-Length": "100"})
        opened.enter_context(connected(service.url, half_body))
        opened.enter_context(connected(service.url, b"GET /v1/jo"))
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE_SECONDS) == 0
    lines = [json.loads(line) for line in (tmp_path / "service.log").read_text().splitlines()]
    assert [line for line in lines if line["level"] not in {"info", "warning"} or "exception" in line] == []
