"""What a worker says: how a runner ended, and logs without the password."""

from __future__ import annotations

import json

import pytest
import structlog

from tuner.backoff import FIRST_SECONDS, LONGEST_SECONDS, Backoff
from tuner_worker.logs import Redact, configure_logs
from tuner_worker.redaction import Redaction
from tuner_worker.runner.exit_report import describe_exit, output_before_dump, stack_of_dump
from tuner_worker.runner.process import RunnerCommand

BACKGROUND = "has the code gone into the background?"
URL = "postgresql://tuner:s3cret@db/tuner"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            0,
            "the runner ended by itself, with exit code 0 and no result (the code called os._exit)",
        ),
        (3, "the runner ended by itself, with exit code 3 and no result"),
        (-11, "the runner was killed by SIGSEGV"),
        (-9, "the runner was killed by SIGKILL (often because the system lacks memory)"),
        (-99, "the runner was killed by signal 99"),
    ],
)
def test_an_exit_code_is_reported_in_words(code, words):
    assert describe_exit(code) == words


def test_what_a_process_left_running_is_named_where_it_ended_by_itself():
    told = describe_exit(0, leftover_processes=["python", "sleep"])
    assert told.endswith("no result, while what it had started ran on ('python', 'sleep'): " + BACKGROUND)
    assert describe_exit(-11, leftover_processes=["python"]) == describe_exit(-11)


DUMP = """it goes on
Fatal Python error: Aborted

Thread 0x00007f0000000001 (most recent call first):
  File "/lib/threading.py", line 1 in wait

Current thread 0x00007f0000000002 (most recent call first):
  File "/lib/socket.py", line 705 in readinto
  File "/home/me/train.py", line 12 in download
  File "/home/me/train.py", line 40 in train_step
  File "/lib/tuner/training/engine.py", line 157 in _run
  File "<frozen runpy>", line 88 in _run_code

Extension modules: numpy
"""


def test_where_a_stuck_runner_stood_is_reported_down_to_the_users_first_frame():
    frames = DUMP.splitlines()[7:10]
    assert stack_of_dump(DUMP) == "\n".join(["", "Where it stood (most recent call first):", *frames])
    assert output_before_dump(DUMP) == "it goes on"


def test_where_nothing_was_dumped_nothing_is_reported():
    assert stack_of_dump("it goes on\n") == ""
    assert output_before_dump("it goes on\n") == "it goes on"


def test_the_password_is_blotted_out_of_every_text():
    redact = Redact(Redaction(URL))
    event = {
        "event": "database.unavailable",
        "error": f"cannot connect to {URL}",
        "exception": f"...{URL}...",
        "count": 3,
    }
    assert "s3cret" not in json.dumps(redact(None, "error", event))
    assert event["count"] == 3
    assert Redact(Redaction("sqlite:///x.db"))(None, "info", {"path": ":x@"}) == {"path": ":x@"}


def test_a_log_line_is_json_with_what_was_bound(capsys):
    configure_logs(Redaction(URL))
    try:
        with structlog.contextvars.bound_contextvars(run_id="r1"):
            try:
                raise ValueError(URL)
            except ValueError:
                structlog.get_logger().exception("it.broke", where=URL)
    finally:
        structlog.reset_defaults()
    text = capsys.readouterr().err
    assert "s3cret" not in text
    line = json.loads(text)
    assert (line["event"], line["run_id"], line["level"]) == ("it.broke", "r1", "error")
    assert "ValueError" in line["exception"]


def test_pauses_grow_to_a_limit_and_start_anew():
    backoff = Backoff()
    pauses = [backoff.pause() for _ in range(12)]
    assert FIRST_SECONDS / 2 <= pauses[0] <= FIRST_SECONDS
    assert LONGEST_SECONDS / 2 <= pauses[-1] <= LONGEST_SECONDS
    backoff.reset()
    assert backoff.pause() <= FIRST_SECONDS


def test_a_runner_gets_its_workloads_and_its_pipes():
    command = RunnerCommand(device="cuda:0", environment={}, workloads=("lab.models:Gpt",))
    arguments = command.arguments(read_fd=5, write_fd=6)
    assert arguments[1:] == [
        *("-m", "tuner.training.runner", "--device", "cuda:0", "--read-fd", "5", "--write-fd", "6"),
        *("--workloads", "lab.models:Gpt"),
    ]
