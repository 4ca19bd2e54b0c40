"""Tracebacks cut to what the people who wrote the training code can act on."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException

MAX_CHARACTERS = 16_000
"""Longest traceback; of a longer one the first quarter and the end are shown."""
MAX_LINE = 2_000
"""Most characters of an error's first line."""
MAX_FRAMES = 40
"""Most frames of the user's code in one exception; of more, half from either end."""
_OURS = Path(__file__).parents[2]
_EXAMPLES = _OURS / "workloads"
_LIBRARIES = tuple(
    sorted({Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib", "platstdlib")}, key=str)
)


def first_line(error: BaseException) -> str:
    """The type of an error and the first line of its message, of which a very long one is cut."""
    try:
        message = next(iter(str(error).splitlines()), "")
    except Exception:
        message = "(its message cannot be read)"
    left_out = len(message) - MAX_LINE
    if left_out > 0:
        message = f"{message[:MAX_LINE]} [{left_out:,} characters left out]"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def format_user_traceback(error: BaseException, *, workload: type) -> str:
    """The traceback of an error, as Python prints it, with the user's own frames alone.

    Each group of consecutive other frames (ours, the libraries') becomes one line with their number. An error that
    never passed through the user's code is shown whole. Causes, contexts, groups and notes are included; messages are
    whole.

    Args:
        error: What was raised.
        workload: Its package is the user's too, wherever it is installed.
    """
    whole = TracebackException.from_exception(error, capture_locals=False)
    users = _package_folder(workload)
    for part in _all_parts(whole, seen=set()):
        part.stack = _Shown(part.stack, users=users)
    text = "".join(whole.format())
    if len(text) <= MAX_CHARACTERS:
        return text
    head, tail = MAX_CHARACTERS // 4, MAX_CHARACTERS - MAX_CHARACTERS // 4
    return f"{text[:head]}\n  [{len(text) - head - tail:,} characters left out]\n{text[-tail:]}"


class _Shown(StackSummary):
    """A stack that formats the user's frames, and counts the others."""

    def __init__(self, frames: Sequence[FrameSummary], *, users: Path | None) -> None:
        super().__init__(frames)
        self._users = users

    def format(self, **options: bool) -> list[str]:
        owners = [_owner(frame.filename, users=self._users) for frame in self]
        if None not in owners:
            return StackSummary.from_list(list(self)).format(**options)
        lines: list[str] = []
        for is_users, stretch in groupby(zip(owners, self, strict=True), key=lambda pair: pair[0] is None):
            pairs = list(stretch)
            if is_users:
                lines += _lines([frame for _, frame in pairs], **options)
            else:
                lines.append(_left_out([owner for owner, _ in pairs if owner]))
        return lines


def _lines(frames: list[FrameSummary], **options: bool) -> list[str]:
    lines = StackSummary.from_list(frames).format(**options)  # a line repeated by recursion comes once, with a count
    if len(lines) <= MAX_FRAMES:
        return lines
    half = MAX_FRAMES // 2
    return [*lines[:half], f"  [{len(lines) - 2 * half} frames of the same code left out]\n", *lines[-half:]]


def _left_out(owners: list[str]) -> str:
    frames = "1 frame" if len(owners) == 1 else f"{len(owners)} frames"
    return f"  [{frames} of {', '.join(dict.fromkeys(owners))} left out]\n"


def _owner(filename: str, *, users: Path | None) -> str | None:
    """Whose code a file is: the name of the library; ``None`` for the user's."""
    path = Path(filename)
    if (users is not None and path.is_relative_to(users)) or path.is_relative_to(_EXAMPLES):
        return None
    if path.is_relative_to(_OURS):
        return "tuner"
    if filename.startswith("<frozen "):
        return "Python"
    inside = [path.relative_to(folder) for folder in _LIBRARIES if path.is_relative_to(folder)]
    if not inside:
        return None
    nearest = min(inside, key=lambda relative: len(relative.parts))
    within_packages = {"site-packages", "dist-packages"} & set(path.parts)
    return nearest.parts[0].removesuffix(".py") if within_packages else "Python"


def _package_folder(workload: type) -> Path | None:
    """The folder of the package that a workload is in; ``None`` for a single file, which is no library's anyway."""
    package = sys.modules.get(workload.__module__.partition(".")[0])
    file = Path(getattr(package, "__file__", None) or "")
    return None if file.name != "__init__.py" or file.parent == _OURS else file.parent


def _all_parts(error: TracebackException, *, seen: set[int]) -> Iterator[TracebackException]:
    waiting = [error]
    while waiting:
        part = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            related = [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or [])]
            waiting += [other for other in related if other is not None]
