"""What hostile training code does to the process that it is run in; each takes a folder to leave word in."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

_LONGEST_WAIT_SECONDS = 120.0


def look_around(folder: Path) -> None:
    """The healthy one: writes down what it sees of the process."""
    mask = os.umask(0o022)
    os.umask(mask)
    seen = {
        "folder": os.getcwd(),
        "umask": mask,
        "hash_seed": os.environ.get("PYTHONHASHSEED"),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "json": json.loads(json.dumps([1])),
    }
    with (folder / "seen").open("a") as file:
        file.write(json.dumps(seen) + "\n")


def segfault(folder: Path) -> None:
    ctypes.string_at(0)


def kill_itself(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exit_silently(folder: Path) -> None:
    os._exit(0)


def sys_exit(folder: Path) -> None:
    sys.exit(0)


def raise_error(folder: Path) -> None:
    raise ValueError("the training data has a hole")


def raise_in_validate(folder: Path) -> None:
    try:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    except RuntimeError as error:
        raise KeyError("the validation set is gone") from error


def recurse(folder: Path) -> None:
    recurse(folder)


def allocate(folder: Path) -> None:
    np.ones(10 << 30, dtype=np.uint8)


def hoard(folder: Path) -> None:
    """In children, and as shared memory, which no limit of one process counts."""
    _note(folder, os.getpid())
    block, piece = mmap.mmap(-1, 4 << 30), bytes(16 << 20)
    for child in range(4):
        if os.fork() == 0:
            for start in range(child << 30, (child + 1) << 30, len(piece)):
                block[start : start + len(piece)] = piece
            time.sleep(_LONGEST_WAIT_SECONDS)
    time.sleep(_LONGEST_WAIT_SECONDS)


def spin(folder: Path) -> None:
    print("it goes round and round", file=sys.stderr, flush=True)
    while True:
        pass


def ignore_signals(folder: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGABRT, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _note(folder, os.getpid())
    if os.fork() == 0:
        _note(folder, os.getpid())
    time.sleep(_LONGEST_WAIT_SECONDS)


def stop_itself(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def print_garbage(folder: Path) -> None:
    for fd in (1, 2):
        os.write(fd, b"the first words\n")
    print("\x00\xff\x1b[31m{not json}\n" * 200_000, flush=True)
    for fd in (1, 2):
        for _ in range(40):
            os.write(fd, random.Random(fd).randbytes(1 << 18))
        os.write(fd, b'\n\x1b]0;title\x07{"type": "ended"}\nthe last words\x08\n')


def close_everything(folder: Path) -> None:
    os.closerange(3, 1024)


def write_on_the_pipe(folder: Path) -> None:
    for fd in range(3, 64):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
            if target.startswith("pipe:"):
                os.write(fd, b'{"type": "nonsense"}\n')
        except OSError:
            continue
    time.sleep(_LONGEST_WAIT_SECONDS)


def fork_and_train_on(folder: Path) -> None:
    """Both processes return into the training loop, the copy first."""
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        _note(folder, os.getpid())


def go_into_the_background(folder: Path) -> None:
    """As a daemon does: the process ends well, and its copy lives on."""
    if os.fork():
        os._exit(0)
    _note(folder, os.getpid())
    time.sleep(_LONGEST_WAIT_SECONDS)


def leave_children(folder: Path) -> None:
    """One in the runner's session, one that daemonised itself out of it."""
    if os.fork() == 0:
        _note(folder, os.getpid())
        time.sleep(_LONGEST_WAIT_SECONDS)
        os._exit(0)
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            _note(folder, os.getpid())
            time.sleep(_LONGEST_WAIT_SECONDS)
        os._exit(0)
    os.waitpid(child, 0)
    while len((folder / "pids").read_text().splitlines()) < 2:
        time.sleep(0.01)


def leave_a_thread(folder: Path) -> None:
    _note(folder, os.getpid())
    threading.Thread(target=time.sleep, args=(_LONGEST_WAIT_SECONDS,), name="left-behind").start()


def change_surroundings(folder: Path) -> None:
    os.chdir("/")
    os.umask(0o777)
    os.environ["PYTHONHASHSEED"] = "13"
    os.environ["TUNER_DATABASE_URL"] = "sqlite:///elsewhere.db"
    os.environ.pop("PATH", None)


def patch_the_library(folder: Path) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("patched")

    _note(folder, os.getpid())
    json.dumps = json.loads = os.write = refuse


def delete_snapshots(folder: Path) -> None:
    for path in (folder.parent / "snapshots").iterdir():
        shutil.rmtree(path)


def write_much(folder: Path) -> None:
    """More than the small disk of the data folder has, until there is enough of it."""
    if not (folder / "enough").exists():
        (folder / "disk" / "much").write_bytes(bytes(8 << 20))


def lose_the_loss(folder: Path) -> None:
    """The training loss of this update is NaN."""


def tell_secrets(folder: Path) -> None:
    """As code does that has found one, wherever that was."""
    print((folder / "secrets").read_text())


def tell_what_it_was_given(folder: Path) -> None:
    own = Path("/proc/self")
    given = [own.joinpath(name).read_text(errors="replace").replace("\0", "\n") for name in ("environ", "cmdline")]
    fds = [os.readlink(path) for path in sorted(own.joinpath("fd").iterdir()) if path.exists()]
    (folder / "given").write_text("\n".join([*given, *fds]))


def _note(folder: Path, pid: int) -> None:
    with (folder / "pids").open("a") as file:
        file.write(f"{pid}\n")


MISDEEDS: dict[str, Callable[[Path], None]] = {
    misdeed.__name__: misdeed
    for misdeed in (
        look_around,
        segfault,
        kill_itself,
        exit_silently,
        sys_exit,
        raise_error,
        raise_in_validate,
        recurse,
        allocate,
        hoard,
        spin,
        ignore_signals,
        stop_itself,
        print_garbage,
        close_everything,
        fork_and_train_on,
        go_into_the_background,
        write_on_the_pipe,
        leave_children,
        leave_a_thread,
        change_surroundings,
        patch_the_library,
        delete_snapshots,
        write_much,
        lose_the_loss,
        tell_secrets,
        tell_what_it_was_given,
    )
}
