"""What a run may do to its runner, and what happens to the run and the worker then."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tuner
from tests.faults.fault_workloads import Gated, Hostile, Quiet
from tests.faults.harness import Site, is_alive, site_in, undisturbed, wait_until
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import RunRecord
from tuner.jobs.states import RunState, is_terminal
from tuner.report.report import Report
from tuner.schedules import Constant, ReduceOnPlateau, Schedule, Wsd
from tuner.training.registry import load_provider
from tuner.training.workload import describe

pytestmark = pytest.mark.faults

GATED, QUIET = "tests.faults.fault_workloads:Gated", "tests.faults.fault_workloads:Quiet"

# The whole first line that tells the user why (a pattern), and how the next one begins.
NO_PROGRESS = r"the runner was killed: it is stuck: no progress for 2 s \(TUNER_SILENCE_LIMIT of the worker\); " + (
    r"the last known is update \d+"
)
KILLED = {
    "segfault": (
        r"the runner was killed by SIGSEGV",
        "Last lines of its error output:\nFatal Python error: Segmentation",
    ),
    "kill_itself": (
        r"the runner was killed by SIGKILL \(often because the system lacks memory\)",
        "Last lines of its error output:\nthe code of the run sent its own process SIGKILL",
    ),
    "exit_silently": (
        r"the runner ended by itself, with exit code 0 and no result \(the code called os\._exit\)",
        "",
    ),
    "go_into_the_background": (
        r"the runner ended by itself, with exit code 0 and no result, "
        r"while what it had started ran on \('python[\d.]*'\): has the code gone into the background\?",
        "",
    ),
    "close_everything": (
        r"the runner ended by itself, with exit code 1 and no result",
        "Last lines of its error output:\nthe pipe to the worker is closed on this side (Bad file descriptor): "
        "training code must close no file descriptor that it did not open",
    ),
    "write_on_the_pipe": (
        r"the runner was killed: it broke the protocol: it sent b'\{\"type\": \"nonsense\"\}', which is no message: .*"
        r"\(training code must not write to, or close, a file descriptor that it did not open\)",
        "",
    ),
    "hoard": (
        r"the runner was killed: out of memory: with what it started it has more than it may",
        "Most memory seen: 1,",
    ),
}
STUCK = {
    "spin": (NO_PROGRESS, "Where it stood (most recent call first):\n"),
    "ignore_signals": (
        NO_PROGRESS + r"; it did not end at SIGTERM, which its code ignores or handles, so that SIGKILL had to end it "
        r"\(where it stood is not known: it did not react to SIGABRT\)",
        "",
    ),
    "stop_itself": (
        NO_PROGRESS + r" \(it was stopped by a signal, SIGSTOP or SIGTSTP, and not continued\)",
        "",
    ),
}
RAISED = {
    "sys_exit": (r"SystemExit: 0", "The training code ended the process (sys.exit) before its run was over"),
    "raise_in_validate": (r"KeyError: 'the validation set is gone'", "Traceback"),
    "recurse": (r"RecursionError: maximum recursion depth exceeded.*", "Traceback"),
    "allocate": (r"out of memory: MemoryError: Unable to allocate 10\.0 GiB for an array.*", "Most memory seen: "),
}
REASONS = {**KILLED, **STUCK, **RAISED}
FINAL = {"hoard", *RAISED}


class Session:
    """One worker that trains hostile workloads one after the other, and a healthy run after each."""

    def __init__(self, site: Site, hostile: Iterable[str]) -> None:
        self.site = site
        self.runs: dict[str, str] = {}
        for how in hostile:
            (site.folder / how).mkdir()
            self.runs[how] = self.enqueue(how, folder=site.folder / how)
            if how not in FINAL:  # two attempts went wrong already; the third is the last
                site.sql("UPDATE tuner_runs SET failed_attempts = 2 WHERE id = ?", self.runs[how])
            self.runs[f"after {how}"] = self.enqueue("look_around", folder=site.folder)
        silence: dict[str, Any] = {"silence_limit": 2} if STUCK.keys() & self.runs.keys() else {}
        self.worker = site.worker(**silence, runner_memory_mb=1024)

    def enqueue(self, how: str, *, folder: Path) -> str:
        return self.site.enqueue("hostile", options={"how": how, "folder": str(folder)})

    def end(self, how: str) -> RunRecord:
        """How it ended, once the run after it has ended well, on the same worker, with nothing left running."""
        run = self.site.wait_over(self.runs[how])
        assert not [pid for pid in self.pids(how) if is_alive(pid)], how
        after = self.site.wait_over(self.runs[f"after {how}"])
        assert (after.state, after.error) == (RunState.SUCCEEDED, None), how
        assert (after.failed_attempts, after.lost_attempts) == (0, 0), how
        assert self.worker.alive
        return run

    def pids(self, how: str) -> list[int]:
        """The processes that it told of."""
        told = self.site.folder / how / "pids"
        return list(map(int, told.read_text().split())) if told.exists() else []

    def printed(self, how: str) -> str:
        return "".join(chunk.text for chunk in self.site.store.runs.log(self.runs[how]))


@pytest.fixture
def session_of(tmp_path) -> Iterator[Callable[[Iterable[str]], Session]]:
    with site_in(tmp_path, infos=(describe(Gated()), describe(Hostile()))) as site:
        yield lambda hostile: Session(site, hostile)


@pytest.mark.parametrize("hostile", [KILLED, STUCK, RAISED], ids=["killed", "stuck", "raised"])
def test_each_hostile_workload_fails_its_run_with_its_own_reason_and_the_next_run_is_well(session_of, hostile):
    session = session_of(hostile)
    for how, (_, then) in hostile.items():
        run = session.end(how)
        assert (run.state, run.failed_attempts) == (RunState.FAILED, 1 if how in FINAL else 3), how
        first, _, rest = run.error.removeprefix("given up after 3 failed attempts: ").partition("\n")
        assert [other for other, (line, _) in REASONS.items() if re.fullmatch(line, first)] == [how], run.error
        assert rest.startswith(then), run.error
        if how in ("hoard", "allocate"):
            assert "the limit is 1,024 MiB (TUNER_RUNNER_MEMORY_MB of the worker). What usually helps: smaller" in rest
        if how == "spin":
            assert re.search(r'hostile_workloads\.py", line \d+ in spin\n', rest)
            assert rest.endswith("Last lines of its error output:\nit goes round and round")
        if hostile is RAISED:
            assert "fault_workloads.py" in rest
            assert "engine.py" not in rest


def test_what_a_run_leaves_in_its_process_is_gone_when_the_next_one_begins(session_of):
    hostile = (
        "tell_what_it_was_given",
        "change_surroundings",
        "leave_children",
        "leave_a_thread",
        "patch_the_library",
        "fork_and_train_on",
        "delete_snapshots",
        "print_garbage",
    )
    session = session_of([*hostile, "lose_the_loss"])
    for how in hostile:
        assert session.end(how).state is RunState.SUCCEEDED, how
    diverged = session.end("lose_the_loss")
    assert (diverged.state, diverged.error) == (RunState.DIVERGED, "the training loss of update 12 is nan")

    seen = (session.site.folder / "seen").read_text().splitlines()
    assert len(seen) == len(hostile) + 1
    assert set(seen) == {seen[0]}
    left = [entry["what"] for entry in session.worker.logged("run.leftovers")]
    assert len(left) == 3
    assert [len(session.pids(how)) for how in ("leave_children", "leave_a_thread", "patch_the_library")] == [2, 1, 1]
    assert "the process" in left[0]
    assert left[1] == "the thread 'left-behind'"
    assert {"json.dumps replaced", "json.loads replaced", "os.write replaced"} <= set(left[2].split(", "))

    assert session.printed("fork_and_train_on") == (
        "this process is a copy of the run's own (os.fork): it cannot speak for the run. "
        "Train and report in the process that was started for the run\n"
    )

    printed = session.printed("print_garbage")
    assert printed.count("the last words\\x08\n") == 2
    assert all(character in "\n\t\u200d" or unicodedata.category(character)[0] != "C" for character in printed)
    assert "bytes left out" in printed

    given = (session.site.folder / "tell_what_it_was_given" / "given").read_text()
    assert "TUNER_RUNNER_OF=" in given
    assert "TUNER_DATABASE_URL" not in given
    assert "tuner.db" not in given


def test_a_run_whose_snapshots_were_deleted_begins_again_and_its_log_says_why(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker()
    first = gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)

    shutil.rmtree(site.folder / "snapshots")
    os.kill(first, signal.SIGKILL)
    gate.open()
    run = site.wait_over(run_id)

    assert (run.state, run.loss, run.attempts) == (RunState.SUCCEEDED, undisturbed_loss, 2)
    assert list(gate.steps_by_process().values()) == [list(range(25)), list(range(60))]
    printed = "".join(chunk.text for chunk in site.store.runs.log(run_id))
    assert re.search(
        r"snapshot refused: \S+step-0+25\.pt is not there: it was deleted, or is on another machine", printed
    )
    assert f"run {run_id} starts from update 0: no snapshot is usable" in printed
    assert site.wait_over(site.enqueue("gated", options={})).state is RunState.SUCCEEDED
    assert worker.alive


COMMAND = """
name = "true"
version = "1"
description = "Ends well, and reports nothing."
command = ["true"]
default_steps = 60
optimizer = "sgd"
"""


def test_an_end_with_exit_code_0_and_no_report_fails_the_run_with_what_is_due(tmp_path):
    (tmp_path / "true.toml").write_text(COMMAND)
    (command,) = load_provider(str(tmp_path / "true.toml")).values()
    with site_in(tmp_path, infos=(describe(Gated()), describe(Quiet()), describe(command))) as site:
        runs = [site.enqueue(name, options={}) for name in ("quiet", "true", "gated")]
        worker = site.worker(workloads=f"{GATED},{QUIET},{tmp_path / 'true.toml'}")
        quiet, true, gated = (site.wait_over(run) for run in runs)
        assert worker.alive
    assert gated.state is RunState.SUCCEEDED
    assert {(run.state, run.attempts) for run in (quiet, true)} == {(RunState.FAILED, 1)}
    assert quiet.error.splitlines()[0] == (
        "WorkloadError: the training ended without a report; "
        "run.report(60, value=...) is due after the last update (run.total_steps is 60)"
    )
    assert true.error.splitlines()[0] == (
        "WorkloadError: 'true' ended with exit code 0 and without a report; "
        'a line {"step": 60, "value": ...} is due in the file that TUNER_REPORTS names after the last update'
    )


def test_a_run_that_takes_longer_than_it_may_fails_for_good(site, gate):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker(run_limit=1)
    run = site.wait_over(run_id)
    assert (run.state, run.attempts) == (RunState.FAILED, 1)
    assert "it took longer than 1 s (TUNER_RUN_LIMIT of the worker); the last" in run.error
    assert worker.alive


def test_a_study_whose_runner_is_killed_loses_what_was_shared_and_not_its_report(site, gate):
    space = {
        "peak_lr": {"kind": "float", "low": 0.01, "high": 0.3, "log": True},
        "warmup": [0.0],
        "floor": [0.0],
        "families": [{"name": "constant"}, {"name": "wsd"}],
    }
    one_peak = [Schedule(peak_lr=0.05, family=family).model_dump() for family in (Constant(), Wsd(cooldown=0.2))]
    search = {"total_steps": 90, "budget": 4, "seed": 1, "space": space, "start": one_peak, "prune": False}
    alone = tuner.tune(Gated(), search=search, device="cpu")
    spec = {"workload": "gated", "options": gate.options, "search": search}
    job = site.store.jobs.submit(admit(spec, workloads=[describe(Gated())]))
    worker = site.worker()

    os.kill(gate.wait_for_runner(), signal.SIGKILL)
    gate.open()
    wait_until(lambda: is_terminal(site.store.jobs.get(job.id).state), what="the end of the job")

    report = Report.model_validate(site.store.jobs.report(job.id))
    apart = {"job_id", "cost", "summary", "options"}
    found, wanted = (one.model_dump_json(exclude=apart).replace(one.job_id, "JOB") for one in (report, alone))
    assert json.loads(found) == json.loads(wanted)
    runs = site.store.runs.list(job.id).items
    assert sorted(run.attempts for run in runs) == [*[1] * (len(runs) - 1), 2]
    assert 0 < report.cost.updates_saved <= alone.cost.updates_saved
    assert len(worker.logged("runner.died")) == 1
    branched = [entry["step"] for entry in worker.logged("run.branched")]
    assert sum(branched) >= report.cost.updates_saved


FOLLOWS = Schedule(
    peak_lr=0.2,
    family=ReduceOnPlateau(factor=0.5, patience=0, threshold=10.0, threshold_mode="absolute"),
)
"""Reduced at every evaluation but the first: no loss falls by 10."""


def test_a_killed_run_whose_rates_follow_its_loss_continues_with_the_same_rates_to_the_same_loss(site, gate, tmp_path):
    alone = undisturbed(Gated(), folder=tmp_path / "alone", schedule=FOLLOWS)
    run_id = site.enqueue("gated", options=gate.options, schedule=FOLLOWS)
    site.worker()
    first = gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)

    os.kill(first, signal.SIGKILL)
    gate.open()
    run = site.wait_over(run_id)

    assert (run.state, run.loss, run.attempts) == (RunState.SUCCEEDED, alone.loss, 2)
    assert list(gate.steps_by_process().values()) == [list(range(25)), list(range(25, 60))]
    points = site.store.runs.curve(run_id)
    rates = FOLLOWS.lrs(60, losses=[(point.step, point.val_loss) for point in points])
    assert [point.lr for point in points[1:]] == [rates[point.step - 1] for point in points[1:]]
    assert [point.lr for point in points[1:]] == [0.2, 0.2, 0.1, 0.05, 0.025, 0.0125]


def test_a_run_whose_runner_is_killed_goes_on_from_its_snapshot_to_the_same_loss(site, gate, undisturbed_loss):
    run_id = site.enqueue("gated", options=gate.options)
    worker = site.worker()
    first = gate.wait_for_runner()
    site.wait_snapshot(run_id, step=25)

    os.kill(first, signal.SIGKILL)
    gate.open()
    run = site.wait_over(run_id)

    assert (run.state, run.loss, run.attempts) == (RunState.SUCCEEDED, undisturbed_loss, 2)
    assert list(gate.steps_by_process().values()) == [list(range(25)), list(range(25, 60))]
    assert site.store.jobs.get(run.job_id).updates_spent == 60
    assert site.events("run.succeeded", run_id=run_id) == 1
    assert "SIGKILL" in worker.logged("runner.died")[0]["reason"]
    assert worker.alive
