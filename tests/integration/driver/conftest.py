from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fault_workloads import Gated, Hostile
from tests.faults.harness import Site, site_in
from tuner.training.workload import describe


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path, infos=(describe(Gated()), describe(Hostile()))) as site:
        yield site
