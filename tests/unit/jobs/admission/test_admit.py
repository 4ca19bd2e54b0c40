from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.digits import DIGITS
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import JobRequest, SearchRequest, admit, fresh_seed
from tuner.jobs.admission.space_request import SpaceRequest
from tuner.jobs.priority import Priority
from tuner.jobs.spec import DEFAULT_TEAM, Limits, Resources
from tuner.schedules import Cosine, Schedule
from tuner.search.settings import BUDGETS, SearchSettings
from tuner.search.space import OptimizerKind, default_space


def refused(request: Any, **changes: Any) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        admit(request, workloads=[replace(DIGITS, **changes)])
    return caught.value


class TestWhatIsLeftOut:
    def test_a_workload_is_enough(self):
        spec = admit({"workload": "digits-mlp"}, workloads=[DIGITS])
        assert spec.options == {"width": 64, "dropout": 0.0, "optimizer": "sgd"}
        assert spec.search == SearchSettings(
            total_steps=90, space=default_space(OptimizerKind.SGD, peak_lr=DIGITS.peak_lr["sgd"])
        )
        assert type(spec.search) is SearchSettings

    def test_the_space_follows_the_optimizer_that_the_options_choose(self):
        spec = admit({"workload": "digits-mlp", "options": {"optimizer": "adam"}}, workloads=[DIGITS])
        assert spec.search.space == default_space(OptimizerKind.ADAM)

    def test_a_workload_with_one_optimizer_needs_no_option_for_it(self):
        info = replace(DIGITS, optimizer_option=None, optimizer=OptimizerKind.ADAM, options_schema={"type": "object"})
        assert admit({"workload": "digits-mlp"}, workloads=[info]).search.space == default_space(OptimizerKind.ADAM)

    def test_given_values_stay(self):
        space = default_space(OptimizerKind.ADAM)
        request = JobRequest(
            workload="digits-mlp",
            options={"width": 3},
            name="n",
            team="t",
            priority=Priority.HIGH,
            notes="why",
            shared=True,
            resources=Resources(device="cuda", devices=2),
            limits=Limits(patience=24),
            search=SearchRequest(total_steps=500, trials=5, space=SpaceRequest.model_validate(space.model_dump())),
        )
        spec = admit(request, workloads=[DIGITS])
        assert (spec.options["width"], spec.name, spec.team, spec.priority) == (3, "n", "t", Priority.HIGH)
        assert (spec.notes, spec.shared) == ("why", True)
        assert (spec.resources, spec.limits) == (Resources(device="cuda", devices=2), Limits(patience=24))
        assert (spec.search.total_steps, spec.search.trials, spec.search.space) == (500, 5, space)

    def test_python_values_are_read_like_json(self):
        space = default_space(OptimizerKind.ADAM)
        spec = admit({"workload": "digits-mlp", "search": {"space": space}}, workloads=[DIGITS])
        assert spec.search.space == space

    def test_a_search_without_a_seed_gets_the_one_that_was_drawn_and_keeps_its_own(self):
        assert admit({"workload": "digits-mlp"}, workloads=[DIGITS], seed=77).search.seed == 77
        named = {"workload": "digits-mlp", "search": {"seed": 5}}
        assert admit(named, workloads=[DIGITS], seed=77).search.seed == 5

    def test_drawn_seeds_differ_and_are_seeds(self):
        drawn = {fresh_seed() for _ in range(20)}
        assert len(drawn) == 20
        assert all(SearchSettings(total_steps=10, seed=seed) for seed in drawn)

    def test_admitting_what_was_admitted_changes_nothing(self):
        spec = admit({"workload": "digits-mlp", "options": {"width": 3}}, workloads=[DIGITS])
        assert admit(spec.model_dump(mode="json"), workloads=[DIGITS]) == spec


