"""docs/api.md lists all problems and settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tuner_service.problems.catalog import CATALOG
from tuner_service.settings import Settings

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_problem_is_listed_with_its_status():
    listed = dict(re.findall(r"^\| `/problems/([a-z-]+)` \| (\d+) \|", TEXT, flags=re.MULTILINE))
    assert listed == {slug: str(kind.status) for slug, kind in CATALOG.items()}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_listed(name: str):
    assert f"`TUNER_{name.upper()}`" in TEXT


def test_every_setting_that_is_listed_exists():
    listed = set(re.findall(r"^\| `TUNER_([A-Z_]+)`", TEXT, flags=re.MULTILINE))
    assert listed == {name.upper() for name in Settings.model_fields}
