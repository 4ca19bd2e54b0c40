"""The rules for trainings that own their loop: whole runs, watched from outside."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tuner.schedules import Schedule
from tuner.training.checks.findings import Findings, Mark
from tuner.training.checks.recording import OptimizerRecord, check_learning_rates, recorded_optimizers
from tuner.training.checks.watch import OutOfTime, Watch, leaves_out
from tuner.training.engine import Progress, Result
from tuner.training.evaluation_steps import evaluation_steps
from tuner.training.opaque import train_opaque
from tuner.training.protocol import Directive, Outcome, Train
from tuner.training.randomness import seed_everything
from tuner.training.workload import OpaqueWorkload

_CUDA_RELATIVE = 1e-3
_AGAIN = ("same seed, same losses", "other seed, other losses", "stop", "interruption")
"""The rules that take further runs, in their order."""
_BEYOND = (
    "the rate of update {steps} was read, and the schedule ends with update {last}: does the loop make an update too "
    "many? It changes nothing; end the loop after run.total_steps updates"
)


def check_opaque(
    workload: OpaqueWorkload,
    options: Any,
    *,
    schedule: Schedule,
    steps: int,
    device: torch.device,
    findings: Findings,
    watch: Watch,
) -> float | None:
    """Try a workload that owns its loop.

    Rules that there is no time for are left out.

    Args:
        workload: To be tried.
        options: Checked.
        schedule: Its rate changes with every update.
        steps: Updates of one run.
        device: Where to train.
        findings: Where to note what is found.
        watch: Ends a training that does not end.

    Returns:
        Seconds that one update took, the median; ``None`` when no torch optimizer was seen.

    Raises:
        BaseException: Any error of the workload.
    """
    with tempfile.TemporaryDirectory(prefix="tuner-check-") as folder:
        tries = _Tries(
            workload=workload,
            options=options,
            schedule=schedule,
            steps=steps,
            device=device,
            folder=Path(folder),
            watch=watch,
        )
        whole = tries.attempt("a whole run", seed=1)
        if whole.result is None:
            _check_part(tries, part=whole, findings=findings)
            return whole.record.seconds_per_update
        if watch.is_out_of_time:
            findings.leave_out("end", *_AGAIN, detail=f"its result is in, but {watch.reason}")
            return None
        if watch.reason:
            findings.add("end", Mark.BROKEN, f"its result is in, but {watch.reason}")
            return None
        if whole.result.outcome is not Outcome.SUCCEEDED:
            findings.add("a whole run", Mark.BROKEN, f"it {whole.result.outcome.value}: {whole.result.reason}")
            return None
        _check_whole(tries, whole=whole, made=whole.result.step, findings=findings)
        _check_again(tries, whole=whole, findings=findings)
    findings.add("branching", Mark.SKIPPED, "not possible: an opaque workload is trained whole")
    return whole.record.seconds_per_update


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run, as it was seen."""

    result: Result | None
    """``None`` where the time of the check ended it."""
    record: OptimizerRecord
    reports: tuple[tuple[int, float], ...]
    """Step and value of the metric."""
    value: float
    """Of the metric at the end; NaN without a result."""
    beyond: bool
    """Whether the rate of an update beyond the schedule was read, where no update could be seen."""


@dataclass(frozen=True, kw_only=True)
class _Tries:
    """Trains runs of one workload."""

    workload: OpaqueWorkload
    options: Any
    schedule: Schedule
    steps: int
    device: torch.device
    folder: Path
    watch: Watch

    def run(self, name: str, *, seed: int, attempt: int = 1, stop_at: int | None = None) -> _Run:
        """Train one run in a folder of its own, to its end, or until it is stopped at a report.

        Raises:
            OutOfTime: The time of the check is over, or too short for the run.
        """
        found = self.attempt(name, seed=seed, attempt=attempt, stop_at=stop_at)
        if found.result is None:
            raise OutOfTime(self.watch.reason)
        return found

    def attempt(self, name: str, *, seed: int, attempt: int = 1, stop_at: int | None = None) -> _Run:
        """As `run`, where the time of the check may end the run."""
        reports: list[tuple[int, float]] = []
        metric, watch, progress = self.workload.metric, self.watch, Progress()

        class Watch:
            def evaluated(self, point: Any, *, updates: int, final: bool) -> Directive:
                reports.append((point.step, metric.value(point.val_loss)))
                watch.reported(point.step)
                return Directive(stop=stop_at is not None and point.step >= stop_at)

        request = Train(
            run_id=name,
            workload=self.workload.name,
            options=self.options.model_dump(mode="json"),
            schedule=self.schedule,
            total_steps=self.steps,
            seed=seed,
            snapshot_dir=str(self.folder / name / str(attempt)),
            snapshot_seconds=3600.0,
            metric=self.workload.metric,
        )
        seed_everything(seed)
        watch.begin(name, steps=self.steps)
        result = None
        with recorded_optimizers(on_update=watch.updated) as record, suppress(OutOfTime):
            result = train_opaque(
                self.workload,
                self.options,
                request=request,
                device=str(self.device),
                progress=progress,
                listener=Watch(),
            )
        watch.end()
        value = math.nan if result is None or result.loss is None else metric.value(result.loss)
        beyond = not record.lrs and (progress.rates_read or 0) > self.steps
        return _Run(result=result, record=record, reports=tuple(reports), value=value, beyond=beyond)

    def same(self, one: float, two: float) -> bool:
        """Whether two losses of equal runs are as equal as the device allows."""
        return one == two if self.device.type == "cpu" else math.isclose(one, two, rel_tol=_CUDA_RELATIVE)


