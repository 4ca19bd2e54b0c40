"""The rules for trainings that the engine drives: declared and stepwise ones."""

from __future__ import annotations

import copy
import math
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tuner.schedules import Schedule
from tuner.training.checks.findings import Findings, Mark
from tuner.training.checks.recording import check_learning_rates, recorded_optimizers
from tuner.training.checks.watch import Watch, leaves_out
from tuner.training.randomness import preserve_random_state, random_state, restore_random_state, seed_everything
from tuner.training.snapshots import read_snapshot, write_snapshot
from tuner.training.stepwise import StepwiseTraining
from tuner.training.workload import StepwiseWorkload

_AGAIN = ("same seed, same losses", "other seed, other losses", "snapshot and resume", "branching", "evaluation")
"""The rules that take further trainings, in their order."""
_CUDA_RELATIVE = 1e-3
"""How far equal trainings may be apart on CUDA; on CPU they are equal bit for bit."""


def check_stepwise(
    workload: StepwiseWorkload,
    options: Any,
    *,
    schedule: Schedule,
    steps: int,
    device: torch.device,
    findings: Findings,
    watch: Watch,
) -> float | None:
    """Try a workload that the engine drives. Rules that there is no time for are left out.

    Args:
        workload: To be tried.
        options: Checked.
        schedule: Its rate changes with every update.
        steps: Updates of one try, at least 4.
        device: Where to train.
        findings: Where to note what is found.
        watch: Ends a training that does not end.

    Returns:
        Seconds that one update took, the median; ``None`` where none was seen.

    Raises:
        BaseException: Any error of the workload.
    """
    tries = _Tries(workload=workload, options=options, lrs=schedule.lrs(steps), device=device, watch=watch)
    whole: _Trained | None = None
    with recorded_optimizers() as record, leaves_out("updates", *_AGAIN, findings=findings):
        whole = tries.trained(tries.built(1), first=0, last=steps)
    if whole is None:
        if made := record.updates:
            check_learning_rates(record, lrs=tries.lrs[:made], findings=findings)
        elif not watch.has_progress:
            findings.add("updates", Mark.BROKEN, watch.reason)
        return record.seconds_per_update
    findings.require(
        "updates",
        all(map(math.isfinite, whole.losses)),
        ok=f"{steps} updates; the training loss went from {whole.losses[0]:.4g} to {whole.losses[-1]:.4g}",
        broken=f"a training loss is not finite: {whole.losses}",
    )
    check_learning_rates(record, lrs=tries.lrs, findings=findings)
    for rule, check in zip(
        _AGAIN, (_check_same_seed, _check_other_seed, _check_resume, _check_branch, _check_evaluation), strict=True
    ):
        with leaves_out(rule, findings=findings):
            check(tries, whole=whole, findings=findings)
    return whole.seconds_per_update


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """What a stretch of updates showed."""

    losses: tuple[float, ...]
    val_loss: float
    seconds_per_update: float


@dataclass(frozen=True, kw_only=True)
class _Tries:
    """Builds and drives trainings of one workload."""

    workload: StepwiseWorkload
    options: Any
    lrs: NDArray[np.float64]
    device: torch.device
    watch: Watch

    @property
    def half(self) -> int:
        return len(self.lrs) // 2

    def built(self, seed: int, *, data_seed: int | None = None) -> StepwiseTraining:
        """A new training; the global generators are seeded with ``seed``."""
        self.watch.begin("a new training", steps=len(self.lrs))
        seed_everything(seed)
        made = self.workload.start(self.options, seed=seed if data_seed is None else data_seed, device=self.device)
        self.watch.end()
        return made

    def trained(self, training: StepwiseTraining, *, first: int, last: int, validate_between: bool = False) -> _Trained:
        """Make the updates ``first`` to ``last - 1``, and validate."""
        losses, seconds = [], []
        self.watch.begin(f"updates {first} to {last - 1}", steps=len(self.lrs))
        for step in range(first, last):
            begun = time.perf_counter()
            losses.append(float(training.train_step(step, float(self.lrs[step]))))
            seconds.append(time.perf_counter() - begun)
            self.watch.updated(step + 1)
            if validate_between:
                self.validated(training)
        val_loss = self.validated(training)
        self.watch.end()
        return _Trained(losses=tuple(losses), val_loss=val_loss, seconds_per_update=median(seconds[1:] or seconds))

    def validated(self, training: StepwiseTraining) -> float:
        """The metric; the random numbers that it draws are put back, as the engine does."""
        with preserve_random_state(self.device):
            return float(training.validate())

    def same(self, actual: _Trained, expected: _Trained, *, last: int | None = None) -> bool:
        """Whether a stretch gave the same numbers as the end of another one."""
        wanted = expected.losses if last is None else expected.losses[-last:]
        return _equal((*actual.losses, actual.val_loss), (*wanted, expected.val_loss), exact=self.device.type == "cpu")


def _equal(actual: Sequence[float], expected: Sequence[float], *, exact: bool) -> bool:
    if exact:
        return tuple(actual) == tuple(expected)
    return all(math.isclose(one, two, rel_tol=_CUDA_RELATIVE) for one, two in zip(actual, expected, strict=True))


