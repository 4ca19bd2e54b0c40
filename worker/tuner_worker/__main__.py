"""``python -m tuner_worker``: a worker as a process, where its packages are installed."""

from __future__ import annotations

import sys

from tuner.extras import ExtraMissing, require

_REFUSED = 2


def main() -> int:
    """Work until SIGTERM or SIGINT; return the exit code. Nothing of the extra is imported before the check."""
    try:
        require("worker", user="python -m tuner_worker")
    except ExtraMissing as error:
        sys.stderr.write(f"Error: {error}\n")
        return _REFUSED
    from tuner_worker import process

    return process.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
