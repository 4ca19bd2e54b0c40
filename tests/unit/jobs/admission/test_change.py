from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.digits import DIGITS
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit
from tuner.jobs.admission.change import JobChange, SearchProgress, changed
from tuner.jobs.admission.strict_json import parse_strict
from tuner.jobs.priority import Priority
from tuner.jobs.spec import JobSpec, Limits
from tuner.search.settings import BUDGETS

SPEC = admit(
    {"workload": "digits-mlp", "name": "old", "limits": {"patience": 24, "wall_hours": 2.0}}, workloads=[DIGITS]
)
STEPS = SPEC.search.total_steps
FRESH = SearchProgress(trials=0, committed_updates=0)


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
        assert after(trials=None).search.trials is None

    def test_the_present_fields_are_reported_as_json(self):
        change = JobChange(trials=None, limits=Limits(patience=None), priority=Priority.LOW)
        assert change.set_fields == {"trials": None, "limits": {"patience": None}, "priority": "low"}
        assert change.training_fields == {"trials", "limits", "priority"}

    @pytest.mark.parametrize("fields", [{"name": None}, {"budget": None}, {"budget": 0.5}, {"color": 1}, {"trials": 0}])
    def test_impossible_changes_are_refused(self, fields: dict[str, Any]):
        with pytest.raises(ValueError, match=next(iter(fields))):
            after(**fields)


class TestTheBudget:
    def test_trials_stay_above_those_opened(self):
        progress = SearchProgress(trials=7, committed_updates=700)
        assert after(progress, trials=7).search.trials == 7
        assert "trials must be at least 7: this many have been opened, got 6" in refused(progress, trials=6)

    @pytest.mark.parametrize("budget", [1, 4.5, 300, "quick"])
    def test_it_can_be_raised_and_lowered_before_any_run(self, budget: Any):
        assert after(budget=budget).search.budget == BUDGETS.get(budget, budget)

    def test_it_pays_for_the_planned_runs(self):
        progress = SearchProgress(trials=5, committed_updates=5 * STEPS)
        assert after(progress, budget=5).search.budget == 5
        assert "budget must be at least 5: the runs planned so far" in refused(progress, budget=4.9)

    @given(updates=st.integers(0, 100 * STEPS))
    def test_what_a_refusal_allows_is_accepted(self, updates: int):
        progress = SearchProgress(trials=0, committed_updates=updates)
        least = 1.0
        try:
            after(progress, budget=1)
        except InvalidValue as error:
            least = float(error.allowed.split(":", 1)[0].rsplit(" ", 1)[1])
        assert after(progress, budget=least).search.budget == least


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=20),
        "shared": st.booleans(),
        "priority": st.sampled_from(Priority),
        "trials": st.none() | st.integers(1, 100),
        "budget": st.sampled_from(sorted(BUDGETS)) | st.floats(1, 100),
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
