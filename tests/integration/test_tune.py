"""tune(): a whole study in this process, on the real store, study, engine and report."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn

import tuner
from tuner.errors import InvalidValue
from tuner.filelock import FileHeld, file_lock
from tuner.jobs.states import is_terminal
from tuner.report.report import Report
from tuner.schedules import Linear, Schedule
from tuner.search.space import OptimizerKind
from tuner.store import Store
from tuner.training.workload import Declaration, DeclaredWorkload, OpaqueWorkload

SEARCH = {"budget": 8, "seed": 7}


class NoisyQuadratic(DeclaredWorkload):
    """A bowl whose gradients are noisy: a constant rate ends on a noise floor that a decay gets below."""

    name: ClassVar[str] = "noisy-quadratic"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "A noisy quadratic; half the squared distance from its minimum."
    default_steps: ClassVar[int] = 90
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    peak_lr: ClassVar = {OptimizerKind.SGD: (0.02, 1.0)}

    def declare(self, options, *, seed, device):
        model = nn.Linear(20, 1, bias=False, device=device)
        nn.init.ones_(model.weight)

        def batch(step: int) -> torch.Tensor:
            return torch.randn(20, generator=torch.Generator().manual_seed(1_000_003 * seed + step))

        def loss(model, noise: torch.Tensor) -> torch.Tensor:
            return 0.5 * ((model.weight + noise) ** 2).sum()

        def evaluate(model) -> float:
            return 0.5 * float((model.weight**2).sum())

        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        return Declaration(model=model, optimizer=optimizer, batch=batch, loss=loss, evaluate=evaluate)


class Broken(NoisyQuadratic):
    name: ClassVar[str] = "broken"

    def declare(self, options, *, seed, device):
        raise FileNotFoundError("/data/train.bin is not there")


class Explosive(NoisyQuadratic):
    name: ClassVar[str] = "explosive"
    peak_lr: ClassVar = {OptimizerKind.SGD: (100.0, 1000.0)}


@pytest.fixture(scope="module")
def undisturbed():
    return tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu")


def answer(report):
    """What a report says, without the job and the cost: updates that were repeated are counted, as they should be."""
    of_job = Report.model_validate_json(report.model_dump_json().replace(report.job_id, "JOB"))
    return of_job.model_dump(exclude={"job_id", "cost", "summary"})


def test_a_study_costs_no_more_than_its_budget_and_recommends_nothing_worse_than_the_incumbent(undisturbed):
    assert undisturbed.cost.full_runs <= undisturbed.cost.budget == 8
    assert undisturbed.incumbent is not None
    assert undisturbed.recommended.expected <= undisturbed.incumbent.expected
    assert all(row.steps <= 90 for trial in undisturbed.trials for row in trial.runs)


def test_any_budget_from_one_gives_a_recommendation():
    report = tuner.tune(NoisyQuadratic(), budget=1, device="cpu")
    assert len(report.trials) == 1
    assert report.cost.full_runs == 1
    assert report.recommended.trial == 0


def test_the_range_of_peaks_lies_around_the_incumbents():
    today = Schedule(peak_lr=0.002, family=Linear())
    report = tuner.tune(NoisyQuadratic(), budget=2, incumbent=today, search={"seed": 7}, device="cpu")
    peaks = [trial.schedule.peak_lr for trial in report.trials]
    assert max(peaks) <= 0.002 * 50**0.5 * 1.01


def test_the_same_request_gives_the_same_answer(undisturbed):
    assert answer(tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu")) == answer(undisturbed)


@pytest.mark.parametrize("interruption", [1, 17, 60])
def test_an_interrupted_study_resumes_and_ends_in_the_same_answer(tmp_path, undisturbed, interruption):
    file = tmp_path / "study.db"
    calls = 0

    def interrupt(progress):
        nonlocal calls
        calls += 1
        if calls == interruption:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", database=file, on_progress=interrupt)
    report = tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", database=file)
    assert answer(report) == answer(undisturbed)
    store = Store.open(f"sqlite:///{file}")
    try:
        runs = store.runs.list(report.job_id).items
        spent = store.jobs.get(report.job_id).updates_spent
    finally:
        store.close()
    assert sum(run.updates for run in runs) == spent
    assert {run.state.value for run in runs} <= {"succeeded", "stopped"}
    assert len({(run.trial_number, run.seed) for run in runs}) == len(runs)


def test_calling_again_without_a_seed_resumes_the_same_study(tmp_path):
    file = tmp_path / "study.db"

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuner.tune(NoisyQuadratic(), budget=2, device="cpu", database=file, on_progress=interrupt)
    report = tuner.tune(NoisyQuadratic(), budget=2, device="cpu", database=file)
    again = tuner.tune(NoisyQuadratic(), budget=2, device="cpu", database=file)
    other = tuner.tune(NoisyQuadratic(), budget=2, device="cpu", database=file, search={"seed": 7})
    store = Store.open(f"sqlite:///{file}")
    try:
        jobs = store.jobs.list().items
    finally:
        store.close()
    assert report.job_id == again.job_id != other.job_id
    assert {job.id for job in jobs} == {report.job_id, other.job_id}


def test_two_studies_without_a_seed_have_different_ones():
    first, second = (tuner.tune(NoisyQuadratic(), budget=1, device="cpu") for _ in range(2))
    assert first.trials[0].runs[0].seed != second.trials[0].runs[0].seed


SHARING = SEARCH | {
    "prune": False,
    "space": {
        "peak_lr": {"kind": "float", "low": 0.15, "high": 0.16, "log": True},
        "warmup": [0.0],
        "floor": [0.0],
        "families": [
            {"name": "constant"},
            {"name": "wsd", "params": {"cooldown": {"kind": "float", "low": 0.2, "high": 0.6}}},
        ],
    },
}
"""Holds without a warm-up: runs at the same peak begin alike."""


def test_what_runs_share_is_trained_once_and_the_answer_is_the_same(monkeypatch):
    sharing = tuner.tune(NoisyQuadratic(), search=SHARING, device="cpu")
    monkeypatch.setenv("TUNER_BRANCH_MEMORY_MB", "0")
    alone = tuner.tune(NoisyQuadratic(), search=SHARING, device="cpu")
    assert answer(sharing) == answer(alone)
    assert alone.cost.updates_saved == 0 < sharing.cost.updates_saved
    assert sharing.cost.updates_spent + sharing.cost.updates_saved == alone.cost.updates_spent


def test_progress_rises_to_the_end():
    seen = []
    tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", on_progress=lambda progress: seen.append(progress))
    fractions = [progress.fraction for progress in seen]
    assert fractions[-1] == 1.0
    assert all(0.0 <= fraction <= 1.0 for fraction in fractions)
    assert math.isclose(max(fractions), 1.0)


def test_a_workload_that_always_fails_fails_the_study_with_its_own_words():
    with pytest.raises(tuner.StudyFailed, match="the workload does not run") as failure:
        tuner.tune(Broken(), search=SEARCH, device="cpu")
    assert "FileNotFoundError: /data/train.bin is not there" in str(failure.value)


def test_a_class_in_place_of_a_workload_is_refused():
    with pytest.raises(InvalidValue, match=r"Give NoisyQuadratic\(\)"):
        tuner.tune(NoisyQuadratic, search=SEARCH, device="cpu")  # type: ignore[arg-type]


def test_a_space_in_which_everything_diverges_is_told_as_such():
    with pytest.raises(tuner.StudyFailed, match="lower the range of peak_lr"):
        tuner.tune(Explosive(), search=SEARCH, device="cpu")


class AllNan(OpaqueWorkload):
    """Its data has a NaN, which no learning rate mends."""

    name: ClassVar[str] = "all-nan"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Every loss is NaN."
    default_steps: ClassVar[int] = 40
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD

    def train(self, run, options):
        run.report(10, value=math.nan)


def test_a_workload_whose_losses_are_all_nan_is_told_to_look_at_its_data_first():
    with pytest.raises(tuner.StudyFailed) as failure:
        tuner.tune(AllNan(), search=SEARCH, device="cpu")
    words = str(failure.value)
    assert "all after 10 updates at any peak" in words
    assert words.index("look for NaN in the data") < words.index("lower the range of peak_lr")
    assert "The first run diverged: the validation loss after 10 updates is nan" in words


def test_a_study_that_failed_is_begun_anew(tmp_path):
    file = tmp_path / "study.db"
    with pytest.raises(tuner.StudyFailed):
        tuner.tune(Broken(), search=SEARCH, device="cpu", database=file)

    class Mended(NoisyQuadratic):
        name: ClassVar[str] = Broken.name

    assert tuner.tune(Mended(), search=SEARCH, device="cpu", database=file).workload == Broken.name


def test_another_study_in_the_same_file_is_left_alone(tmp_path):
    file = tmp_path / "study.db"

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuner.tune(NoisyQuadratic(), search=SEARCH | {"seed": 8}, device="cpu", database=file, on_progress=interrupt)
    report = tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", database=file)
    store = Store.open(f"sqlite:///{file}")
    try:
        jobs = store.jobs.list().items
        states = {job.id: job.state.value for job in jobs}
    finally:
        store.close()
    assert states.pop(report.job_id) == "completed"
    assert list(states.values()) == ["running"]
    assert not list((tmp_path / "study.snapshots").glob("*"))


def test_a_file_in_use_is_refused(tmp_path):
    with file_lock(tmp_path / "study.lock"), pytest.raises(FileHeld, match=r"study\.lock is held by process"):
        tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", database=tmp_path / "study.db")


def test_a_workload_that_an_installed_package_offers_is_tuned_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "lab-1.0.dist-info").mkdir()
    (tmp_path / "lab-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    named = "[schedule_tuner.workloads]\nbowl = lab_bowl:offered\n"
    (tmp_path / "lab-1.0.dist-info" / "entry_points.txt").write_text(named)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "lab_bowl", SimpleNamespace(offered=lambda: [NoisyQuadratic()]))
    assert tuner.tune("noisy-quadratic", budget=1, device="cpu").workload == "noisy-quadratic"


class Hungry(NoisyQuadratic):
    name: ClassVar[str] = "hungry"

    def declare(self, options, *, seed, device):
        raise MemoryError


def test_a_run_that_takes_longer_than_the_limit_fails():
    with pytest.raises(tuner.StudyFailed, match=r"it took longer than 1e-09 s \(run_limit of tune\(\)\)"):
        tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", run_limit=1e-9)


def test_a_run_that_uses_more_memory_than_the_limit_fails_and_says_what_helps():
    with pytest.raises(tuner.StudyFailed, match="out of memory: this process and what it started") as failure:
        tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", memory_limit_mb=1)
    assert "the limit is 1 MiB (memory_limit_mb of tune()). What usually helps: " in str(failure.value)


def test_a_run_without_enough_memory_says_what_helps():
    with pytest.raises(tuner.StudyFailed, match="out of memory: MemoryError") as failure:
        tuner.tune(Hungry(), search=SEARCH, device="cpu")
    assert "What usually helps: smaller batches" in str(failure.value)


@pytest.mark.parametrize("limit", [{"run_limit": 0}, {"memory_limit_mb": -1}])
def test_a_limit_that_leaves_nothing_is_refused(limit):
    ((field, value),) = limit.items()
    with pytest.raises(InvalidValue, match=f"{field} must be above 0, got {value}"):
        tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", **limit)


def test_a_study_that_is_cancelled_from_outside_ends(tmp_path):
    file = tmp_path / "study.db"

    def cancel(progress):
        store = Store.open(f"sqlite:///{file}")
        try:
            (job,) = store.jobs.list().items
            if not is_terminal(job.state):
                store.jobs.cancel(job.id, reason="it was the wrong one")
        finally:
            store.close()

    with pytest.raises(tuner.StudyFailed, match="the study is cancelled: it was the wrong one"):
        tuner.tune(NoisyQuadratic(), search=SEARCH, device="cpu", database=file, on_progress=cancel)


def test_an_unknown_workload_is_refused_with_those_that_exist():
    with pytest.raises(InvalidValue, match="digits-mlp"):
        tuner.tune("digit-mlp", device="cpu")


def test_a_bad_option_is_refused_with_field_value_and_range():
    with pytest.raises(InvalidValue) as refusal:
        tuner.tune("digits-mlp", options={"width": 0}, device="cpu")
    assert "width" in refusal.value.field
    assert refusal.value.value == 0
    assert "1" in refusal.value.allowed
