"""``python -m tuner_worker``: a worker as a process, where its packages are installed."""

from __future__ import annotations

import os
import sys

from tuner.extras import ExtraMissing, require
from tuner.process.exit import limit_exit
from tuner.process.private import erase, make_private, secrets_in, write_for_this_user
from tuner_worker.stop_request import StopRequest

_REFUSED = 2
_INTERRUPTED = 130


def main() -> int:
    """Work until SIGTERM or SIGINT; return the exit code. Nothing of the extra is imported before the check."""
    # Before the imports, which take a second: a signal in it ends the worker in good order.
    stop = StopRequest().on_signals()
    make_private()
    write_for_this_user()
    erase(secrets_in(sys.argv, os.environ))
    try:
        return _main(stop)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        limit_exit()


def _main(stop: StopRequest) -> int:
    try:
        require("worker", user="python -m tuner_worker")
    except ExtraMissing as error:
        sys.stderr.write(f"Error: {error}\n")
        return _REFUSED
    from tuner_worker import process

    return process.main(sys.argv[1:], stop=stop)


if __name__ == "__main__":
    sys.exit(main())