class TestRefusals:
    def test_the_refusal_of_an_unknown_workload_lists_the_known_ones(self):
        error = refused({"workload": "digit"})
        assert (error.field, error.value, error.allowed) == ("workload", "digit", "one of digits-mlp")
        assert "'digits-mlp'" in error.hint

    def test_without_any_workload_the_refusal_says_what_to_start(self):
        with pytest.raises(InvalidValue, match="tuner worker"):
            admit({"workload": "digits-mlp"}, workloads=[])

    @pytest.mark.parametrize(
        ("options", "field", "allowed"),
        [
            ({"widht": 3}, "options.widht", "one of the options of digits-mlp: width, dropout, optimizer"),
            ({"width": 0}, "options.width", "at least 1"),
            ({"width": 2000}, "options.width", "at most 1024"),
            ({"width": True}, "options.width", "a whole number"),
            ({"width": None}, "options.width", "a whole number"),
            ({"dropout": 1.0}, "options.dropout", "below 1"),
            ({"optimizer": "lion"}, "options.optimizer", "one of 'sgd', 'adam'"),
        ],
    )
    def test_an_option_must_fit_the_announced_schema(self, options: dict[str, Any], field: str, allowed: str):
        error = refused({"workload": "digits-mlp", "options": options})
        assert (error.field, error.allowed) == (field, allowed)

    @pytest.mark.parametrize("value", [10**400, -(10**400)])
    def test_a_number_that_no_float_can_hold_is_refused_where_the_schema_has_no_bounds(self, value: int):
        unbounded = {"type": "number", "description": "Any."}
        schema = {**DIGITS.options_schema, "properties": {**DIGITS.options_schema["properties"], "dropout": unbounded}}
        error = refused({"workload": "digits-mlp", "options": {"dropout": value}}, options_schema=schema)
        assert (error.field, error.allowed) == ("options.dropout", "a number from -1.8e+308 to 1.8e+308")

    @pytest.mark.parametrize(
        ("request_", "set_by"),
        [
            ({"options": {"warmup-steps": 5}}, "search.space.warmup"),
            ({"options": {"scheduler": "cosine"}}, "search.space.families"),
            ({"options": {"epochs": 5}}, "search.total_steps"),
            ({"options": {"seed": 5}}, "search.seed"),
            ({"budget": 5}, "search.budget"),
            ({"peak_lr": 5}, "search.space.peak_lr"),
            ({"lr": 5}, "search.space.peak_lr"),
            ({"device": "cpu"}, "resources.device"),
            ({"search": {"peak_lr": {}}}, "search.space.peak_lr"),
            ({"search": {"epochs": 3}}, "search.total_steps"),
            ({"search": {"device_hours": 3}}, "limits.device_hours"),
            ({"search": {"space": {"budget": 3}}}, "search.budget"),
        ],
    )
    def test_a_setting_in_the_wrong_place_is_refused_with_the_right_one(self, request_: dict[str, Any], set_by: str):
        assert f"It is set by `{set_by}`." in str(refused({"workload": "digits-mlp"} | request_))

    @pytest.mark.parametrize(
        ("request_", "message"),
        [
            (
                {"options": {"foo": 1}},
                "options.foo is not one of the options of digits-mlp: width, dropout, optimizer. Leave it out.",
            ),
            (
                {"options": {"widht": 3}},
                "options.widht is not one of the options of digits-mlp: width, dropout, optimizer. "
                "Did you mean 'width'?",
            ),
            ({"searhc": {}}, "searhc is not one of the known fields: "),
            (
                {"options": {"lr": 0.1}},
                "options.lr is not one of the options of digits-mlp: width, dropout, optimizer. "
                "It is set by `search.space.peak_lr`.",
            ),
            (
                {"search": {"options": {"peak_lr": {"kind": "float", "low": 0.1, "high": 1}}}},
                "search.options.peak_lr is not one of the options of digits-mlp: width, dropout, optimizer. "
                "It is set by `search.space.peak_lr`.",
            ),
        ],
    )
    def test_an_unknown_name_is_shown_instead_of_its_value(self, request_: dict[str, Any], message: str):
        assert str(refused({"workload": "digits-mlp"} | request_)).startswith(message)

    def test_trials_that_leave_a_start_schedule_untried_are_refused(self):
        start = [{"peak_lr": peak, "family": {"name": "linear"}} for peak in (0.1, 0.2, 0.2)]
        search = {"start": start, "trials": 1}
        assert str(refused({"workload": "digits-mlp", "search": search})) == (
            "search.trials must be at least 2, the number of the schedules to try first, got 1. "
            "Leave trials out, or name fewer schedules in search.start"
        )
        found = admit({"workload": "digits-mlp", "search": search | {"trials": 2}}, workloads=[DIGITS])
        assert (found.search.trials, len(found.search.start)) == (2, 3)

    def test_an_options_description_helps(self):
        assert refused({"workload": "digits-mlp", "options": {"width": 0}}).hint == "Units per layer."

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            ({}, "workload"),
            ({"workload": "digits-mlp", "search": {"trials": "many"}}, "search.trials"),
            ({"workload": "digits-mlp", "search": {"trials": True}}, "search.trials"),
            ({"workload": "digits-mlp", "search": {"rungs": 3}}, "search.rungs"),
            ({"workload": "digits-mlp", "search": {"max_updates": 1000}}, "search.max_updates"),
            ({"workload": "digits-mlp", "searhc": {}}, "searhc"),
            ({"workload": "digits-mlp", "options": {"width": float("nan")}}, "options.width"),
            ({"workload": "digits-mlp", "options": {"width": object()}}, "request"),
        ],
    )
    def test_a_mapping_is_read_as_strictly_as_a_request_over_http(self, request_: dict[str, Any], field: str):
        assert refused(request_).field == field


