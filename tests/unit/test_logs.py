from __future__ import annotations

import json
import logging

from tuner.logs import configure_logs, event_logger, log_context


def test_an_event_is_a_line_for_people_where_nothing_renders_it(caplog):
    with log_context(run_id="r1"):
        event_logger("tuner.test").warning("run.failed", reason="100% wrong")
    assert caplog.messages == ["run.failed reason=100% wrong run_id=r1"]


def test_an_event_of_the_library_is_rendered_as_one_of_structlog(capsys):
    configure_logs(lambda _, __, line: {**line, "seen": True})
    log = event_logger("tuner.test")
    with log_context(job_id="j1"), log_context(run_id="r1"):
        try:
            raise ValueError("bad")
        except ValueError:
            log.exception("plan.failed", failures=2)
    log.info("after")
    logging.getLogger("other").info("plain %s", "text")
    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert first | {"event": "plan.failed", "failures": 2, "job_id": "j1", "run_id": "r1", "seen": True} == first
    assert (first["level"], first["logger"]) == ("error", "tuner.test")
    assert "ValueError: bad" in first["exception"]
    assert (second["event"], "run_id" in second) == ("after", False)
    assert third["event"] == "plain text"
