"""The file that a command appends its reports to, one JSON object a line, read while it grows."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Final

from tuner.errors import InvalidValue, WorkloadError
from tuner.training.run import TrainingRun
from tuner.validation import without_repetition

_LIKE: Final = '{"step": 100, "value": 1.25}, with "train_loss" if you like'
_FIELDS: Final = frozenset({"step", "value", "train_loss", "final", "process", "rates_read"})
_BLOCK: Final = 1024 * 1024
"""Bytes that are read at a time: the longest line."""
_TAIL: Final = 256
"""Bytes before the place read to: where they change, the file was rewritten."""


class ReportFile:
    """Passes the reports of a command on to its run.

    A file that is rewritten in place is read anew; reports that were passed on before count once.

    Args:
        path: Made before the command starts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: tuple[int, int, int] | None = None  # of the file when it was last read
        self._inode: int | None = None
        self._read = 0
        self._tail = b""
        self._line = 0
        self._passed_on: set[tuple[int, float]] = set()
        self._processes: dict[int, None] = {}  # those that reported, in order
        self._finished = False
        self.any = False
        """Whether anything was reported."""

    def pass_on(self, run: TrainingRun, *, complete: bool = False) -> None:
        """Report what is new.

        Args:
            run: Where to.
            complete: The command has ended: a last line without its end counts.

        Raises:
            WorkloadError: A line is no report, or the file is not a regular one.
            RunStopped: The run is over.
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:  # removed, or about to be replaced
            return
        if not stat.S_ISREG(found.st_mode):  # opening a pipe waits for its writer; a device has no end
            raise WorkloadError("the reports must be in a regular file: append to the one that TUNER_REPORTS names")
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        if state == self._state and not complete:
            return
        self._state = state
        with self._path.open("rb") as file:
            if self._is_rewritten(file, inode=found.st_ino):
                self._read, self._tail, self._line = 0, b"", 0
            self._inode = found.st_ino
            file.seek(self._read)
            while block := file.read(_BLOCK):
                end = len(block) if _is_last_line(block, complete=complete) else block.rfind(b"\n") + 1
                if not end:
                    if len(block) == _BLOCK:
                        raise WorkloadError(f"line {self._line + 1} of the reports has more than {_BLOCK:,} bytes")
                    return
                self._pass_on_lines(run, block[:end])
                file.seek(self._read)

    def _is_rewritten(self, file: BinaryIO, *, inode: int) -> bool:
        file.seek(max(0, self._read - len(self._tail)))
        return file.read(len(self._tail)) != self._tail or self._inode not in (None, inode)

    def _pass_on_lines(self, run: TrainingRun, lines: bytes) -> None:
        self._read += len(lines)
        self._tail = (self._tail + lines)[-_TAIL:]
        for line in lines.splitlines():
            self._line += 1
            if line.strip() and not self._finished:
                self.any = True
                self._pass_on_line(run, line)

    def _pass_on_line(self, run: TrainingRun, line: bytes) -> None:
        shown = line[:200].decode(errors="backslashreplace")
        try:
            report = _parsed(line)
            step, value, final = report["step"], report["value"], report.get("final", False)
            if (step, value) in self._passed_on and not final:
                return
            if not isinstance(final, bool):
                raise InvalidValue("final", value=final, allowed="true or false")
            self._finished = final
            self._note_process(report.get("process"))
            if isinstance(rates_read := report.get("rates_read"), int):
                run.count_rates(rates_read)
            (run.finish if final else run.report)(step, value=value, train_loss=report.get("train_loss"))
            self._passed_on.add((step, value))
        except InvalidValue as error:
            reason = self._two_processes() or f"line {self._line} of the reports, {shown!r}: {error}"
            raise WorkloadError(reason) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            message = f"line {self._line} of the reports must be like {_LIKE}, got {shown!r}"
            raise WorkloadError(f"{message} ({type(error).__name__}: {error})") from None

    def _note_process(self, process: object) -> None:
        if isinstance(process, int):
            self._processes[process] = None

    def _two_processes(self) -> str:
        """The mistake behind reports that contradict one another, where several processes sent them; else empty."""
        alive = [process for process in self._processes if _is_alive(process)]
        if len(alive) < 2:
            return ""
        which = " and ".join(map(str, alive))
        return (
            f"the processes {which} of the command both report, and not the same: set RANK in the environment of each "
            "(0, 1, ...), or report in one of them alone"
        )


def _parsed(line: bytes) -> dict[str, Any]:
    """The report of a line.

    Raises:
        WorkloadError: The command could not make a report that fits; the line says why.
        ValueError: The line is none.
    """
    report = json.loads(line, object_pairs_hook=without_repetition)
    if not isinstance(report, dict):
        raise ValueError(f"it is a {type(report).__name__}, and not one object")
    if "error" in report:
        raise WorkloadError(str(report["error"]))
    if unknown := sorted(report.keys() - _FIELDS):
        raise ValueError(f"{unknown[0]!r} is not known")
    return report


def _is_last_line(block: bytes, *, complete: bool) -> bool:
    """Whether the rest of the file is one line without its end: the command has ended, or it is a whole object."""
    if complete:
        return len(block) < _BLOCK
    rest = block[block.rfind(b"\n") + 1 :]
    if not rest.rstrip().endswith(b"}"):
        return False
    try:
        return isinstance(json.loads(rest), dict)
    except (ValueError, RecursionError):
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
