"""One run from a request to its end, the errors of the training code included."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tuner.errors import NotFound, WorkloadError
from tuner.jobs.records import CurvePoint
from tuner.schedules.values import Array
from tuner.training.branches import BranchCache
from tuner.training.devices import deterministic_algorithms, free_memory, resolve_device
from tuner.training.engine import Engine, Progress, Result
from tuner.training.opaque import train_opaque
from tuner.training.options import parse_options
from tuner.training.protocol import Branched, Directive, Ended, Evaluated, Outcome, SnapshotSaved, Train, Updated
from tuner.training.randomness import preserve_random_state, random_state, restore_random_state, seed_everything
from tuner.training.runner.lost import reason_lost
from tuner.training.runner.memory import out_of_memory, peak_memory, reset_peak_memory
from tuner.training.runner.tracebacks import first_line, format_user_traceback
from tuner.training.snapshots import fingerprint, newest_usable, write_snapshot
from tuner.training.stepwise import StepwiseTraining
from tuner.training.workload import OpaqueWorkload, StepwiseWorkload, Workload

UPDATE_REPORT_SECONDS = 1.0
"""Least time between two reports that updates are being made."""

_EXIT_HINT = "The training code ended the process (sys.exit) before its run was over; let it return, or raise an error."

_log = logging.getLogger(__name__)


def execute(
    request: Train,
    *,
    workloads: Mapping[str, Workload],
    device: str,
    on_evaluation: Callable[[Evaluated], Directive],
    on_snapshot: Callable[[SnapshotSaved], None],
    on_branch: Callable[[Branched], None] = lambda _: None,
    on_update: Callable[[Updated], None] = lambda _: None,
    branches: BranchCache | None = None,
    threads: int | None = None,
) -> Ended:
    """Train one run in this process.

    Any error of the workload, ``SystemExit`` and lack of memory included, ends the run as failed. The global
    random generators and torch's settings are as before when this returns, and nothing of the training is left on the
    device. A snapshot that cannot be used is logged, and the run then starts from update 0.

    With ``branches`` the run goes on from the furthest state there that it would come to itself, unless its snapshot is
    further, and leaves its own states there for others. On CPU it then ends as if trained from its start, bit for bit.
    The one exception: evaluations fall on other updates in runs of other lengths, so that a divergence which only an
    evaluation before the branch would have seen, and which had healed by then, is not seen.

    Args:
        request: What to train.
        workloads: By name.
        device: As torch names it.
        on_evaluation: Called with each evaluation, on this thread; training waits for the directive that it returns.
        on_snapshot: Called with each snapshot once it is on the disk.
        on_branch: Called when the run continues from another run's state.
        on_update: Called after updates, `UPDATE_REPORT_SECONDS` apart at least; not for code that owns its loop.
        branches: The states of earlier runs; none are used or stored when absent. One for all runs of a process.
        threads: Threads of one operation on CPU; ``TUNER_THREADS``, else 1, when absent.

    Raises:
        InvalidValue: There is no such device.
        KeyboardInterrupt: From the terminal. Where SIGINT is ignored it is an error of the workload like any other.
        BaseException: Any error of the callbacks.
    """
    interruptible = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    where = resolve_device(device)
    run = _Run(
        request,
        device=where,
        on_evaluation=on_evaluation,
        on_snapshot=on_snapshot,
        on_branch=on_branch,
        on_update=on_update,
        branches=BranchCache(limit_bytes=0) if branches is None else branches,
    )
    reset_peak_memory(where)
    try:
        with deterministic_algorithms(where, threads=threads), preserve_random_state(where):
            result = run.train(workloads)
        return run.ended(result)
    except KeyboardInterrupt as error:
        if interruptible:
            raise
        return run.failed(error)
    except _CallbackFailed as failed:
        raise failed.error from None
    except BaseException as error:
        return run.failed(error)
    finally:
        free_memory(where)


class _CallbackFailed(BaseException):
    """Carries an error of a callback through the code that treats errors as the workload's."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Run:
    """The state of one request while it is trained; the engine's listener."""

    def __init__(
        self,
        request: Train,
        *,
        device: torch.device,
        on_evaluation: Callable[[Evaluated], Directive],
        on_snapshot: Callable[[SnapshotSaved], None],
        on_branch: Callable[[Branched], None],
        on_update: Callable[[Updated], None],
        branches: BranchCache,
    ) -> None:
        self._request = request
        self._device = device
        self._on_evaluation = on_evaluation
        self._on_snapshot = on_snapshot
        self._on_branch = on_branch
        self._on_update = on_update
        self._branches = branches
        self._shares = False
        self._lrs: Array = np.empty(0)
        self._progress = Progress()
        self._fingerprint = ""
        self._last_snapshot = time.monotonic()
        self._next_update_report = 0.0
        self._workload: Workload | None = None

    def train(self, workloads: Mapping[str, Workload]) -> Result:
        request = self._request
        workload = workloads.get(request.workload)
        if workload is None:
            raise NotFound("workload", key=request.workload, hint=f"There are {', '.join(sorted(workloads))}")
        self._workload = workload
        if workload.metric != request.metric:
            raise WorkloadError(
                f"{workload.name} is judged by {workload.metric.name} ({workload.metric.direction}), the job by "
                f"{request.metric.name} ({request.metric.direction}): give the workload a new version, and submit again"
            )
        options = parse_options(workload.Options, request.options)
        if isinstance(workload, OpaqueWorkload):
            seed_everything(request.seed)
            where = str(self._device)
            return train_opaque(
                workload, options, request=request, device=where, progress=self._progress, listener=self
            )
        if not isinstance(workload, StepwiseWorkload):
            raise WorkloadError(f"{workload.name} must derive from one of the levels, see tuner.training.workload")
        context = {
            "workload": workload.name,
            "version": workload.version,
            "options": options.model_dump(mode="json"),
            "seed": request.seed,
        }
        self._fingerprint = fingerprint(**context, schedule=request.schedule.digest, total_steps=request.total_steps)
        self._branches.enter(fingerprint(**context, device=str(self._device)))
        seed_everything(request.seed)
        training = workload.start(options, seed=request.seed, device=self._device)
        if not isinstance(training, StepwiseTraining):
            raise WorkloadError(f"{workload.name} must give a StepwiseTraining, got a {type(training).__name__}")
        self._take_up(training)
        follows = request.schedule.follows_loss
        self._lrs = self._lrs_after(self._progress.points)
        self._shares = self._branches.is_open and not follows
        if self._shares:
            self._branch_off(training)
        engine = Engine(
            training,
            lrs=self._lrs,
            lrs_after=self._lrs_after if follows else None,
            progress=self._progress,
            metric=workload.metric,
            device=self._device,
            listener=self,
            branch_points=request.branch_points,
            evaluations=request.evaluations,
            on_update=self._updated,
        )
        return engine.run()

    def _lrs_after(self, points: Sequence[CurvePoint]) -> Array:
        """The learning rate of every update, as far as the evaluations so far decide it."""
        losses = {point.step: point.val_loss for point in points}  # a result may come at the step of an evaluation
        return self._request.schedule.lrs(self._request.total_steps, losses=tuple(losses.items()))

    def evaluated(self, point: CurvePoint, *, updates: int, final: bool) -> Directive:
        message = Evaluated(run_id=self._request.run_id, point=point, updates=updates, final=final)
        try:
            return self._on_evaluation(message)
        except BaseException as error:
            raise _CallbackFailed(error) from error

    def _updated(self, step: int) -> None:
        now = time.monotonic()
        if now < self._next_update_report:
            return
        self._next_update_report = now + UPDATE_REPORT_SECONDS
        try:
            self._on_update(Updated(run_id=self._request.run_id, step=step))
        except BaseException as error:
            raise _CallbackFailed(error) from error

    def snapshot_due(self) -> bool:
        return time.monotonic() - self._last_snapshot >= self._request.snapshot_seconds

    def save_snapshot(self, training: StepwiseTraining, *, progress: Progress) -> None:
        """Write a snapshot. A disk that does not take it costs repeated updates later, not the run."""
        content = {**self._state(training, progress=progress), "shared": progress.shared}
        folder = Path(self._request.snapshot_dir)
        try:
            reference = write_snapshot(folder, step=progress.step, run=self._fingerprint, content=content)
        except OSError as error:
            _log.warning("training goes on without a snapshot: %s", error)
            return
        finally:
            self._last_snapshot = time.monotonic()
        message = SnapshotSaved(run_id=self._request.run_id, snapshot=reference, updates=progress.unreported)
        try:
            self._on_snapshot(message)
        except BaseException as error:
            raise _CallbackFailed(error) from error
        progress.unreported = 0

    def branch_reached(self, training: StepwiseTraining, *, progress: Progress) -> None:
        """Keep the state for the runs that branch off here."""
        if self._shares:
            self._branches.put(self._lrs, step=progress.step, content=self._state(training, progress=progress))

    def ended(self, result: Result) -> Ended:
        return Ended(
            run_id=self._request.run_id,
            outcome=result.outcome,
            step=result.step,
            updates=self._progress.unreported,
            shared_updates=self._progress.shared,
            loss=result.loss,
            reason=result.reason,
        )

    def failed(self, error: BaseException) -> Ended:
        short = out_of_memory(error)
        advice = peak_memory(self._device).advice(options=self._request.options) if short else ""
        lost = None if short else reason_lost(error, folder=Path(self._request.snapshot_dir))
        hint = _EXIT_HINT if isinstance(error, SystemExit) else advice or lost or ""
        return Ended(
            run_id=self._request.run_id,
            outcome=Outcome.FAILED,
            lost=lost is not None,
            step=self._progress.step,
            updates=self._progress.unreported,
            reason=f"out of memory: {first_line(error)}" if short else first_line(error),
            hint=hint,
            traceback=format_user_traceback(error, workload=type(self._workload)),
        )

    def _take_up(self, training: StepwiseTraining) -> None:
        """Load the request's snapshot into a newly built training, if there is a usable one."""
        if self._request.resume is None:
            return
        found = newest_usable(self._request.resume, run=self._fingerprint)
        if found is None:
            _log.warning("run %s starts from update 0: no snapshot is usable", self._request.run_id)
            return
        step, content = found
        self._load(training, step=step, content=content)
        self._progress.shared = content["shared"]
        # A snapshot past the requested one was written, but may not have been reported.
        self._progress.unreported = max(0, step - self._request.resume.step)

    def _branch_off(self, training: StepwiseTraining) -> None:
        """Load the state of another run, if one came further on the same learning rates."""
        progress = self._progress
        branch = self._branches.deepest(self._lrs, beyond=progress.step)
        if branch is None:
            return
        progress.shared += branch.step - progress.step
        self._load(training, step=branch.step, content=branch.content)
        message = Branched(run_id=self._request.run_id, step=branch.step, points=tuple(progress.points))
        try:
            self._on_branch(message)
        except BaseException as error:
            raise _CallbackFailed(error) from error

    def _state(self, training: StepwiseTraining, *, progress: Progress) -> dict[str, Any]:
        """All that this run, or another one on the same learning rates, needs to go on from here."""
        return {
            "training": training.state_dict(),
            "random": random_state(self._device),
            "start_loss": progress.start_loss,
            "loss_sum": progress.loss_sum,
            "loss_count": progress.loss_count,
            "points": [astuple(point) for point in progress.points],
        }

    def _load(self, training: StepwiseTraining, *, step: int, content: dict[str, Any]) -> None:
        training.load_state_dict(content["training"])
        restore_random_state(content["random"], device=self._device)
        self._progress.step = step
        self._progress.start_loss = content["start_loss"]
        self._progress.loss_sum = content["loss_sum"]
        self._progress.loss_count = content["loss_count"]
        self._progress.points = [
            CurvePoint(step=at, lr=lr, train_loss=train_loss, val_loss=val_loss)
            for at, lr, train_loss, val_loss in content["points"]
        ]
