"""``python -m tuner_service``: the service as a process, where its packages are installed."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from tuner.extras import ExtraMissing, require
from tuner.process.exit import limit_exit
from tuner.process.private import erase, make_private, secrets_in, write_for_this_user

_REFUSED = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. Nothing of the extra is imported before the check."""
    for number in (signal.SIGTERM, signal.SIGINT):  # before the imports, which take a second
        signal.signal(number, _stop)
    make_private()
    write_for_this_user()
    erase(secrets_in(sys.argv, os.environ))
    try:
        require("service", user="python -m tuner_service")
    except ExtraMissing as error:
        sys.stderr.write(f"Error: {error}\n")
        return _REFUSED
    from tuner_service import process

    try:
        return process.main()
    finally:
        limit_exit()


def _stop(number: int, frame: FrameType | None) -> None:
    """End in good order: there is nothing to close yet."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
