"""A study as a search leaves it, and its report."""

from __future__ import annotations

import pytest

from tests.unit.report.studies import typical
from tuner.report.build import build_report
from tuner.report.report import Report


@pytest.fixture(scope="session")
def report() -> Report:
    """The report of the typical study."""
    return build_report(typical())
