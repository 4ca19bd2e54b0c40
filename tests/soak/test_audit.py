"""The audit of a soak notices what it is there to notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.integration.store.builders import announce, claim_lock, offer
from tests.soak.audit import Audit, audit
from tests.soak.jobs import TOTAL_STEPS
from tests.soak.workload import Soak, undisturbed_loss
from tuner.jobs.records import LeasedRun, NewRun
from tuner.jobs.spec import JobSpec
from tuner.schedules import Constant, Schedule
from tuner.search.configuration import Configuration
from tuner.search.settings import SearchSettings
from tuner.search.space import default_space
from tuner.store import Store
from tuner.training.workload import describe

SCHEDULE = Schedule(peak_lr=0.05, family=Constant())


class Soaked:
    """A database in which one run of one job has ended well."""

    def __init__(self, folder: Path) -> None:
        self.site: Any = SimpleNamespace(
            direct_url=f"sqlite:///{folder / 'tuner.db'}", trace=folder / "trace", workers=("w0", "w1")
        )
        self.site.trace.write_bytes(b"." * TOTAL_STEPS)
        store = Store.open(self.site.direct_url)
        info = describe(Soak())
        announce(store, "w0", device="cpu", workloads=(info,))
        search = SearchSettings(total_steps=TOTAL_STEPS, trials=1, space=default_space(info.optimizer))
        self.job_id = store.jobs.submit(JobSpec(workload="soak", search=search)).id
        asked = offer("w0", workloads={"soak": info.version})
        lock = claim_lock(store, asked)
        assert lock is not None
        store.planning.start_job(lock)
        run = NewRun(seed=1, total_steps=TOTAL_STEPS, schedule=SCHEDULE, reason="first")
        configuration = Configuration(schedule=SCHEDULE)
        store.planning.add_trial(lock, number=0, role=None, configuration=configuration, reason="first", run=run)
        leased = store.queue.claim(asked, lease_seconds=60, lock_seconds=60)
        assert isinstance(leased, LeasedRun)
        loss = undisturbed_loss(SCHEDULE, total_steps=TOTAL_STEPS, seed=1)
        store.leases.finish(leased, loss=loss, step=TOTAL_STEPS, updates=TOTAL_STEPS)
        store.close()
        self.engine: Engine = create_engine(self.site.direct_url)
        self.change("UPDATE tuner_jobs SET state = 'completed', lock_token = NULL, lock_expires_at = NULL")

    def change(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def audit(self) -> Audit:
        return audit(self.site, accepted=[self.job_id], damaged=0)


@pytest.fixture
def soaked(tmp_path: Path) -> Iterator[Soaked]:
    soaked = Soaked(tmp_path)
    yield soaked
    soaked.engine.dispose()


def test_a_soak_without_damage_is_clean(soaked: Soaked) -> None:
    found = soaked.audit()
    assert found.is_clean
    assert (found.jobs, found.runs, found.steps_needed, found.steps_executed) == (1, 1, TOTAL_STEPS, TOTAL_STEPS)


@pytest.mark.parametrize(
    ("statement", "count"),
    [
        ("UPDATE tuner_runs SET state = 'cancelled', loss = NULL", lambda found: found.lost),
        ("UPDATE tuner_runs SET loss = loss * 1.0000000000001", lambda found: found.wrong),
        ("UPDATE tuner_runs SET state = 'failed', loss = NULL, error = 'lost'", lambda found: found.failed),
        ("UPDATE tuner_jobs SET state = 'failed', error = 'lost'", lambda found: found.failed),
        ("UPDATE tuner_jobs SET state = 'running'", lambda found: found.stuck),
        (
            "INSERT INTO tuner_events (job_id, kind, data, at)"
            " SELECT job_id, kind, data, at FROM tuner_events WHERE kind = 'run.succeeded'",
            lambda found: found.twice,
        ),
    ],
)
def test_damage_is_noticed(soaked: Soaked, statement: str, count: Callable[[Audit], int]) -> None:
    soaked.change(statement)
    found = soaked.audit()
    assert count(found) == 1
    assert not found.is_clean


def test_a_job_that_is_gone_is_lost(soaked: Soaked) -> None:
    assert audit(soaked.site, accepted=[soaked.job_id, "another"], damaged=0).lost == 1


def test_steps_that_nothing_explains_are_not_clean(soaked: Soaked) -> None:
    soaked.site.trace.write_bytes(b"." * (TOTAL_STEPS + 1))
    assert not soaked.audit().is_clean
    soaked.change("UPDATE tuner_runs SET attempts = 2")
    assert soaked.audit().is_clean
