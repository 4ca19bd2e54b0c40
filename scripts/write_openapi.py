"""Writes docs/openapi.json: the OpenAPI document that the service publishes.

python scripts/write_openapi.py            # write it
python scripts/write_openapi.py --check    # exit with 1 where it differs from what the service publishes
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.settings import Settings

FILE = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"


def published() -> str:
    """The document, as text."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with closing(Store(settings.database)) as store:  # nothing is asked of it
            document = create_app(settings, store=store).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/openapi.json.")
    parser.add_argument("--check", action="store_true", help="Only compare.")
    check: bool = parser.parse_args().check
    now = published()
    if not check:
        FILE.write_text(now, encoding="utf-8")
        return 0
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == now:
        return 0
    print(f"{FILE.name} is not what the service publishes. Run: python {Path(__file__).name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
