from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from tuner_worker.settings import WorkerSettings

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "worker.md").read_text()
ROWS = {row[0]: row[1] for row in re.findall(r"^\| `TUNER_(\w+)` \|[^|]*\| ([^|]*)\|", PAGE, flags=re.MULTILINE)}


def test_every_setting_of_the_worker_is_on_its_page():
    assert set(ROWS) == {name.upper() for name in WorkerSettings.model_fields} | {"THREADS"}


def test_the_defaults_on_the_page_are_those_of_the_settings():
    for name, field in WorkerSettings.model_fields.items():
        default = field.default.total_seconds() if isinstance(field.default, timedelta) else field.default
        if isinstance(default, int | float):
            assert float(ROWS[name.upper()]) == default, name
