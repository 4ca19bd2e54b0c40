from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.digits import DIGITS
from tuner.jobs.admission.admit import admit
from tuner.jobs.admission.pricing import estimate
from tuner.jobs.records import Pace
from tuner.schedules import Cosine, Schedule
from tuner.search.decision.budget import price

SPEC = admit({"workload": "digits-mlp"}, workloads=[DIGITS])
PRICE = price(SPEC.search)
PACE = Pace(workload="digits-mlp", version="1", device_model="cpu", seconds_per_update=0.5, updates=100)


def compared(**search: Any) -> tuple[str, ...]:
    return estimate(admit({"workload": "digits-mlp", "search": search}, workloads=[DIGITS]), paces=[]).compared


def test_the_price_is_that_of_the_search():
    assert estimate(SPEC, paces=[]).price == PRICE


def test_at_one_full_run_nothing_is_compared():
    (phrase,) = compared(budget=1)
    assert "without a comparison" in phrase


def test_the_incumbent_is_named_or_the_default_in_its_place():
    incumbent = Schedule(peak_lr=0.03, family=Cosine())
    assert compared(incumbent=incumbent)[0] == f"the incumbent: {incumbent.label}"
    assert compared()[0].startswith("the usual default")


def test_further_seeds_are_named_where_there_are_any():
    assert "5 each at most" in compared(seeds=5)[-1]
    assert "seed" not in " ".join(compared(seeds=1))


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
