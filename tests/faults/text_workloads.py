"""Training code whose texts are no UTF-8: names of files as the system gives them, errors that hold them, prints."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field

from tuner.search.space import OptimizerKind
from tuner.training.options import WorkloadOptions
from tuner.training.run import TrainingRun
from tuner.training.workload import OpaqueWorkload

NAME = os.fsdecode(b"/data/caf\xe9.png")
"""A file's name in Latin-1, as Python reads it from the system: with a lone surrogate."""


def missing_file() -> None:
    raise FileNotFoundError(f"no picture at {NAME}")


def caused() -> None:
    try:
        missing_file()
    except FileNotFoundError as error:
        failed = RuntimeError(f"epoch failed\0 at {NAME}")
        failed.add_note(f"see {NAME}")
        raise failed from error


def endless_line() -> None:
    raise ValueError("x" * 17_000_000)


def lone_surrogate() -> None:
    raise KeyError("\ud800")


def prints() -> None:
    print("first", NAME)
    print("second", NAME, file=sys.stderr)


def writes_bytes() -> None:
    sys.stdout.flush()
    os.write(1, b"third /data/caf\xe9.png\n")


def leaves_a_thread() -> None:
    threading.Thread(name=NAME, target=threading.Event().wait, args=(60.0,)).start()


def replaces_the_streams() -> None:
    sys.stdout = sys.stderr = None


RAISED: dict[str, Callable[[], None]] = {
    "missing_file": missing_file,
    "caused": caused,
    "endless_line": endless_line,
    "lone_surrogate": lone_surrogate,
}
HARMLESS: dict[str, Callable[[], None]] = {
    "prints": prints,
    "writes_bytes": writes_bytes,
    "leaves_a_thread": leaves_a_thread,
    "replaces_the_streams": replaces_the_streams,
}


class TextOptions(WorkloadOptions):
    what: str = Field(default="prints", description="What is said.")


class Texts(OpaqueWorkload):
    """Says something after its first report, and trains on where that is no error."""

    name: ClassVar[str] = "texts"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Says what is no UTF-8."
    default_steps: ClassVar[int] = 60
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    Options = TextOptions

    def train(self, run: TrainingRun, options: Any) -> None:
        run.report(10, value=1.0)
        {**RAISED, **HARMLESS}[options.what]()
        run.report(run.total_steps, value=0.5)
