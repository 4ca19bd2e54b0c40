"""What the user's code prints: two files per worker that never grow past a limit."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO

LIMIT_BYTES = 8 * 1024 * 1024
"""Size past which a file is cut down to its last half."""
TAIL_LINES = 20
TAIL_BYTES = 4_000


class RunnerLog:
    """The files ``stdout.log`` and ``stderr.log`` of one worker's runners, one after the other.

    Args:
        folder: Made when needed.
        limit_bytes: Largest size of a file, overshot by what is printed between two calls of `trim`.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stdout = folder / "stdout.log"
        self._stderr = folder / "stderr.log"
        self._limit = limit_bytes
        self._marked_at = 0

    def open(self) -> tuple[IO[bytes], IO[bytes]]:
        """Both files, to be handed to a child process; the caller closes its copies."""
        return self._stdout.open("ab"), self._stderr.open("ab")

    def mark(self, what: str) -> None:
        """Write a line between what was printed so far and what comes now; `tail` starts there."""
        self.trim()
        for path in (self._stdout, self._stderr):
            with suppress(OSError), path.open("ab") as file:  # on a full disk a run is worth more than its log
                file.write(f"=== {what}\n".encode())
        self._marked_at = _size(self._stderr)

    def trim(self) -> None:
        """Cut files that are past the limit down to their last half. What is printed during the cut may be lost."""
        for path in (self._stdout, self._stderr):
            if _size(path) > self._limit:
                with suppress(OSError), path.open("r+b") as file:
                    file.seek(-(self._limit // 2), 2)
                    kept = file.read(self._limit // 2)
                    file.truncate(0)
                    file.seek(0)
                    file.write(kept)
                self._marked_at = 0

    def tail(self) -> str:
        """The last lines of the error output since the mark, at most `TAIL_LINES` and `TAIL_BYTES`; may be empty."""
        if not self._stderr.exists():
            return ""
        with self._stderr.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(self._marked_at if self._marked_at <= size else 0, size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode("utf-8", errors="replace")
        return "\n".join(text.strip().splitlines()[-TAIL_LINES:])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
