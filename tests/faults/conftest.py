from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fault_workloads import Gated, Hopeless, Hostile
from tests.faults.harness import Gate, Site, site_in, undisturbed
from tuner.training.workload import describe


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
