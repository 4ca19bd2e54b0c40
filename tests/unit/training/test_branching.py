"""Runs that begin alike train their beginning once, and end as if each had trained it itself."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.search.test_stage_tree import families_of_runs
from tuner.schedules import Constant, Linear, Schedule, Warmup, Wsd
from tuner.search.space import OptimizerKind
from tuner.search.stage_tree import branch_points, shared_prefix, tree_size
from tuner.training.branches import BranchCache
from tuner.training.protocol import Branched, Directive, Ended, Evaluated, Outcome, Train
from tuner.training.runner.execute import execute
from tuner.training.workload import OpaqueWorkload, StepwiseWorkload
from tuner.workloads import builtin_workloads

WARMUP = Warmup(shape="linear", updates=5)
HOLD = Schedule(peak_lr=0.02, family=Constant(), warmup=WARMUP)
COOLDOWN = Schedule(peak_lr=0.02, family=Wsd(cooldown=0.4), warmup=WARMUP)
LINEAR = Schedule(peak_lr=0.02, family=Linear(), warmup=WARMUP)


class Told:
    """Trains in this process, and remembers what was told, and the state that the training was in at its end."""

    def __init__(self, folder: Path, workload: Any, *, branches: BranchCache | None) -> None:
        self.folder, self.workload, self.branches = folder, workload, branches
        self.branched: list[Branched] = []
        self.evaluated: list[Evaluated] = []
        self.final_state: dict[str, Any] = {}
        self.directives: dict[int, Directive] = {}

    def train(self, schedule: Schedule, total_steps: int, *, points: tuple[int, ...] = (), **changes: Any) -> Ended:
        self.branched, self.evaluated = [], []
        fields = {
            "run_id": "run",
            "workload": self.workload.name,
            "options": {},
            "schedule": schedule,
            "total_steps": total_steps,
            "seed": 3,
            "snapshot_dir": str(self.folder),
            "snapshot_seconds": 3600.0,
            "branch_points": points,
        }

        def evaluated(message: Evaluated) -> Directive:
            self.evaluated.append(message)
            return self.directives.get(message.point.step, Directive())

        started = self.workload.start

        def start(*args, **kwargs):
            training = started(*args, **kwargs)
            validate = training.validate

            def validate_and_look() -> float:
                self.final_state = {
                    "training": training.state_dict(),
                    "draws": (torch.get_rng_state(), random.random()),
                }
                return validate()

            training.validate = validate_and_look
            return training

        self.workload.start = start
        try:
            return execute(
                Train(**(fields | changes)),
                workloads={self.workload.name: self.workload},
                device="cpu",
                on_evaluation=evaluated,
                on_snapshot=lambda saved: None,
                on_branch=self.branched.append,
                branches=self.branches,
            )
        finally:
            del self.workload.start

    @property
    def curve(self):
        return [*(point for message in self.branched for point in message.points), *self._points]

    @property
    def _points(self):
        return [message.point for message in self.evaluated]


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, containers included."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("digits-mlp", {"width": 16, "dropout": 0.3}),
        ("digits-mlp", {"width": 8, "optimizer": "adam", "dropout": 0.2}),
        ("pydoc-charlm", {"width": 8, "context": 8, "heads": 2}),
    ],
)
def test_a_branched_run_equals_one_from_the_start_bit_for_bit(tmp_path, name, options):
    alone = Told(tmp_path, builtin_workloads()[name], branches=None)
    alone.train(COOLDOWN, 10, options=options)  # imports that come with the first run draw from Python's generator
    scratch = alone.train(COOLDOWN, 60, options=options)
    sharing = Told(tmp_path, builtin_workloads()[name], branches=BranchCache(limit_bytes=2**30))
    point = shared_prefix(HOLD.lrs(60), COOLDOWN.lrs(60))
    assert point > 30
    sharing.train(HOLD, 60, points=(point,), options=options)
    assert sharing.branched == []
    branched = sharing.train(COOLDOWN, 60, options=options)

    assert [message.step for message in sharing.branched] == [point]
    assert (branched.loss, branched.step, branched.outcome) == (scratch.loss, 60, Outcome.SUCCEEDED)
    assert sharing.curve == alone.curve
    assert same(sharing.final_state, alone.final_state)
    executed = branched.updates + sum(message.updates for message in sharing.evaluated)
    assert (branched.shared_updates, executed) == (point, 60 - point)


def test_a_run_of_another_length_goes_on_from_the_hold_of_a_shorter_one(tmp_path):
    digits = builtin_workloads()["digits-mlp"]
    alone = Told(tmp_path, digits, branches=None)
    scratch = alone.train(HOLD, 70)
    sharing = Told(tmp_path, digits, branches=BranchCache(limit_bytes=2**30))
    short = sharing.train(HOLD, 30, points=(30,))
    long = sharing.train(HOLD, 70, points=(30,))
    assert (long.shared_updates, long.loss) == (30, scratch.loss)
    assert same(sharing.final_state, alone.final_state)
    # The other way round the shorter one has nothing left to train, and still ends with its own loss.
    again = sharing.train(HOLD, 30)
    assert (again.shared_updates, again.updates, again.loss) == (30, 0, short.loss)
    assert [(message.point.step, message.updates) for message in sharing.evaluated] in ([], [(30, 0)])
    assert sharing.curve[-1].val_loss == short.loss


def test_a_branch_between_the_evaluations_of_the_run_that_left_it_is_evaluated_where_it_is_due(tmp_path, counting):
    sharing = Told(
        tmp_path, counting(on_validate=lambda done: 1.0 + done / 1000), branches=BranchCache(limit_bytes=2**20)
    )
    sharing.train(HOLD, 95, points=(30, 35))  # evaluated after 11, 22, 32, ... updates
    assert 30 not in [point.step for point in sharing.curve]
    ended = sharing.train(HOLD, 30)
    assert (ended.shared_updates, ended.loss) == (30, 1.030)
    assert [message.point.step for message in sharing.evaluated] == [30]


def test_branch_points_that_come_with_a_verdict_count_from_there_on(tmp_path, counting):
    cache = BranchCache(limit_bytes=2**20)
    sharing = Told(tmp_path, counting(), branches=cache)
    sharing.directives = {20: Directive(branch_points=(15, 20, 25, 40))}
    sharing.train(HOLD, 40)
    lrs = HOLD.lrs(40)
    kept = [step for step in range(1, 41) if cache.deepest(lrs[:step], beyond=step - 1) is not None]
    assert kept == [20, 25, 40]


class Tally(StepwiseWorkload):
    """Adds up its learning rates and noise; counts what it was asked to do."""

    name = "tally"
    version = "1"
    description = "Adds up."
    default_steps = 40
    optimizer = OptimizerKind.SGD

    def __init__(self) -> None:
        self.executed = 0

    def start(self, options, *, seed, device):
        return TallyTraining(self, seed=seed)


class TallyTraining:
    def __init__(self, workload: Tally, *, seed: int) -> None:
        self.workload = workload
        self.weight = torch.full((2,), float(seed))

    def train_step(self, step, lr):
        self.workload.executed += 1
        self.weight += lr * torch.rand(2) + np.random.rand() + random.random()  # in place, on purpose
        return self.weight.sum()

    def validate(self):
        return float(torch.tanh(self.weight.sum()))

    def state_dict(self):
        return {"weight": self.weight}

    def load_state_dict(self, state):
        self.weight = state["weight"]


@given(runs=families_of_runs(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_runs_in_any_order_execute_exactly_the_updates_of_their_tree(tmp_path_factory, runs, data):
    folder = tmp_path_factory.getbasetemp()
    workload, cache = Tally(), BranchCache(limit_bytes=2**30)
    losses = []
    for number, lrs in enumerate(runs):
        waiting = runs[number + 1 :]
        losses.append(_train(lrs, workload=workload, cache=cache, folder=folder, others=waiting).loss)
    assert workload.executed == tree_size(runs)
    alone = Tally()
    assert losses == [_train(lrs, workload=alone, cache=None, folder=folder, others=[]).loss for lrs in runs]
    assert alone.executed == sum(map(len, runs))


def _train(lrs, *, workload, cache, folder, others) -> Ended:
    schedule = Schedule(peak_lr=0.1, family=Constant())
    request = Train(
        run_id="run",
        workload="tally",
        options={},
        schedule=schedule,
        total_steps=len(lrs),
        seed=3,
        snapshot_dir=str(folder),
        snapshot_seconds=3600.0,
        branch_points=branch_points(lrs, others=others),
    )
    request = request.model_copy(update={"schedule": _WithRates(schedule, lrs)})
    ended = execute(
        request,
        workloads={"tally": workload},
        device="cpu",
        on_evaluation=lambda _: Directive(),
        on_snapshot=lambda _: None,
        branches=cache,
    )
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    return ended


class _WithRates:
    """A schedule whose rates are given: the sets of runs are drawn as arrays."""

    follows_loss = False

    def __init__(self, schedule, lrs):
        self.digest, self._lrs = schedule.digest, lrs

    def lrs(self, total_steps, *, losses=()):
        return self._lrs


def test_a_snapshot_that_is_further_than_any_branch_is_taken_up(tmp_path, counting):
    workload = counting()
    sharing = Told(tmp_path, workload, branches=BranchCache(limit_bytes=2**20))
    sharing.train(HOLD, 40, points=(10, 30))
    snapshots = []
    request = {"options": {}, "seed": 3}
    stopped = execute(
        Train(
            run_id="run",
            workload="counting",
            schedule=HOLD,
            total_steps=40,
            snapshot_dir=str(tmp_path),
            snapshot_seconds=3600,
            **request,
        ),
        workloads={"counting": workload},
        device="cpu",
        on_evaluation=lambda m: Directive(stop=m.point.step == 20, snapshot=m.point.step == 20),
        on_snapshot=snapshots.append,
    )
    assert (stopped.step, stopped.outcome) == (20, Outcome.STOPPED)
    ended = sharing.train(HOLD, 40, resume=snapshots[-1].snapshot)
    assert (ended.shared_updates, ended.step) == (10, 40)  # 20 of its own, then on from 30
    assert workload.training.steps[0][0] == 30
    only_earlier = Told(tmp_path, workload, branches=BranchCache(limit_bytes=2**20))
    only_earlier.train(LINEAR, 40, points=(5,))
    ended = only_earlier.train(HOLD, 40, resume=snapshots[-1].snapshot)
    assert (ended.shared_updates, only_earlier.branched) == (0, [])


def test_what_was_shared_is_remembered_by_a_snapshot(tmp_path, counting):
    workload = counting()
    sharing = Told(tmp_path, workload, branches=BranchCache(limit_bytes=2**20))
    sharing.train(HOLD, 40, points=(10,))
    snapshots = []
    execute(
        Train(
            run_id="run",
            workload="counting",
            options={},
            schedule=HOLD,
            total_steps=40,
            seed=3,
            snapshot_dir=str(tmp_path),
            snapshot_seconds=3600,
        ),
        workloads={"counting": workload},
        device="cpu",
        on_evaluation=lambda m: Directive(stop=m.point.step == 20, snapshot=m.point.step == 20),
        on_snapshot=snapshots.append,
        branches=sharing.branches,
    )
    lost = Told(tmp_path, workload, branches=BranchCache(limit_bytes=2**20))
    ended = lost.train(HOLD, 40, resume=snapshots[-1].snapshot)
    assert (ended.shared_updates, workload.training.steps[0][0]) == (10, 20)


def test_an_opaque_workload_never_branches(tmp_path):
    class Own(OpaqueWorkload):
        """Trains nothing, and tells losses."""

        name, version, description, default_steps = "own", "1", "A loop of its own.", 40
        optimizer = OptimizerKind.SGD

        def train(self, run, options):
            for step in run.evaluate_at:
                run.report(step, value=1.0 / step)

    cache = BranchCache(limit_bytes=2**20)
    request = Train(
        run_id="own",
        workload="own",
        options={},
        schedule=HOLD,
        total_steps=40,
        seed=3,
        snapshot_dir=str(tmp_path),
        snapshot_seconds=60.0,
        branch_points=(10,),
    )
    ended = execute(
        request,
        workloads={"own": Own()},
        device="cpu",
        on_evaluation=lambda message: Directive(),
        on_snapshot=lambda message: None,
        branches=cache,
    )
    assert (ended.outcome, ended.shared_updates, len(cache)) == (Outcome.SUCCEEDED, 0, 0)


@pytest.mark.parametrize("change", [{"seed": 4}, {"options": {"slope": 3.0}}])
def test_another_context_shares_nothing_and_sweeps_what_was_stored(tmp_path, line, change):
    cache = BranchCache(limit_bytes=2**20)
    sharing = Told(tmp_path, line, branches=cache)
    sharing.train(HOLD, 40, points=(10,))
    assert len(cache) == 1
    assert sharing.train(HOLD, 40, **change).shared_updates == 0
    assert len(cache) == 0


def test_a_diverged_run_leaves_nothing_from_where_it_diverged(tmp_path, counting):
    cache = BranchCache(limit_bytes=2**20)
    sharing = Told(tmp_path, counting(on_validate=lambda done: 100.0 if done >= 20 else 1.0), branches=cache)
    assert sharing.train(HOLD, 40, points=(10, 20, 30)).outcome is Outcome.DIVERGED
    assert len(cache) == 1