def _check_same_seed(tries: _Tries, *, whole: _Trained, findings: Findings) -> None:
    again = tries.trained(tries.built(1), first=0, last=len(tries.lrs))
    findings.require(
        "same seed, same losses",
        tries.same(again, whole),
        ok="a second training gave the same numbers",
        broken=f"the metric was {whole.val_loss!r}, then {again.val_loss!r}: something random is not seeded",
    )


def _check_other_seed(tries: _Tries, *, whole: _Trained, findings: Findings) -> None:
    other = tries.trained(tries.built(2), first=0, last=tries.half)
    if other.losses == whole.losses[: tries.half]:
        findings.add("other seed, other losses", Mark.BROKEN, "another seed gave the same numbers: use the run's seed")
        return
    shuffled = tries.trained(tries.built(1, data_seed=2), first=0, last=tries.half)
    if shuffled.losses == whole.losses[: tries.half]:
        finding = "the data order does not depend on the seed; fine where every update sees all the data"
        findings.add("other seed, other losses", Mark.NOTE, finding)
    else:
        findings.add("other seed, other losses", Mark.OK, "another seed gives other weights or another data order")


def _check_resume(tries: _Tries, *, whole: _Trained, findings: Findings) -> None:
    """Through the file that a run would leave, in a new training, as after a crash."""
    training = tries.built(1)
    tries.trained(training, first=0, last=tries.half)
    content = {"training": training.state_dict(), "random": random_state(tries.device)}
    with tempfile.TemporaryDirectory(prefix="tuner-check-") as folder:
        reference = write_snapshot(Path(folder), step=tries.half, run="check", content=content)
        _, read = read_snapshot(Path(reference.path), run="check")
    fresh = tries.built(1)
    fresh.load_state_dict(read["training"])
    restore_random_state(read["random"], device=tries.device)
    went_on = tries.trained(fresh, first=tries.half, last=len(tries.lrs))
    findings.require(
        "snapshot and resume",
        tries.same(went_on, whole, last=len(went_on.losses)),
        ok="resumed from a snapshot, it goes on as if it had not been interrupted",
        broken=f"uninterrupted the metric is {whole.val_loss!r}, resumed {went_on.val_loss!r}: "
        "state_dict() leaves something out, or the data of an update is no function of (seed, step)",
    )


def _check_branch(tries: _Tries, *, whole: _Trained, findings: Findings) -> None:
    """One training's state in another one's hands, with both going on."""
    first = tries.built(1)
    tries.trained(first, first=0, last=tries.half)
    random = random_state(tries.device)
    state = copy.deepcopy(first.state_dict())  # a branch gets its state through a file, or a copy
    second = tries.built(1)
    second.load_state_dict(state)
    ends = []
    for training in (second, first):
        restore_random_state(random, device=tries.device)
        ends.append(tries.trained(training, first=tries.half, last=len(tries.lrs)))
    equal = all(tries.same(end, whole, last=len(end.losses)) for end in ends)
    findings.require(
        "branching",
        equal,
        ok="two trainings go on from one state, and neither disturbs the other",
        broken=f"alone the metric is {whole.val_loss!r}, in the branch {ends[0].val_loss!r}, and in "
        f"the trunk after it {ends[1].val_loss!r}: the trainings share something, or state_dict() leaves something out",
    )


def _check_evaluation(tries: _Tries, *, whole: _Trained, findings: Findings) -> None:
    training = tries.built(1)
    modes = _modes(training)
    before, random = _flat(training.state_dict()), _flat(random_state(tries.device))
    training.validate()
    after, random_after = _flat(training.state_dict()), _flat(random_state(tries.device))
    problems = []
    if not _same_state(before, after):
        problems.append("it changes the state (weights, buffers or the optimizer's)")
    if modes != _modes(training):
        problems.append("it leaves a module in another mode: call train() again")
    if not problems:
        between = tries.trained(tries.built(1), first=0, last=len(tries.lrs), validate_between=True)
        if not tries.same(between, whole):
            problems.append("evaluating after every update changes the losses")
    drawn = "" if _same_state(random, random_after) else "; it draws random numbers, which the engine gives back"
    findings.require(
        "evaluation",
        not problems,
        ok=f"it leaves weights, modes and losses of the training as they were{drawn}",
        broken="; ".join(problems),
    )


def _modes(training: StepwiseTraining) -> list[bool]:
    """The mode of every module that is an attribute of the training."""
    parts = [value for value in vars(training).values() if isinstance(value, nn.Module)]
    return [module.training for part in parts for module in part.modules()]


def _flat(value: Any, *, where: str = "") -> dict[str, Any]:
    return dict(_leaves(value, where=where))


def _leaves(value: Any, *, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (dict, OrderedDict)):
        for key, item in value.items():
            yield from _leaves(item, where=f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, where=f"{where}.{index}")
    else:
        yield where, value.detach().clone() if isinstance(value, torch.Tensor) else value


def _same_state(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return one.keys() == two.keys() and all(_same(value, two[key]) for key, value in one.items())


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return torch.equal(one, two)
    return bool(one == two)
