"""The two pipes between a worker and its runner, with the worker's end of the framing: one JSON object a line."""

from __future__ import annotations

import os
import selectors
from collections import deque
from contextlib import suppress

from pydantic import ValidationError

from tuner.errors import TunerError
from tuner.training.protocol import FromRunner, ToRunner, from_runner, to_runner

LONGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes without a line break after which the other side cannot be a runner."""
_CHUNK = 64 * 1024


class PipeClosed(TunerError):
    """The other side has closed its end, and every message that it sent has been read."""


class BadMessage(TunerError):
    """What came over the pipe is not a message of the protocol."""


class MessagePipe:
    """Sends and receives whole messages, each within a time limit.

    It owns four descriptors: two for the worker, and two for the runner, which the worker closes once the runner has
    its copies (`hand_over`).
    """

    def __init__(self) -> None:
        self.runner_read_fd, self._write_fd = os.pipe()
        self._read_fd, self.runner_write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._lines: deque[bytearray] = deque()
        self._rest = bytearray()
        self._ended = False

    def hand_over(self) -> None:
        """Close the runner's descriptors on this side, so that its death is seen as the end of the pipe."""
        os.close(self.runner_read_fd)
        os.close(self.runner_write_fd)

    def close(self) -> None:
        """Close this side."""
        os.close(self._read_fd)
        os.close(self._write_fd)

    def send(self, message: ToRunner, *, timeout: float) -> None:
        """Write one message.

        Raises:
            PipeClosed: The other end is closed.
            TimeoutError: The other side left the pipe full for ``timeout`` seconds.
        """
        data = memoryview(to_runner.dump_json(message) + b"\n")
        with selectors.DefaultSelector() as selector:
            selector.register(self._write_fd, selectors.EVENT_WRITE)
            while data:
                if not selector.select(timeout):
                    raise TimeoutError
                try:
                    data = data[os.write(self._write_fd, data) :]
                except BrokenPipeError:
                    raise PipeClosed("the other end is closed") from None
                except BlockingIOError:
                    continue

    def receive(self, *, timeout: float, wake_fd: int | None = None) -> FromRunner | None:
        """The next message; ``None`` when none has come in ``timeout`` seconds or ``wake_fd`` has become readable.

        A message that is there already is returned first.

        Raises:
            PipeClosed: The other side closed its end.
            BadMessage: What came is no message.
        """
        if not self._lines and not self._ended:
            self._wait(timeout, wake_fd=wake_fd)
            self._drain()
        if self._lines:
            return _parse(self._lines.popleft())
        if self._ended:
            raise PipeClosed("the other side closed the pipe")
        return None

    def _wait(self, timeout: float, *, wake_fd: int | None) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            if wake_fd is not None:
                selector.register(wake_fd, selectors.EVENT_READ)
            selector.select(max(0.0, timeout))

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while chunk := os.read(self._read_fd, _CHUNK):
                self._rest += chunk
                if b"\n" in chunk:
                    *lines, self._rest = self._rest.split(b"\n")
                    self._lines.extend(lines)
                    return
                if len(self._rest) > LONGEST_MESSAGE:
                    raise BadMessage(f"it sent {len(self._rest):,} bytes without a line break")
            self._ended = True


def _parse(line: bytearray) -> FromRunner:
    try:
        return from_runner.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the message"
        raise BadMessage(f"it sent {bytes(line[:200])!r}, which is no message: {where}: {first['msg']}") from None
