"""Text of the user's code that no UTF-8 can hold: it reaches the reader escaped, and costs a run nothing."""

from __future__ import annotations

import pytest

from tests.faults.harness import site_in
from tests.faults.text_workloads import HARMLESS, RAISED, Texts
from tuner.jobs.states import RunState
from tuner.training.workload import describe

pytestmark = pytest.mark.faults

ESCAPED = "/data/caf\\udce9.png"
SAID = {
    "missing_file": f"FileNotFoundError: no picture at {ESCAPED}\nTraceback",
    "caused": f"RuntimeError: epoch failed\\x00 at {ESCAPED}\nTraceback",
    "endless_line": "ValueError: xxxx",
    "lone_surrogate": "KeyError: '\\ud800'\nTraceback",
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory):
    with site_in(tmp_path_factory.mktemp("texts"), infos=(describe(Texts()),)) as site:
        runs = {what: site.enqueue("texts", options={"what": what}) for what in (*RAISED, *HARMLESS)}
        worker = site.worker(workloads="tests.faults.text_workloads:Texts")
        for run_id in runs.values():
            site.wait_over(run_id)
        assert worker.alive
        yield site, runs


@pytest.mark.parametrize("what", RAISED)
def test_an_error_of_any_text_fails_the_run_at_once_with_its_text_escaped(ended, what):
    site, runs = ended
    run = site.run(runs[what])
    assert (run.state, run.failed_attempts, run.lost_attempts) == (RunState.FAILED, 1, 0), run.error
    assert run.error.startswith(SAID[what])
    assert f"in {what}" in run.error, "the line of the user's code is missing"


def test_the_cause_and_the_notes_of_an_error_are_escaped_too(ended):
    site, runs = ended
    error = site.run(runs["caused"]).error
    assert f"FileNotFoundError: no picture at {ESCAPED}" in error
    assert f"see {ESCAPED}" in error


@pytest.mark.parametrize("what", HARMLESS)
def test_what_is_printed_costs_the_run_nothing(ended, what):
    site, runs = ended
    run = site.run(runs[what])
    assert (run.state, run.failed_attempts, run.loss) == (RunState.SUCCEEDED, 0, 0.5), run.error


def test_what_is_printed_stands_escaped_in_the_log_of_the_run(ended):
    site, runs = ended

    def log(what: str) -> str:
        return "".join(chunk.text for chunk in site.store.runs.log(runs[what]))

    assert f"first {ESCAPED}\n" in log("prints")
    assert f"second {ESCAPED}\n" in log("prints")
    assert "third /data/caf\\xe9.png\n" in log("writes_bytes"), "the byte is not there to be read"
