from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fault_workloads import Gated, Hopeless, Hostile
from tests.faults.harness import Gate, Site, site_in, undisturbed
from tests.integration.store.postgres_server import RESTARTED, PrivateServer, private_server
from tuner.training.workload import describe


@pytest.fixture
def server() -> Iterator[PrivateServer]:
    """A PostgreSQL server that a test may stop and start."""
    if os.environ.get("TUNER_TEST_NO_PG") == "1":
        pytest.skip("TUNER_TEST_NO_PG=1")
    with private_server(RESTARTED) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path, infos=(describe(Gated()), describe(Hostile()), describe(Hopeless()))) as site:
        yield site


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Holds a run before update 25: between two evaluations, with a snapshot behind it."""
    folder = tmp_path / "gate"
    folder.mkdir()
    return Gate(folder=folder, at_step=25)


@pytest.fixture(scope="session")
def undisturbed_loss(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The loss of the run that the tests disturb, when nobody disturbs it."""
    loss = undisturbed(Gated(), folder=tmp_path_factory.mktemp("undisturbed")).loss
    assert loss is not None
    return loss
