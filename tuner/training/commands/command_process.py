"""One run of a command: its files, its process group, its reports.

The command gets the run in environment variables, which `environment` lists.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tuner.errors import WorkloadError
from tuner.exports import schedule_csv
from tuner.process.exit import is_killed_from_outside
from tuner.training.commands.report_file import ReportFile
from tuner.training.devices import THREADS_VARIABLE, cpu_threads
from tuner.training.run import TrainingRun

GRACE_SECONDS = 5.0
"""Time that a command has to end by itself once it is asked to; less than a worker gives its runner."""
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_POLL_SECONDS = 0.05
_PRINTS = {"PYTHONIOENCODING": "utf-8:backslashreplace"}
"""A Python program may print anything, as code in the runner may; its output is read as UTF-8."""
_LONGEST_BYTES = 128 * 1024
"""Of one argument or variable with its name, on Linux (MAX_ARG_STRLEN)."""
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""Where OpenMP and the libraries of linear algebra read how many threads they may use."""
_GUARD = Path(__file__).with_name("process_guard.py")


class CommandKilled(WorkloadError):
    """A signal from outside has ended the command, or its guard process."""


def run_command(
    command: Sequence[str],
    *,
    run: TrainingRun,
    folder: Path,
    options: Mapping[str, Any],
) -> None:
    """Run a command for one run, and pass its reports on.

    Args:
        command: Program and arguments, with placeholders.
        run: Where its reports go.
        folder: Where it runs.
        options: By name.

    Raises:
        CommandKilled: It was killed from outside.
        WorkloadError: It cannot be started, ended with another code than 0, wrote a line that is no report, or none.
        RunStopped: The run is over; the command and all that it started are gone.
    """
    with tempfile.TemporaryDirectory(prefix="tuner-run-") as name:
        files = Path(name)
        variables = environment(run, files=files, options=options)
        _write_files(run, variables)
        values = {
            **{name: as_text(value) for name, value in options.items()},
            **{name.removeprefix("TUNER_").lower(): value for name, value in variables.items()},
            "python": sys.executable,
        }
        arguments = [filled(argument, values=values) for argument in command]
        _check_sizes(arguments, variables)
        reports = ReportFile(Path(variables["TUNER_REPORTS"]))
        inherited = {**_PRINTS, **_threads(run.device), **os.environ}
        with _Guarded(arguments, folder=folder, environment={**inherited, **variables}) as process:
            while not process.ended(timeout=_POLL_SECONDS):
                reports.pass_on(run)
            reports.pass_on(run, complete=True)
            process.check()
    if not reports.any:
        message = f"{arguments[0]!r} ended with exit code 0 and without a report"
        line = f'{{"step": {run.total_steps}, "value": ...}}'
        due = f"a line {line} is due in the file that TUNER_REPORTS names after the last update"
        raise WorkloadError(f"{message}; {due}")


