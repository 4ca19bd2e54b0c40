"""How trainings end under a real worker: early by their own rule, past their end, by mistakes that have a reason."""

from __future__ import annotations

import pytest

from tests.faults.ending_workloads import COMMAND, SCRIPT, Endings
from tests.faults.harness import site_in
from tuner.jobs.states import RunState
from tuner.training.registry import load_provider
from tuner.training.workload import describe

pytestmark = pytest.mark.faults

ENDED = {
    ("endings", "end_early"): (24, 0.25),
    ("endings", "report_past_the_end"): (60, 0.5),
    ("endings", "fail_after_the_result"): (60, 0.5),
    ("script", "early"): (24, 0.25),
    ("script", "early_by_a_line"): (24, 0.25),
    ("script", "never_stops"): (60, 1.0),
    ("script", "fails_after_the_result"): (60, 0.5),
    ("script", "two_processes_of_one_mind"): (60, 1 / 60),
    ("script", "rewritten_in_place"): (60, 1 / 60),
    ("script", "rewritten_whole"): (60, 1 / 60),
    ("script", "half_a_line_after_the_result"): (60, 0.5),
}
"""The update at which a run ended, and its result."""
FAILED = {
    ("endings", "end_in_silence"): "a training that ends early by its own rule says so: run.finish(20, value=...)",
    ("endings", "report_epochs"): "step must be the updates done: the scheduler of the run has made 20 steps, got 1",
    ("script", "two_processes"): "of the command both report, and not the same: set RANK in the environment of each",
    ("script", "epochs"): "The steps of its 3 reports seem to count epochs, as the rates of 60 updates were used",
    ("script", "a_step_that_is_none"): "step must be updates done, a whole number in [0, 60], got 'ten'",
    ("script", "json_list"): "(ValueError: it is a list, and not one object)",
    ("script", "half_a_line"): 'line 2 of the reports must be like {"step": 100, "value": 1.25}',
    ("script", "twice"): "step must be given once, got 60. It stands twice",
}
"""What the reason of a failed run says."""
DIVERGED = {
    ("script", "huge"): "the validation loss after 20 updates is inf",
    ("script", "infinite"): "the validation loss after 20 updates is -inf",
}
ALL = {**ENDED, **FAILED, **DIVERGED}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("endings")
    (folder / "script.toml").write_text(COMMAND)
    (folder / "script.py").write_text(SCRIPT)
    script = load_provider(str(folder / "script.toml"))["script"]
    with site_in(folder, infos=(describe(Endings()), describe(script))) as site:
        runs = {(workload, how): site.enqueue(workload, options={"how": how}) for workload, how in ALL}
        worker = site.worker(workloads=f"tests.faults.ending_workloads:Endings,{folder / 'script.toml'}")
        for run_id in runs.values():
            site.wait_over(run_id)
        assert worker.alive
        yield site, runs


def names(cases) -> list[str]:
    return [" ".join(case) for case in cases]


@pytest.mark.parametrize("case", ENDED, ids=names(ENDED))
def test_a_result_is_a_result_however_the_training_ends_after_it(ended, case):
    site, runs = ended
    run = site.run(runs[case])
    assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.SUCCEEDED, 0, 0), run.error
    assert (run.step, run.loss) == ENDED[case]
    assert site.store.runs.curve(run.id)[-1].val_loss == run.loss


@pytest.mark.parametrize("case", FAILED, ids=names(FAILED))
def test_each_mistake_fails_the_run_at_once_with_its_own_reason(ended, case):
    site, runs = ended
    run = site.run(runs[case])
    assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.FAILED, 1, 0)
    assert FAILED[case] in run.error


@pytest.mark.parametrize("case", DIVERGED, ids=names(DIVERGED))
def test_a_number_beyond_all_numbers_is_divergence(ended, case):
    site, runs = ended
    run = site.run(runs[case])
    assert (run.state, run.step) == (RunState.DIVERGED, 20)
    assert DIVERGED[case] in run.error


@pytest.mark.parametrize("how", ["rewritten_in_place", "rewritten_whole"])
def test_a_reports_file_that_is_rewritten_is_read_as_it_grows(ended, how):
    site, runs = ended
    assert [point.step for point in site.store.runs.curve(runs["script", how])] == [20, 40, 60]