def _check_part(tries: _Tries, *, part: _Run, findings: Findings) -> None:
    """A first run that the time of the check has ended: what was seen of it."""
    rule, reason, made = "a whole run", tries.watch.reason, part.record.updates
    if not tries.watch.has_progress:
        findings.add(rule, Mark.BROKEN, reason)
        return
    findings.leave_out(rule, detail=reason)
    if made:
        check_learning_rates(part.record, lrs=tries.schedule.lrs(tries.steps)[:made], findings=findings)
    findings.leave_out(*_AGAIN, detail="one run takes longer than the check may (--time-limit)")


def _check_whole(tries: _Tries, *, whole: _Run, made: int, findings: Findings) -> None:
    metric, steps = tries.workload.metric, tries.steps
    ended = f"the {metric.name} ended at {metric.text(whole.value)}"
    findings.add("a whole run", Mark.OK, f"{made} updates, {len(whole.reports)} report(s); {ended}")
    if made < steps:
        findings.add("end", Mark.NOTE, f"it ended early by its own rule, after {made} of {steps} updates")
    check_learning_rates(whole.record, lrs=tries.schedule.lrs(steps)[:made], findings=findings)
    if whole.beyond:
        findings.add("end", Mark.NOTE, _BEYOND.format(steps=steps, last=steps - 1))
    _check_reports(whole, steps=steps, findings=findings)


def _check_again(tries: _Tries, *, whole: _Run, findings: Findings) -> None:
    """The rules that take further runs, as far as there is time."""
    same, other, stop, interruption = _AGAIN
    with leaves_out(same, findings=findings):
        _check_same_seed(tries, whole=whole, findings=findings)
    with leaves_out(other, findings=findings):
        _check_other_seed(tries, whole=whole, findings=findings)
    stopped = False
    with leaves_out(stop, interruption, findings=findings):
        stopped = _check_stop(tries, whole=whole, findings=findings)
    with leaves_out(interruption, findings=findings):
        if stopped:
            resumed = tries.run("a stop", seed=1, attempt=2)
            _judge_resumed(resumed, whole=whole, steps=tries.steps, same=tries.same, findings=findings)


def _check_reports(whole: _Run, *, steps: int, findings: Findings) -> None:
    reported = {step for step, _ in whole.reports}
    missing = [step for step in evaluation_steps(steps) if step not in reported]
    if missing:
        finding = f"no report after {', '.join(map(str, missing))} updates: a bad run is found out late"
        findings.add("evaluations", Mark.NOTE, f"{finding}; run.evaluate_at says where one is wanted")
    else:
        findings.add("evaluations", Mark.OK, "a report at every update where one is wanted")


def _check_same_seed(tries: _Tries, *, whole: _Run, findings: Findings) -> None:
    again = tries.run("the same seed again", seed=1)
    findings.require(
        "same seed, same losses",
        tries.same(again.value, whole.value),
        ok="a second run gave the same loss",
        broken=f"the metric was {whole.value!r}, then {again.value!r}: something random is not seeded",
    )


def _check_other_seed(tries: _Tries, *, whole: _Run, findings: Findings) -> None:
    other = tries.run("another seed", seed=2)
    findings.require(
        "other seed, other losses",
        other.value != whole.value,
        ok="another seed gives another loss",
        broken="another seed gave the same loss: use run.seed",
    )


def _check_stop(tries: _Tries, *, whole: _Run, findings: Findings) -> bool:
    """Stop a run at a report before its end, and return whether it can be taken up, as after an interruption."""
    early = [step for step, _ in whole.reports if 0 < step < tries.steps]
    if not early:
        finding = "the only report is that of the last update: with --steps of two epochs or more it can be tried"
        findings.add("stop", Mark.SKIPPED, finding)
        return False
    stopped = tries.run("a stop", seed=1, stop_at=early[0])
    seen = bool(stopped.record.lrs)
    if seen and stopped.record.updates >= tries.steps:
        finding = "it trained to the end although it was stopped: let RunStopped through"
        findings.add("stop", Mark.BROKEN, finding)
        return False
    findings.add("stop", Mark.OK, f"stopped after {early[0]} updates, it ended")
    return True


def _judge_resumed(
    resumed: _Run, *, whole: _Run, steps: int, same: Callable[[float, float], bool], findings: Findings
) -> None:
    rule = "interruption"
    went_on = bool(resumed.record.lrs) and resumed.record.updates < steps
    succeeded = resumed.result is not None and resumed.result.outcome is Outcome.SUCCEEDED
    if not succeeded or not same(resumed.value, whole.value):
        finding = f"uninterrupted the metric is {whole.value!r}, resumed {resumed.value!r}"
        findings.add(rule, Mark.BROKEN, f"{finding}: the checkpoint in run.snapshot_dir leaves something out")
    elif went_on:
        made = resumed.record.updates
        findings.add(rule, Mark.OK, f"it went on from its own checkpoint ({made} of {steps} updates), to the same loss")
    else:
        finding = "resumed, it starts from update 0 (or its updates could not be seen)"
        findings.add(rule, Mark.NOTE, f"{finding}; a checkpoint in run.snapshot_dir would save that")