class TestTheBudget:
    def admitted(self, budget: Any) -> float:
        return admit({"workload": "digits-mlp", "search": {"budget": budget}}, workloads=[DIGITS]).search.budget

    @pytest.mark.parametrize(("budget", "full_runs"), [(1, 1.0), (2.5, 2.5), *BUDGETS.items()])
    def test_any_from_one_is_accepted_and_names_are_numbers(self, budget: Any, full_runs: float):
        assert self.admitted(budget) == full_runs

    @pytest.mark.parametrize("budget", [0.99, 0, -1, 10_001, True, None, "10", "cheap", [3], float("nan")])
    def test_anything_else_is_refused_by_name(self, budget: Any):
        error = refused({"workload": "digits-mlp", "search": {"budget": budget}})
        assert error.field == "search.budget"

    def test_the_refusal_of_an_unknown_name_lists_the_names(self):
        error = refused({"workload": "digits-mlp", "search": {"budget": "cheap"}})
        assert all(name in error.allowed for name in BUDGETS)


class TestTheRangeOfPeaks:
    def peaks(self, peak: float, **search: Any) -> Any:
        incumbent = Schedule(peak_lr=peak, family=Cosine())
        request = {"workload": "digits-mlp", "search": {"incumbent": incumbent, **search}}
        return admit(request, workloads=[DIGITS]).search.searched_space.peak_lr

    def test_an_incumbents_peak_is_its_middle_and_its_width_is_the_workloads(self):
        found = self.peaks(2e-5)
        assert (found.low * found.high) ** 0.5 == pytest.approx(2e-5, rel=0.01)
        low, high = DIGITS.peak_lr["sgd"]
        assert found.high / found.low == pytest.approx(high / low, rel=0.02)

    def test_a_space_that_is_named_stays(self):
        space = default_space(OptimizerKind.ADAM)
        assert self.peaks(2e-5, space=space) == space.peak_lr


class TestTheTeam:
    @pytest.mark.parametrize(
        ("named", "own", "found"), [(None, None, DEFAULT_TEAM), (None, "mine", "mine"), ("theirs", "mine", "theirs")]
    )
    def test_a_request_without_a_team_gets_the_submitters(self, named: str | None, own: str | None, found: str):
        request = {"workload": "digits-mlp"} | ({} if named is None else {"team": named})
        assert admit(request, workloads=[DIGITS], team=own).team == found


class TestSearchedOptions:
    def admitted(self, **ranges: Any) -> Any:
        return admit({"workload": "digits-mlp", "search": {"options": ranges}}, workloads=[DIGITS])

    def refused(self, **ranges: Any) -> InvalidValue:
        return refused({"workload": "digits-mlp", "search": {"options": ranges}})

    def test_ranges_and_choices_that_the_workload_accepts_stay(self):
        spec = self.admitted(
            dropout={"kind": "float", "low": 0.0, "high": 0.5}, width={"kind": "choice", "values": [16, 64]}
        )
        assert spec.search.options["dropout"].contains(0.5)
        assert spec.search.options["width"].contains(64)
        assert spec.options["dropout"] == 0.0  # what the job gives stays: the search begins there

    def test_the_refusal_of_an_unknown_option_lists_the_known_ones(self):
        error = self.refused(droput={"kind": "float", "low": 0.0, "high": 0.5})
        assert error.field == "search.options.droput"
        assert "dropout" in f"{error.allowed} {error.hint}"

    @pytest.mark.parametrize(
        ("name", "parameter", "value"),
        [
            ("dropout", {"kind": "float", "low": 0.0, "high": 1.0}, 1.0),
            ("dropout", {"kind": "float", "low": -0.1, "high": 0.5}, -0.1),
            ("dropout", {"kind": "choice", "values": [0.1, "much"]}, "much"),
            ("width", {"kind": "int", "low": 0, "high": 64}, 0),
        ],
    )
    def test_a_range_with_a_value_that_the_workload_does_not_take_is_refused(self, name, parameter, value):
        error = self.refused(**{name: parameter})
        assert (error.field, error.value) == (f"search.options.{name}", value)

    def test_real_numbers_for_an_option_of_whole_ones_are_refused_although_both_ends_are_whole(self):
        error = self.refused(width={"kind": "float", "low": 1, "high": 64})
        assert (error.field, error.allowed) == ("search.options.width", "a whole number")

    def test_whole_numbers_between_those_that_the_workload_takes_are_refused(self):
        width = {**DIGITS.options_schema["properties"]["width"], "multipleOf": 8}
        schema = {**DIGITS.options_schema, "properties": {**DIGITS.options_schema["properties"], "width": width}}
        search = {"options": {"width": {"kind": "int", "low": 16, "high": 64}}}
        error = refused({"workload": "digits-mlp", "search": search}, options_schema=schema)
        assert (error.field, error.allowed) == ("search.options.width", "a multiple of 8")

    def test_the_option_that_chooses_the_optimizer_is_refused_with_what_to_do(self):
        error = self.refused(optimizer={"kind": "choice", "values": ["sgd", "adam"]})
        assert error.field == "search.options.optimizer"
        assert "a job for each" in error.hint

    def test_more_than_four_are_refused(self):
        many = {f"option_{number}": {"kind": "float", "low": 0.0, "high": 0.5} for number in range(5)}
        error = self.refused(**many)
        assert (error.field, error.allowed) == ("search.options", "an object of at most 4")