def environment(run: TrainingRun, *, files: Path, options: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a command.

    Args:
        run: Its run.
        files: A folder for the files of this run.
        options: By name.

    Returns:
        ``TUNER_SCHEDULE_FILE`` (JSON), ``TUNER_LRS_FILE`` (CSV: ``update,lr``; none for a schedule that follows the
        loss), ``TUNER_REPORTS`` (a file to append JSON lines to), ``TUNER_TOTAL_STEPS``,
        ``TUNER_EVALUATIONS``, ``TUNER_SEED``, ``TUNER_DEVICE``, ``TUNER_SNAPSHOT_DIR``, ``TUNER_METRIC`` and
        ``TUNER_OPTIONS`` (JSON objects) and ``TUNER_OPTION_<NAME>`` for each option.
    """
    known_rates = {} if run.schedule.follows_loss else {"TUNER_LRS_FILE": str(files / "lrs.csv")}
    return {
        "TUNER_SCHEDULE_FILE": str(files / "schedule.json"),
        **known_rates,
        "TUNER_REPORTS": str(files / "reports.jsonl"),
        "TUNER_TOTAL_STEPS": str(run.total_steps),
        "TUNER_EVALUATIONS": str(len(run.evaluate_at)),
        "TUNER_SEED": str(run.seed),
        "TUNER_DEVICE": run.device,
        "TUNER_SNAPSHOT_DIR": str(run.snapshot_dir),
        "TUNER_METRIC": run.metric.model_dump_json(),
        "TUNER_OPTIONS": json.dumps(dict(options)),
        **{f"TUNER_OPTION_{name.upper()}": as_text(value) for name, value in options.items()},
    }


def _threads(device: str) -> dict[str, str]:
    """Variables for as many threads as training code in the worker's own process gets, on CPU."""
    return dict.fromkeys((THREADS_VARIABLE, *_THREADS), str(cpu_threads(None))) if device == "cpu" else {}


def _check_sizes(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Refuse what the system would not start a program with.

    Raises:
        WorkloadError: An argument or a variable is too long, or holds a NUL.
    """
    texts = {**{f"argument {number}": text for number, text in enumerate(arguments)}, **variables}
    for name, text in texts.items():
        size = len(name.encode()) + len(text.encode(errors="surrogateescape")) + 2
        if size > _LONGEST_BYTES:
            raise WorkloadError(f"{name} of the command has {size:,} bytes, but the system takes {_LONGEST_BYTES:,}")
        if "\0" in text:
            raise WorkloadError(f"{name} of the command holds a NUL, which no program can be started with: {text!r}")


def as_text(value: Any) -> str:
    """An option's value as a command reads it: ``true`` and ``false`` for booleans."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def filled(argument: str, *, values: Mapping[str, str]) -> str:
    """An argument with its placeholders filled in; it stays one argument for any values."""

    def value(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else values[found[1]]

    return PLACEHOLDER.sub(value, argument)


def _write_files(run: TrainingRun, variables: Mapping[str, str]) -> None:
    Path(variables["TUNER_SCHEDULE_FILE"]).write_text(run.schedule.to_json() + "\n", encoding="utf-8")
    if "TUNER_LRS_FILE" in variables:
        with Path(variables["TUNER_LRS_FILE"]).open("w", encoding="utf-8") as file:
            file.writelines(schedule_csv(run.schedule, total_steps=run.total_steps))
    Path(variables["TUNER_REPORTS"]).touch()


class _Guarded:
    """A command under its guard process; a context manager that leaves nothing of it running."""

    def __init__(self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self._status_fd, theirs = os.pipe()
        arguments = [sys.executable, "-I", "-S", str(_GUARD), str(theirs), str(GRACE_SECONDS), *command]
        self._name = command[0]
        self._status = b""
        try:
            self._process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                pass_fds=(theirs,),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._status_fd)
            raise WorkloadError(f"the command cannot be started in {folder}: {error.strerror}") from None
        finally:
            os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        deadline = time.monotonic() + GRACE_SECONDS + 1.0
        while not self.ended(timeout=max(0.0, deadline - time.monotonic())) and time.monotonic() < deadline:
            pass
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._status_fd)

    def ended(self, *, timeout: float) -> bool:
        """Whether the command is over, after waiting for that for so many seconds at most."""
        while select.select([self._status_fd], [], [], timeout)[0]:
            chunk = os.read(self._status_fd, 4096)
            if not chunk:
                return True
            self._status += chunk
        return False

    def check(self) -> None:
        """Return when the command ended well.

        Raises:
            WorkloadError: It did not.
        """
        status = self._status.decode(errors="backslashreplace")
        if status == "0":
            return
        if not status.lstrip("-").isdecimal():
            if status:
                raise WorkloadError(status)
            raise CommandKilled(f"{self._name!r} was killed with its guard process")
        code = int(status)
        how = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
        kind = CommandKilled if is_killed_from_outside(code) else WorkloadError
        raise kind(f"{self._name!r} {how}; what it printed is in the log of the run (`tuner logs RUN`)")
