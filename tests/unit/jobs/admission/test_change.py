from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuner.search.decision.rungs import price, reserved_trials, rung_steps

from tests.integration.service.world import DIGITS
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit
from tuner.jobs.admission.change import JobChange, SearchProgress, changed
from tuner.jobs.admission.strict_json import parse_strict
from tuner.jobs.priority import Priority
from tuner.jobs.spec import JobSpec, Limits

SPEC = admit(
    {"workload": "digits-mlp", "name": "old", "limits": {"patience": 24, "wall_hours": 2.0}}, workloads=[DIGITS]
)
FRESH = SearchProgress(trials=0, committed_updates=0, reached_horizon=False)
LEAST = price(SPEC.search).least
WAY = reserved_trials(SPEC.search) * sum(rung_steps(SPEC.search))


def after(progress: SearchProgress = FRESH, **fields: Any) -> JobSpec:
    return changed(SPEC, parse_strict(JobChange, fields), progress=progress)


def refused(progress: SearchProgress, **fields: Any) -> str:
    with pytest.raises(InvalidValue) as caught:
        after(progress, **fields)
    return str(caught.value)


class TestWhatIsGiven:
    def test_an_empty_change_changes_nothing(self):
        assert after() == SPEC
        assert JobChange().set_fields == {}

    def test_it_alone_changes(self):
        found = after(name="new", notes="why", shared=True, priority="low")
        assert (found.name, found.notes, found.shared, found.priority) == ("new", "why", True, Priority.LOW)
        assert found.search == SPEC.search
        assert found.limits == SPEC.limits

    def test_of_the_limits_too(self):
        assert after(limits={"wall_hours": 3.0}).limits == Limits(patience=24, wall_hours=3.0)

    def test_null_lifts_a_limit(self):
        assert after(limits={"patience": None}).limits == Limits(wall_hours=2.0)
        assert after(max_updates=None).search.max_updates is None

    def test_the_present_fields_are_reported_as_json(self):
        change = JobChange(max_updates=None, limits=Limits(patience=None), priority=Priority.LOW)
        assert change.set_fields == {"max_updates": None, "limits": {"patience": None}, "priority": "low"}
        assert change.training_fields == {"max_updates", "limits", "priority"}

    @pytest.mark.parametrize("fields", [{"name": None}, {"trials": None}, {"workload": "x"}, {"trials": 0}])
    def test_impossible_changes_are_refused(self, fields: dict[str, Any]):
        with pytest.raises(ValueError, match=next(iter(fields))):
            after(**fields)


class TestTheBudget:
    def test_trials_stay_above_those_opened(self):
        progress = SearchProgress(trials=7, committed_updates=700, reached_horizon=False)
        assert after(progress, trials=7).search.trials == 7
        assert "trials must be at least 7: this many have been opened, got 6" in refused(progress, trials=6)

    def test_a_new_budget_pays_for_a_report_from_the_start(self):
        assert after(max_updates=LEAST).search.max_updates == LEAST
        assert f"max_updates must be at least {LEAST}" in refused(FRESH, max_updates=LEAST - 1)

    def test_a_new_budget_pays_for_committed_runs_and_the_way_to_a_report(self):
        progress = SearchProgress(trials=20, committed_updates=5_000, reached_horizon=False)
        assert after(progress, max_updates=5_000 + WAY).search.max_updates == 5_000 + WAY
        assert f"at least {5_000 + WAY}" in refused(progress, max_updates=5_000 + WAY - 1)

    def test_once_a_trial_has_completed_the_committed_updates_suffice(self):
        progress = SearchProgress(trials=20, committed_updates=5_000, reached_horizon=True)
        assert after(progress, max_updates=5_000).search.max_updates == 5_000
        assert "at least 5000" in refused(progress, max_updates=4_999)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=20),
        "shared": st.booleans(),
        "priority": st.sampled_from(Priority),
        "trials": st.integers(1, 100),
        "max_updates": st.none() | st.integers(LEAST, 10**6),
        "limits": st.fixed_dictionaries({}, optional={"patience": st.none() | st.integers(1, 9)}),
    },
)


@given(fields=CHANGES)
def test_a_change_can_be_made_twice_and_leaves_a_job_that_can_be_stored(fields: dict[str, Any]):
    change = JobChange.model_validate(fields)
    once = changed(SPEC, change, progress=FRESH)
    assert changed(once, change, progress=FRESH) == once
    assert JobSpec.model_validate_json(once.model_dump_json()) == once
    for name in {"name", "shared", "priority"} - fields.keys():
        assert getattr(once, name) == getattr(SPEC, name)
