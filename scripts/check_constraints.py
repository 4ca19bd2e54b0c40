"""Checks constraints.txt against pyproject.toml.

    python scripts/check_constraints.py          # fails when a resolution of pyproject.toml would not keep every pin
    python scripts/check_constraints.py --write  # resolves again

The resolution is universal (one file for every platform and Python) and starts from the present pins, so that it
changes only where pyproject.toml or constraints.in did. It uses the package index alone: a folder of local wheels would
put its paths and its platform into the file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = (
    "# Made by `make constraints` from pyproject.toml and constraints.in. One file for every platform and Python.\n"
)


def resolve(present: str) -> str:
    """Return the text of the constraints that uv resolves, starting from ``present``."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "--universal", "--all-extras", "--python-version", "3.11", "--quiet"]
    command += ["--no-header", "--no-annotate", "-c", "constraints.in", "-c", "-", "pyproject.toml"]
    environment = {key: value for key, value in os.environ.items() if key != "UV_FIND_LINKS"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=present, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"constraints.txt does not fit pyproject.toml: run `make constraints`\n{done.stderr}")
    return HEADER + done.stdout


def main() -> int:
    """Check, or with ``--write`` make, constraints.txt."""
    file = ROOT / "constraints.txt"
    if "--write" in sys.argv[1:]:
        file.write_text(resolve(""))
        return 0
    present = file.read_text()
    if resolve(present) != present:
        print("constraints.txt misses or has more than what pyproject.toml needs: run `make constraints`")
        return 1
    print("constraints.txt fits pyproject.toml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
