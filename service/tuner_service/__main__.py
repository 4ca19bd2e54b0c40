"""``python -m tuner_service``: the service as a process, where its packages are installed."""

from __future__ import annotations

import sys

from tuner.extras import ExtraMissing, require

_REFUSED = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. Nothing of the extra is imported before the check."""
    try:
        require("service", user="python -m tuner_service")
    except ExtraMissing as error:
        sys.stderr.write(f"Error: {error}\n")
        return _REFUSED
    from tuner_service import process

    return process.main()


if __name__ == "__main__":
    sys.exit(main())
