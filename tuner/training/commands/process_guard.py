"""Runs one command in a process group of its own: ``python guard.py STATUS_FD GRACE_SECONDS COMMAND [ARGUMENT...]``.

It leads the group (it was started in a session of its own). When the command ends, its exit code is written to
STATUS_FD. When standard input is closed, as it is when the process that started this one dies, the group is
asked to end (SIGTERM) and has GRACE_SECONDS for it. Either way nothing of the group is left. It imports next to
nothing: it runs before every command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(*, status_fd: int, grace_seconds: float, command: list[str]) -> None:
    """Run the command, and end the group; does not return."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # not ignored: that would be inherited by the command
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        os.write(status_fd, f"cannot start {command[0]!r}: {error.strerror}".encode())
        os._exit(1)

    def stop_at_the_end_of_input() -> None:
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGTERM)
        threading.Timer(grace_seconds, os.killpg, (0, signal.SIGKILL)).start()

    threading.Thread(target=stop_at_the_end_of_input, daemon=True).start()
    code = child.wait()
    os.write(status_fd, str(code).encode())
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(status_fd=int(sys.argv[1]), grace_seconds=float(sys.argv[2]), command=sys.argv[3:])
