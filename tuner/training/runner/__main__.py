"""The runner: the child process that imports training code and trains what its worker sends it.

``python -m tuner.training.runner --device cpu --read-fd 3 --write-fd 4``. The messages are those of
`tuner.training.protocol`, one JSON object a line; standard output and error belong to the training code.

It ends when the worker closes the pipe. When the worker dies, it ends at once: on Linux the kernel kills it with the
thread that started it (which must live as long as the worker, then), elsewhere its next message finds the pipe broken.
SIGTERM ends it; SIGINT is ignored, for Ctrl-C reaches the whole terminal and the worker decides what it means.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from tuner.errors import TunerError
from tuner.process.die_with_parent import die_with_parent
from tuner.training.branches import BranchCache, branch_memory
from tuner.training.devices import resolve_device
from tuner.training.protocol import (
    Directive,
    Evaluated,
    FromRunner,
    Hello,
    Train,
    to_runner,
)
from tuner.training.registry import LoadedWorkloads, load_workloads
from tuner.training.runner.execute import execute
from tuner.training.runner.own_signals import announce_own_signals
from tuner.training.runner.process_state import ProcessState
from tuner.training.workload import describe

BUILTIN = "tuner.workloads:builtin_workloads"


class WorkerGone(Exception):
    """The worker closed its end of the pipe."""


class PipeLost(Exception):
    """The training code has closed our end of the pipe."""


class Forked(Exception):
    """This process is a copy of the runner, which the training code has made with fork."""

    def __init__(self) -> None:
        super().__init__(
            "this process is a copy of the run's own (os.fork): it cannot speak for the run. "
            "Train and report in the process that was started for the run"
        )


class Channel:
    """Messages to and from the worker. A copy of the process is refused: two would read each other's messages."""

    def __init__(self, *, read_fd: int, write_fd: int) -> None:
        for descriptor in (read_fd, write_fd):
            os.set_inheritable(descriptor, False)  # what the training code starts must not hold the pipe open
        self._reader = os.fdopen(read_fd, "rb")
        self._writer = os.fdopen(write_fd, "wb")
        self._pid = os.getpid()

    def send(self, message: FromRunner) -> None:
        """Send a message. What was printed before it is in the log before the worker reads it.

        Raises:
            Forked: This is a copy of the process.
            WorkerGone: The worker does not read any more.
        """
        self._refuse_a_copy()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # a full disk, closed, or replaced by anything: a run goes on
                stream.flush()
        try:
            self._writer.write(message.model_dump_json().encode() + b"\n")
            self._writer.flush()
        except BrokenPipeError:
            raise WorkerGone from None
        except OSError as error:
            raise PipeLost(f"the pipe to the worker is closed on this side ({error.strerror})") from None

    def receive(self) -> Train | Directive | None:
        """The next message, or ``None`` when the worker has closed the pipe (a cut line counts as closed)."""
        self._refuse_a_copy()
        try:
            line = self._reader.readline()
        except OSError as error:
            raise PipeLost(f"the pipe to the worker is closed on this side ({error.strerror})") from None
        return to_runner.validate_json(line) if line.endswith(b"\n") else None

    def ask(self, evaluation: Evaluated) -> Directive:
        """Send an evaluation and wait for its directive.

        Raises:
            WorkerGone: The worker closed the pipe.
        """
        self.send(evaluation)
        reply = self.receive()
        if not isinstance(reply, Directive):
            raise WorkerGone
        return reply

    def _refuse_a_copy(self) -> None:
        if os.getpid() != self._pid:
            raise Forked


def serve(channel: Channel, *, device: str, offered: LoadedWorkloads) -> None:
    """Say hello, then train what comes until the worker closes the pipe.

    Raises:
        WorkerGone: It closed the pipe in the middle of a run.
    """
    workloads = offered.workloads
    infos = tuple(describe(workload) for workload in workloads.values())
    branches = BranchCache(limit_bytes=branch_memory())
    channel.send(Hello(pid=os.getpid(), device=device, workloads=infos, refused=offered.refused))

    while isinstance(request := channel.receive(), Train):
        before = ProcessState()
        ended = execute(
            request,
            workloads=workloads,
            device=device,
            on_evaluation=channel.ask,
            on_snapshot=channel.send,
            on_branch=channel.send,
            on_update=channel.send,
            branches=branches,
        )
        channel.send(ended.model_copy(update={"leftovers": before.restore()}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="python -m tuner.training.runner", description="Trains for a worker.")
    parser.add_argument("--device", default="cpu", help="as torch names it: cpu, cuda:0")
    parser.add_argument("--read-fd", type=int, required=True, help="file descriptor that messages come from")
    parser.add_argument("--write-fd", type=int, required=True, help="file descriptor that messages go to")
    parser.add_argument(
        "--workloads",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="a workload class, a function that gives workloads, or a .toml file that describes a command",
    )
    parsed = parser.parse_args(arguments)
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    announce_own_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever is printed, in whatever locale
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    faulthandler.enable()  # a segmentation fault in training code leaves its traceback in the log
    channel = Channel(read_fd=parsed.read_fd, write_fd=parsed.write_fd)
    device = str(resolve_device(parsed.device))
    try:
        offered = load_workloads(parsed.workloads, builtin=BUILTIN)
    except TunerError as error:
        sys.exit(f"{error}")
    try:
        serve(channel, device=device, offered=offered)
    except WorkerGone:
        os._exit(1)  # at once, also with threads of the training code
    except Forked as error:
        os.write(2, f"{error}\n".encode())
        os._exit(1)
    except PipeLost as error:
        os.write(2, f"{error}: training code must close no file descriptor that it did not open\n".encode())
        os._exit(1)


if __name__ == "__main__":
    main()
