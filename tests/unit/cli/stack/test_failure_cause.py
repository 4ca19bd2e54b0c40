"""Why a process failed, in words."""

import json

import pytest

from tuner.cli.stack.failure_cause import failure_cause

TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/x/tuner/training/runner/__main__.py", line 175, in <module>\n'
    "    main()\n"
    "ModuleNotFoundError: No module named 'lightning'"
)
OUTPUT = "the runner ended by itself, with exit code 1 and no result\nLast lines of its error output:\n"


def record(level: str, event: str, **more) -> str:
    return json.dumps({"level": level, "event": event, **more})


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([], ""),
        (["worker: device must be cpu or cuda:N, got 'gpu'"], "device must be cpu or cuda:N, got 'gpu'"),
        ([record("info", "worker.started"), record("error", "worker.failed", reason="no room")], "no room"),
        (
            [record("error", "runner.start_failed", reason="first"), record("error", "worker.failed", reason="last")],
            "last",
        ),
        (
            [record("error", "worker.failed", reason=OUTPUT + TRACEBACK)],
            "ModuleNotFoundError: No module named 'lightning'",
        ),
        ([record("error", "worker.failed", reason=OUTPUT + "There is no module 'x'")], "There is no module 'x'"),
        ([record("error", "worker.failed", reason=OUTPUT)], OUTPUT.partition("\n")[0]),
        ([record("error", "worker.crashed", exception=TRACEBACK)], "ModuleNotFoundError: No module named 'lightning'"),
        ([record("error", "worker.crashed")], "worker.crashed"),
        (
            [record("info", "worker.stopped"), *TRACEBACK.splitlines()],
            "ModuleNotFoundError: No module named 'lightning'",
        ),
        ([record("info", "worker.stopped")], ""),
        (["[1, 2]", "3"], "[1, 2]\n3"),
    ],
)
def test_the_cause_is_one_text_for_people(lines, cause):
    assert failure_cause(lines) == cause
