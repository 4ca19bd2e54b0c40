"""For training scripts that the tuner starts as commands: ``from tuner.sdk import run``. Does not need torch.

`run` reads from the environment whether the tuner started this script. If so, the run has the schedule of a trial, and
its reports go to the tuner; otherwise it has a default schedule, so that the same script also runs alone.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, SupportsFloat

from tuner.errors import InvalidValue
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.training.reports import Report, Reports
from tuner.training.run import RunStopped, TrainingRun

__all__ = ["RunStopped", "ScriptRun", "TrainingRun", "run"]

_log = logging.getLogger("tuner.sdk")
_DEFAULT_SCHEDULE = {"peak_lr": 1e-3, "warmup": {"shape": "linear", "fraction": 0.05}, "family": {"name": "cosine"}}


class ScriptRun(TrainingRun):
    """The run of a script; `run` returns it.

    Attributes:
        options: Values of the options by name.
        attached: Whether the tuner started this script.
        reports: The reports so far.
    """

    _history_file = ".tuner-script-evaluations.jsonl"  # the tuner's process has a run with a file of its own

    def __init__(self, *, options: Mapping[str, Any], reports_file: Path | None, **run: Any) -> None:
        super().__init__(**run)
        self.options = dict(options)
        self.attached = reports_file is not None
        self.reports: list[Report] = []
        self._file = reports_file
        self._reports = Reports(total_steps=self.total_steps)
        self._finished = False

    def report(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None = None) -> None:
        """See `TrainingRun.report`. Of several processes only the one of rank 0 reports.

        The rank is that of ``torch.distributed`` where it is in use, else ``RANK`` in the environment. It never raises
        `RunStopped`: to stop the run, the tuner ends the script's process group. A schedule that follows the loss needs
        it in every process, with the same value.
        """
        if _rank() != 0:
            self.follow(step, value=value)
            return
        if self._finished or (not self.attached and self._reports.is_past_end(step)):
            _log.warning("the run is over: a report after %s updates is not passed on", step)
            return
        with self._explained():
            if self._reports.is_past_end(step):
                report: Report | None = Report(step=int(step), value=float(value), train_loss=None)
            else:
                made = self._updates_scheduled
                report = self._reports.check(step, value=value, train_loss=train_loss, scheduled=made)
                if report is not None:
                    self._check_rates_used(report)
                    self._follow_report(report)
        if report is not None:
            self._pass_on(report)

    def finish(self, step: int, *, value: SupportsFloat, train_loss: SupportsFloat | None = None) -> None:
        """See `TrainingRun.finish`, and `report`."""
        if _rank() != 0 or self._finished:
            return
        with self._explained():
            report = self._reports.finish(step, value=value, train_loss=train_loss)
        self._finished = True
        self._pass_on(report)

    def _pass_on(self, report: Report) -> None:
        self.reports.append(report)
        if self._file is None:
            shown = self.metric.text(report.value)
            _log.info("update %d of %d: %s %s", report.step, self.total_steps, self.metric.name, shown)
            return
        line = {"step": report.step, "value": report.value, "train_loss": report.train_loss}
        self._write({**line, "final": True} if self._finished else line)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Pass the reason of a refused report on too: of a script that fails, the tuner sees the exit code alone."""
        try:
            yield
        except InvalidValue as error:
            self._write({"error": str(error)})
            raise

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**line, "process": os.getpid(), "rates_read": self._updates_seen}) + "\n")


def run(
    *,
    total_steps: int = 1000,
    schedule: Schedule | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    snapshot_dir: Path | None = None,
    metric: Metric = DEFAULT_METRIC,
) -> ScriptRun:
    """The run of this script.

    The arguments are for a script that runs alone. Under the tuner the job's values replace them, option by option.

    Args:
        total_steps: Optimizer updates, at least 1.
        schedule: The schedule; by default a linear warm-up over 5 % of the run and a cosine to zero, with a peak of
            0.001.
        options: Values of the options by name.
        seed: Seed of the data order and of other randomness, at least 0.
        device: Device as torch names it: ``"cpu"``, ``"cuda:0"``.
        snapshot_dir: Folder for checkpoints; by default a temporary one, which is deleted when the script ends.
        metric: The metric to report; the validation loss by default.

    Returns:
        The run, with ``attached`` set when the tuner started this script.

    Raises:
        pydantic.ValidationError: ``schedule`` is not a schedule.
        KeyError: Some of the tuner's environment variables are missing.

    Example:
        >>> from tuner.sdk import run
        >>> this = run(total_steps=200, options={"batch_size": 32})
        >>> this.attached, this.options, this.lr(9)
        (False, {'batch_size': 32}, 0.001)
        >>> for step in range(this.total_steps):
        ...     lr = this.lr(step)  # of the optimizer update that follows
        ...     if step + 1 in this.evaluate_at:
        ...         this.report(step + 1, value=1.0 / (step + 1))
        >>> this.reports[-1].step
        200
    """
    environment = os.environ
    if "TUNER_REPORTS" not in environment:
        return ScriptRun(
            schedule=Schedule.model_validate(schedule or _DEFAULT_SCHEDULE),
            total_steps=total_steps,
            seed=seed,
            device=device,
            snapshot_dir=_temporary_folder() if snapshot_dir is None else snapshot_dir,
            options=options or {},
            reports_file=None,
            metric=metric,
        )
    return ScriptRun(
        schedule=Schedule.from_json(Path(environment["TUNER_SCHEDULE_FILE"]).read_text(encoding="utf-8")),
        total_steps=int(environment["TUNER_TOTAL_STEPS"]),
        evaluations=int(environment["TUNER_EVALUATIONS"]),
        seed=int(environment["TUNER_SEED"]),
        device=environment["TUNER_DEVICE"],
        snapshot_dir=Path(environment["TUNER_SNAPSHOT_DIR"]),
        options={**(options or {}), **json.loads(environment["TUNER_OPTIONS"])},
        reports_file=Path(environment["TUNER_REPORTS"]),
        metric=Metric.model_validate_json(environment["TUNER_METRIC"]),
    )


def _rank() -> int:
    """The rank of this process among those that train together."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    rank = os.environ.get("RANK", "0")
    return int(rank) if rank.isdecimal() else 0


def _temporary_folder() -> Path:
    folder = mkdtemp(prefix="tuner-alone-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
