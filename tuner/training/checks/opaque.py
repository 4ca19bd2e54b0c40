"""The rules for trainings that own their loop: whole runs, watched from outside."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tuner.schedules import Schedule
from tuner.training.checks.findings import Findings, Mark
from tuner.training.checks.recording import OptimizerRecord, check_learning_rates, recorded_optimizers
from tuner.training.checks.watch import Watch
from tuner.training.engine import Progress, Result
from tuner.training.evaluation_steps import evaluation_steps
from tuner.training.opaque import train_opaque
from tuner.training.protocol import Directive, Outcome, Train
from tuner.training.randomness import seed_everything
from tuner.training.workload import OpaqueWorkload

_CUDA_RELATIVE = 1e-3
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
        whole = tries.run("a whole run", seed=1)
        if watch.reason:
            findings.add("end", Mark.BROKEN, f"its result is in, but {watch.reason}")
            return None
        if whole.result.outcome is not Outcome.SUCCEEDED:
            findings.add("a whole run", Mark.BROKEN, f"it {whole.result.outcome.value}: {whole.result.reason}")
            return None
        ended = f"the {workload.metric.name} ended at {workload.metric.text(whole.value)}"
        made = whole.result.step
        finding = f"{made} updates, {len(whole.reports)} report(s); {ended}"
        findings.add("a whole run", Mark.OK, finding)
        if made < steps:
            findings.add("end", Mark.NOTE, f"it ended early by its own rule, after {made} of {steps} updates")
        check_learning_rates(whole.record, lrs=schedule.lrs(steps)[:made], findings=findings)
        if whole.beyond:
            findings.add("end", Mark.NOTE, _BEYOND.format(steps=steps, last=steps - 1))
        _check_reports(whole, steps=steps, findings=findings)
        _check_seeds(tries, whole=whole, findings=findings)
        _check_stop(tries, whole=whole, findings=findings)
    findings.add("branching", Mark.SKIPPED, "not possible: an opaque workload is trained whole")
    return whole.record.seconds_per_update


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run, as it was seen."""

    result: Result
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
        """Train one run in a folder of its own, to its end, or until it is stopped at a report."""
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
        with recorded_optimizers(on_update=watch.updated) as record:
            result = train_opaque(
                self.workload,
                self.options,
                request=request,
                device=str(self.device),
                progress=progress,
                listener=Watch(),
            )
        watch.end()
        value = math.nan if result.loss is None else metric.value(result.loss)
        beyond = not record.lrs and (progress.rates_read or 0) > self.steps
        return _Run(result=result, record=record, reports=tuple(reports), value=value, beyond=beyond)

    def same(self, one: float, two: float) -> bool:
        """Whether two losses of equal runs are as equal as the device allows."""
        return one == two if self.device.type == "cpu" else math.isclose(one, two, rel_tol=_CUDA_RELATIVE)


def _check_reports(whole: _Run, *, steps: int, findings: Findings) -> None:
    reported = {step for step, _ in whole.reports}
    missing = [step for step in evaluation_steps(steps) if step not in reported]
    if missing:
        finding = f"no report after {', '.join(map(str, missing))} updates: a bad run is found out late"
        findings.add("evaluations", Mark.NOTE, f"{finding}; run.evaluate_at says where one is wanted")
    else:
        findings.add("evaluations", Mark.OK, "a report at every update where one is wanted")


def _check_seeds(tries: _Tries, *, whole: _Run, findings: Findings) -> None:
    again = tries.run("the same seed again", seed=1)
    findings.require(
        "same seed, same losses",
        tries.same(again.value, whole.value),
        ok="a second run gave the same loss",
        broken=f"the metric was {whole.value!r}, then {again.value!r}: something random is not seeded",
    )
    other = tries.run("another seed", seed=2)
    findings.require(
        "other seed, other losses",
        other.value != whole.value,
        ok="another seed gives another loss",
        broken="another seed gave the same loss: use run.seed",
    )


def _check_stop(tries: _Tries, *, whole: _Run, findings: Findings) -> None:
    """Stop a run at a report before its end; then take it up as a worker would, after the interruption."""
    early = [step for step, _ in whole.reports if 0 < step < tries.steps]
    if not early:
        findings.add("stop", Mark.SKIPPED, "the only report is that of the last update, so no run can be stopped early")
        return
    stopped = tries.run("a stop", seed=1, stop_at=early[0])
    seen = bool(stopped.record.lrs)
    if seen and stopped.record.updates >= tries.steps:
        finding = "it trained to the end although it was stopped: let RunStopped through"
        findings.add("stop", Mark.BROKEN, finding)
        return
    findings.add("stop", Mark.OK, f"stopped after {early[0]} updates, it ended")
    resumed = tries.run("a stop", seed=1, attempt=2)
    _judge_resumed(resumed, whole=whole, steps=tries.steps, same=tries.same, findings=findings)


def _judge_resumed(
    resumed: _Run, *, whole: _Run, steps: int, same: Callable[[float, float], bool], findings: Findings
) -> None:
    rule = "interruption"
    went_on = bool(resumed.record.lrs) and resumed.record.updates < steps
    if resumed.result.outcome is not Outcome.SUCCEEDED or not same(resumed.value, whole.value):
        finding = f"uninterrupted the metric is {whole.value!r}, resumed {resumed.value!r}"
        findings.add(rule, Mark.BROKEN, f"{finding}: the checkpoint in run.snapshot_dir leaves something out")
    elif went_on:
        made = resumed.record.updates
        findings.add(rule, Mark.OK, f"it went on from its own checkpoint ({made} of {steps} updates), to the same loss")
    else:
        finding = "resumed, it starts from update 0 (or its updates could not be seen)"
        findings.add(rule, Mark.NOTE, f"{finding}; a checkpoint in run.snapshot_dir would save that")
