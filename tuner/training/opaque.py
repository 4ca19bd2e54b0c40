"""Runs of code that owns its loop: passes on its reports, ends it at a stop or a divergence, checks its end."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, SupportsFloat

from tuner.errors import InvalidValue, WorkloadError
from tuner.training.engine import Evaluations, Progress, Result
from tuner.training.evaluation import Diverged, to_curve_point
from tuner.training.protocol import Outcome, Train
from tuner.training.reports import Report, Reports
from tuner.training.run import RunStopped, TrainingRun

if TYPE_CHECKING:
    from tuner.training.workload import OpaqueWorkload

_log = logging.getLogger(__name__)


def train_opaque(
    workload: OpaqueWorkload, options: Any, *, request: Train, device: str, progress: Progress, listener: Evaluations
) -> Result:
    """Let a workload train one run, and say how it ended.

    Once the run was stopped, has diverged, or its result is in, that is how it ended; what the code does afterwards is
    logged, and changes nothing.

    Args:
        workload: The training code.
        options: Checked.
        request: What to train.
        device: As torch names it.
        progress: Updated with each report.
        listener: Receives the reports.

    Raises:
        WorkloadError: The code returned without a report at the last update, and without `TrainingRun.finish`.
        BaseException: Any error of the code while the run is not over, and of the listener.
    """
    run = ListenedRun(request=request, device=device, progress=progress, listener=listener)
    try:
        workload.train(run, options)
    except RunStopped:
        pass
    except KeyboardInterrupt:
        raise
    except BaseException:
        if not run.is_over:
            raise
        _log.warning("after the end of run %s its code raised", request.run_id, exc_info=True)
    return run.result()


class ListenedRun(TrainingRun):
    """A run whose reports go to a listener.

    Args:
        request: What to train.
        device: As torch names it.
        progress: Updated with each report.
        listener: Receives the reports.
    """

    def __init__(self, *, request: Train, device: str, progress: Progress, listener: Evaluations) -> None:
        super().__init__(
            schedule=request.schedule,
            total_steps=request.total_steps,
            seed=request.seed,
            device=device,
            snapshot_dir=prepare_folder(Path(request.snapshot_dir)),
            metric=request.metric,
            evaluations=request.evaluations,
        )
        self.ended: Result | None = None
        """How the run ended, once nothing may be reported any more."""
        self.failure: BaseException | None = None
        """What the listener raised, or why the reports are refused for good; the code may have swallowed it."""
        self._progress = progress
        self._listener = listener
        self._reports = Reports(total_steps=request.total_steps)
        self._loss: float | None = None  # of the last report

    def resumed(self, step: int) -> None:
        """See `TrainingRun.resumed`."""
        super().resumed(step)
        self._progress.step = step

    def report(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None = None) -> None:
        """See `TrainingRun.report`."""
        if self.failure is not None:
            raise self.failure
        if self.ended is not None:
            raise RunStopped
        if self._reports.is_past_end(step):
            _log.warning("the schedule ends after update %d: a report after %s is beyond it", self.total_steps, step)
            self._end(self._result())
        report = self._reports.check(step, value=value, train_loss=train_loss, scheduled=self._updates_scheduled)
        if report is not None:
            self._follow_report(report)  # before it is known whether the run stops here, and continues later
            self._pass_on(report, final=False)

    def finish(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None = None) -> None:
        """See `TrainingRun.finish`."""
        if self.failure is not None:
            raise self.failure
        if self.ended is not None:
            raise RunStopped
        self._pass_on(self._reports.finish(step, value=value, train_loss=train_loss), final=True)
        self.ended = self._result()

    def _pass_on(self, report: Report, *, final: bool) -> None:
        """Pass a report on, and end the run where it must.

        Raises:
            RunStopped: It must.
            InvalidValue: See `_check_rates_used`.
            BaseException: What the listener raised.
        """
        try:
            self._check_rates_used(report)
        except InvalidValue as error:
            self.failure = error
            raise
        progress = self._progress
        progress.rates_read = self._updates_seen
        progress.unreported += max(0, report.step - progress.step)
        progress.step = report.step
        try:
            point = to_curve_point(
                report.value,
                step=report.step,
                lr=self._rate(max(report.step - 1, 0)),
                train_loss=report.train_loss,
                metric=self.metric,
                start_loss=progress.start_loss,
            )
        except Diverged as diverged:
            self._end(Result(outcome=Outcome.DIVERGED, step=report.step, reason=diverged.reason))
        if progress.start_loss is None:
            progress.start_loss = point.val_loss
        self._loss = point.val_loss
        try:
            directive = self._listener.evaluated(point, updates=progress.unreported, final=final)
        except BaseException as error:
            self.failure = error
            raise
        progress.unreported = 0
        if directive.stop and not final and report.step < self.total_steps:
            self._end(Result(outcome=Outcome.STOPPED, step=report.step))

    def result(self) -> Result:
        """How the run ended, after its code has returned.

        Raises:
            WorkloadError: There is no result.
            BaseException: What the listener raised.
        """
        if self.failure is not None:
            raise self.failure
        if self.ended is not None:
            return self.ended
        made, total = min(self._updates_scheduled, default=0), self.total_steps
        if made > total:
            _log.warning(
                "the schedule has %d updates, and %d were made: end the loop after run.total_steps", total, made
            )
        if not self._reports.is_complete:
            raise WorkloadError(self._reports.missing(scheduled=self._updates_seen))
        return self._result()

    @property
    def is_over(self) -> bool:
        """Whether it is known how the run ended, whatever its code does now."""
        return self.ended is not None or self.failure is not None or self._reports.is_complete

    def _result(self) -> Result:
        return Result(outcome=Outcome.SUCCEEDED, step=self._reports.step or 0, loss=self._loss)

    def _end(self, result: Result) -> NoReturn:
        self.ended = result
        raise RunStopped


def prepare_folder(folder: Path) -> Path:
    """Make the folder of this attempt, with what the last attempt left in its own: ``.../<run>/<attempt>``.

    The files are moved and not shared: code of an attempt that has lost its lease, but does not know yet, then finds
    its folder gone, and cannot write over what its successor reads.
    """
    if folder.name.isdecimal() and not folder.exists():
        earlier = (int(path.name) for path in folder.parent.glob("*") if path.name.isdecimal() and path.is_dir())
        last = max((attempt for attempt in earlier if attempt < int(folder.name)), default=None)
        if last is not None:
            with suppress(FileNotFoundError):
                (folder.parent / str(last)).rename(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
