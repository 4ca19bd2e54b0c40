"""A report as a value that is stored, and what a study's result may not contradict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.report.studies import (
    SEEDS,
    typical,
)
from tuner.errors import InvalidValue
from tuner.report.report import Report
from tuner.search.decision.decisions import RunStatus


class TestStored:
    def test_it_comes_back_from_json_and_says_its_version(self, report):
        assert report.version == 3
        assert Report.model_validate_json(report.model_dump_json()) == report

    @pytest.mark.parametrize("version", [1, 2, 4])
    def test_another_version_is_refused(self, report, version):
        with pytest.raises(ValueError, match="version"):
            Report.model_validate(report.model_dump(mode="json") | {"version": version})

    def test_a_candidate_that_there_is_not_is_a_key_error(self, report):
        with pytest.raises(KeyError):
            report.candidate(99)


class TestContradictions:
    def changed_run(self, **changes):
        result = typical()
        first, *others = result.state.runs
        return replace(result, state=replace(result.state, runs=(replace(first, **changes), *others)))

    def test_a_finished_run_without_a_loss_or_with_one_that_is_not_finite_is_refused(self):
        for loss in (None, float("nan"), float("inf")):
            with pytest.raises(InvalidValue, match=r"state\.runs\.0\.101\.loss must be finite"):
                self.changed_run(loss=loss)

    def test_a_diverged_run_with_a_loss_is_refused(self):
        with pytest.raises(InvalidValue, match=r"state\.runs\.0\.101\.loss must be None"):
            self.changed_run(status=RunStatus.DIVERGED)

    def test_a_run_of_an_unknown_trial_and_a_second_one_on_a_seed_are_refused(self):
        with pytest.raises(InvalidValue, match="of a trial that exists"):
            self.changed_run(trial=77)
        with pytest.raises(InvalidValue, match="at most one of each trial and seed"):
            self.changed_run(seed=SEEDS[1])

    def test_trials_with_gaps_in_their_numbers_are_refused(self):
        result = typical()
        with pytest.raises(InvalidValue, match="without gaps"):
            replace(result, state=replace(result.state, trials=result.state.trials[1:]))

    def test_histories_of_no_run_two_of_one_run_too_many_steps_and_a_stop_without_forecast_are_refused(self):
        result = typical()
        (stopped,) = result.histories
        with pytest.raises(InvalidValue, match="of a run that exists"):
            replace(result, histories=(replace(stopped, seed=7),))
        with pytest.raises(InvalidValue, match="at most one of each trial and seed"):
            replace(result, histories=(stopped, stopped))
        with pytest.raises(InvalidValue, match=r"histories\.5\.101\.steps must be in \[0, 900\]"):
            replace(result, histories=(replace(stopped, steps=901),))
        with pytest.raises(InvalidValue, match="the forecast of a run that was stopped"):
            replace(result, histories=(replace(stopped, check=None),))

    @pytest.mark.parametrize("name", ["updates_spent", "updates_saved"])
    def test_negative_numbers_of_updates_are_refused(self, name):
        changes: dict[str, Any] = {name: -1}
        with pytest.raises(InvalidValue, match=f"{name} must be at least 0"):
            replace(typical(), **changes)
