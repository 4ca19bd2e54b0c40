from __future__ import annotations

import json
from importlib.resources import files

import pytest
from pydantic import TypeAdapter

from tuner.api.jobs import JobDetail
from tuner.cli.jobs.options import Against
from tuner.cli.jobs.warm_start import follow_up
from tuner.jobs.admission.admit import read_request
from tuner.report.report import Report
from tuner.search.space import FloatRange

EXAMPLES = json.loads(files("tuner_service").joinpath("examples.json").read_text())["responses"]
JOB = TypeAdapter(JobDetail).validate_python(EXAMPLES["JobDetail"])
REPORT = Report.model_validate(EXAMPLES["Report"])


def test_it_has_the_same_workload_and_the_recommended_schedule_is_its_incumbent():
    found = follow_up(JOB, report=REPORT, options={}, total_steps=None)
    request = read_request(found.request)
    assert request.workload == JOB.spec.workload
    assert request.search.total_steps == JOB.spec.search.total_steps
    assert request.search.incumbent == REPORT.recommended.schedule
    others = [one.schedule for one in REPORT.candidates if one.schedule != REPORT.recommended.schedule]
    assert list(request.search.start) == others[:3]
    assert found.notes == ()


def test_few_trials_start_with_as_many_of_the_others():
    found = follow_up(JOB, report=REPORT, options={}, total_steps=None, trials=1)
    search = {**found.request["search"], "trials": 1}
    assert len(read_request({**found.request, "search": search}).search.start) == 1


def test_a_longer_run_gets_a_note_on_what_carries_over():
    found = follow_up(JOB, report=REPORT, options={}, total_steps=3 * JOB.spec.search.total_steps)
    assert len(found.notes) == 1
    assert "3 times" in found.notes[0]


@pytest.mark.parametrize("against", list(Against))
def test_the_recommendation_is_compared_with_something_plainer_first(against):
    found = follow_up(JOB, report=REPORT, options={}, total_steps=None, against=against)
    search, best = read_request(found.request).search, REPORT.recommended.schedule
    assert search.start[0] == best
    assert search.incumbent.peak_lr == best.peak_lr
    assert search.incumbent.warmup.shape == "none"
    family = best.family.name if against is Against.NO_WARMUP else "constant"
    assert search.incumbent.family.name == family


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 4.0), ("adam", 2.0)])
def test_another_batch_size_moves_the_peaks_by_the_rule_of_the_optimizer(optimizer, factor):
    spec = JOB.spec.model_copy(update={"options": {"batch_size": 16, "optimizer": optimizer}})
    job = type(JOB)(**{**vars(JOB), "spec": spec})
    found = follow_up(job, report=REPORT, options={"batch_size": 64}, total_steps=None)
    incumbent = read_request(found.request).search.incumbent
    assert incumbent.peak_lr == pytest.approx(factor * REPORT.recommended.schedule.peak_lr)
    assert "16 to 64" in found.notes[0]


def test_it_has_the_options_of_the_recommendation_and_searches_them_again():
    ranges = {"weight_decay": FloatRange(low=1e-5, high=0.1, log=True)}
    search = JOB.spec.search.model_copy(update={"options": ranges})
    spec = JOB.spec.model_copy(update={"options": {"weight_decay": 1e-3, "width": 8}, "search": search})
    job = type(JOB)(**{**vars(JOB), "spec": spec})
    best = REPORT.recommended.model_copy(update={"options": {"weight_decay": 0.01}})
    found = follow_up(job, report=REPORT.model_copy(update={"recommended": best}), options={}, total_steps=None)
    request = read_request(found.request)
    assert request.options == {"weight_decay": 0.01, "width": 8}
    assert request.search.options == ranges
