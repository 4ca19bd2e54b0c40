"""The output of the training code: two files per worker with a limited size."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import IO

from tuner.text import visible_text

LIMIT_BYTES = 8 * 1024 * 1024
"""Size past which a file is cut down to its last half."""
TAIL_LINES = 20
TAIL_BYTES = 4_000
FRESH_BYTES = 16 * 1024
"""Most that `RunnerLog.fresh` returns of one file at a time."""


_TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


class RunnerLog:
    """The files ``stdout.log`` and ``stderr.log`` of one worker's runners, one after the other.

    Args:
        folder: Made when needed, and again when it was deleted.
        limit_bytes: Largest size of a file, overshot by what is printed between two calls of `trim`.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._stdout = _Stream(folder / "stdout.log", limit_bytes=limit_bytes)
        self._stderr = _Stream(folder / "stderr.log", limit_bytes=limit_bytes)
        self._streams = (self._stdout, self._stderr)

    def open(self) -> tuple[IO[bytes], IO[bytes]]:
        """Both files, to be handed to a child process; the caller closes its copies.

        Raises:
            OSError: The disk is full, or the folder cannot be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._stdout.path.open("ab"), self._stderr.path.open("ab")

    def mark(self, what: str) -> None:
        """Write a line between what was printed so far and what comes now; `tail` and `fresh` start there."""
        self.trim()
        for stream in self._streams:
            stream.mark(what)

    def trim(self) -> None:
        """Cut files that are past the limit down to their last half. What is printed during the cut may be lost."""
        for stream in self._streams:
            stream.trim()

    def tail(self, *, last_bytes: int = TAIL_BYTES, lines: int | None = TAIL_LINES) -> str:
        """The end of the error output since the mark, printable; may be empty.

        Args:
            last_bytes: At most so many.
            lines: At most so many; any number when ``None``.
        """
        text = printable(self._stderr.since_mark(last_bytes=last_bytes))
        return "\n".join(text.strip().split("\n")[-(lines or 0) :])

    def fresh(self, *, to_the_end: bool) -> str:
        """What was printed since the last call or the mark: the output, then the error output; may be empty.

        Of much output the last `FRESH_BYTES` of each file, with a note on what is left out. Of lines that were
        overwritten, as progress bars are, the last state is returned.

        Args:
            to_the_end: Include a last line that has not ended; else it is left to the next call.

        Raises:
            OSError: The files cannot be read.
        """
        return "".join(stream.fresh(to_the_end=to_the_end) for stream in self._streams)


class _Stream:
    """One of the two files, with the places in it from which the rest is of interest."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self.path = path
        self._limit = limit_bytes
        self._marked_at = 0
        self._read_to = _size(path)

    def mark(self, what: str) -> None:
        with suppress(OSError), self.path.open("ab") as file:  # a full disk must not end the run
            file.write(f"=== {what}\n".encode())
        self._marked_at = self._read_to = _size(self.path)

    def trim(self) -> None:
        size, keep = _size(self.path), self._limit // 2
        if size <= self._limit:
            return
        with suppress(OSError), self.path.open("r+b") as file:
            file.seek(size - keep)
            rest = file.read(keep)
            file.truncate(0)
            file.seek(0)
            file.write(rest)
        self._marked_at = max(0, self._marked_at - (size - keep))
        self._read_to = max(0, self._read_to - (size - keep))

    def since_mark(self, *, last_bytes: int) -> bytes:
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(self._marked_at if self._marked_at <= size else 0, size - last_bytes))
            return file.read(last_bytes)

    def fresh(self, *, to_the_end: bool) -> str:
        size = _size(self.path)
        begin = self._read_to if self._read_to <= size else 0
        if size == begin:
            return ""
        skipped = max(0, size - begin - FRESH_BYTES)
        with self.path.open("rb") as file:
            file.seek(begin + skipped)
            data = file.read(min(size - begin, FRESH_BYTES))
        if not to_the_end:
            data = _whole_lines(data)
        self._read_to = begin + skipped + len(data)
        if not skipped:
            return _as_seen(printable(data))
        # Lines are passed on whole or not at all, so that a secret in one is recognised.
        rest = data.partition(b"\n")[2] or data
        notice = f"[{skipped + len(data) - len(rest):,} bytes left out: they are in the worker's own file]\n"
        return notice + _as_seen(printable(rest))


def printable(data: bytes) -> str:
    """Output of any kind as text that does nothing to a terminal: colours are left out, other controls are spelt out.

    Line ends, tabs and carriage returns stay, and what joins the parts of an emoji.
    """
    plain = _TERMINAL_SEQUENCE.sub("", data.decode("utf-8", errors="backslashreplace"))
    return visible_text(plain, keep="\n\t\r")


def _whole_lines(data: bytes) -> bytes:
    """Data up to the last end of a line; all of it where one line alone is as much as may be read at a time."""
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data if end == 0 and len(data) == FRESH_BYTES else data[:end]


def _as_seen(text: str) -> str:
    """Text as a terminal shows it in the end: what a carriage return took back is gone."""
    ended = f"{text[:-1]}\n" if text.endswith("\r") else text
    lines = ended.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
