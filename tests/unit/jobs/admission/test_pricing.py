from __future__ import annotations

from dataclasses import replace

import pytest
from tuner.search.decision.rungs import price, rung_steps

from tests.integration.service.world import DIGITS
from tuner.jobs.admission.admit import admit
from tuner.jobs.admission.pricing import RunsPrice, estimate
from tuner.jobs.records import Pace

SPEC = admit({"workload": "digits-mlp", "search": {"rungs": 3}}, workloads=[DIGITS])
PRICE = price(SPEC.search)
PACE = Pace(workload="digits-mlp", version="1", device_model="cpu", seconds_per_update=0.5, updates=100)


def test_runs_and_updates_are_those_of_the_search():
    found = estimate(SPEC, paces=[])
    steps = rung_steps(SPEC.search)
    assert found.rungs == tuple(
        RunsPrice(runs=runs, updates=updates) for runs, updates in zip(PRICE.rung_runs, steps, strict=True)
    )
    assert found.audits == RunsPrice(runs=PRICE.audit_runs, updates=steps[-1])
    assert found.confirmations == RunsPrice(runs=PRICE.confirm_runs, updates=steps[-1])
    assert found.updates == PRICE.updates


def test_an_unmeasured_workload_has_no_time():
    assert estimate(SPEC, paces=[]).device_seconds is None
    assert estimate(SPEC, paces=[replace(PACE, updates=0), replace(PACE, workload="other")]).device_seconds is None


def test_the_time_is_listed_by_device_model():
    fast = replace(PACE, device_model="H100", seconds_per_update=0.01)
    assert estimate(SPEC, paces=[PACE, fast]).device_seconds == {
        "cpu": pytest.approx(PRICE.updates * 0.5),
        "H100": pytest.approx(PRICE.updates * 0.01),
    }


def test_it_is_never_above_the_jobs_own_limit():
    limits = SPEC.limits.model_copy(update={"device_hours": 1 / 3600})
    spec = SPEC.model_copy(update={"limits": limits})
    assert estimate(spec, paces=[PACE]).device_seconds == {"cpu": pytest.approx(1.0)}
