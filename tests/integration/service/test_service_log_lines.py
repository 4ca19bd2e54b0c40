"""Log lines of a request contain its id and the ids in its path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from fastapi.testclient import TestClient
from structlog.testing import LogCapture

from tests.integration.service.live import service_process, wait_until
from tests.integration.service.world import World
from tuner_service.logs import add_path_ids, logging_of


@pytest.fixture
def lines() -> Iterator[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, add_path_ids, capture], cache_logger_on_first_use=False
    )
    yield capture
    structlog.configure(**before)


def test_a_line_carries_the_requests_id_and_those_in_its_path(api: TestClient, world: World, lines: LogCapture):
    job = world.job()
    answer = api.get(f"/v1/jobs/{job.id}")
    (line,) = [line for line in lines.entries if line["event"] == "request.ended"]
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert line["job_id"] == job.id
    assert (line["method"], line["status"]) == ("GET", 200)


def test_a_line_after_the_request_carries_none_of_it(api: TestClient, world: World, lines: LogCapture):
    api.get(f"/v1/jobs/{world.job().id}")
    structlog.get_logger().info("later")
    assert lines.entries[-1] == {"event": "later", "log_level": "info"}


def test_what_a_line_says_itself_stands(lines: LogCapture):
    with logging_of({"path_params": {"job_id": "of-the-path", "name": "no id"}}, request_id="r"):
        structlog.get_logger().info("said", job_id="its own")
    assert lines.entries == [{"event": "said", "job_id": "its own", "request_id": "r", "log_level": "info"}]


def test_no_line_grows_with_what_a_client_writes(lines: LogCapture):
    with logging_of({"path_params": {"job_id": "x" * 10_000}}, request_id="r"):
        structlog.get_logger().info("said")
    assert len(lines.entries[0]["job_id"]) == 200


def test_where_no_terminal_is_each_line_is_json(tmp_path: Path):
    def told() -> list[dict[str, Any]]:
        whole, _, _ = (tmp_path / "service.log").read_text().rpartition("\n")
        written = [json.loads(line) for line in whole.splitlines()]
        return [line for line in written if line.get("job_id") == "nothing"]

    with service_process(tmp_path) as service, httpx2.Client(base_url=service.url) as client:
        answer = client.get("/v1/jobs/nothing")
        wait_until(lambda: bool(told()), what="the line to be written")
    (line,) = told()
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert {"timestamp", "level", "logger"} <= line.keys()
