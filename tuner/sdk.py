"""For training scripts that the tuner starts as commands: ``from tuner.sdk import run``. Needs no torch.

`run` finds out from the environment whether the tuner has started this script. If so, the schedule is the one to try,
and reports go to the tuner; otherwise a stand-in lets the same script run alone.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, SupportsFloat

from tuner.schedules import Schedule
from tuner.training.run import Report, Reports, RunStopped, TrainingRun

__all__ = ["RunStopped", "ScriptRun", "TrainingRun", "run"]

_log = logging.getLogger("tuner.sdk")
_DEFAULT = {"peak_lr": 1e-3, "warmup": {"shape": "linear", "fraction": 0.05}, "family": {"name": "cosine"}}


class ScriptRun(TrainingRun):
    """The run of a script: attached to the tuner, or a stand-in.

    Attributes:
        options: The options' values by name.
        attached: Whether the tuner has started this script.
        reports: What was reported.
    """

    def __init__(self, *, options: Mapping[str, Any], reports_file: Path | None, **run: Any) -> None:
        super().__init__(**run)
        self.options = dict(options)
        self.attached = reports_file is not None
        self.reports: list[Report] = []
        self._file = reports_file
        self._reports = Reports(total_steps=self.total_steps)

    def report(self, step: int, *, val_loss: SupportsFloat, train_loss: SupportsFloat | None = None) -> None:
        """See `TrainingRun.report`. Of several processes (``RANK`` in the environment) only the first one reports.

        It never raises `RunStopped`: the tuner ends the script's process group instead.
        """
        report = self._reports.check(step, val_loss=val_loss, train_loss=train_loss)
        if report is None or os.environ.get("RANK", "0") != "0":
            return
        self.reports.append(report)
        if self._file is None:
            _log.info("update %d of %d: validation loss %g", report.step, self.total_steps, report.val_loss)
            return
        said = {"step": report.step, "val_loss": report.val_loss, "train_loss": report.train_loss}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")


def run(
    *,
    total_steps: int = 1000,
    schedule: Schedule | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    snapshot_dir: Path | None = None,
) -> ScriptRun:
    """The run that this script was started for.

    Args:
        total_steps: Updates when the script runs alone.
        schedule: What to train with then; a warm-up and a cosine to zero, with a peak of 0.001, when absent.
        options: Options by name, with the values to take when the script runs alone.
        seed: The seed then.
        device: The device then.
        snapshot_dir: Folder for checkpoints then; a temporary one, deleted at the end of the script, when absent.

    Raises:
        InvalidValue: The schedule is refused, or does not fit into ``total_steps``.
        KeyError: The environment is the tuner's, but not whole.
    """
    environment = os.environ
    if "TUNER_REPORTS" not in environment:
        alone = schedule if isinstance(schedule, Schedule) else Schedule.model_validate(schedule or _DEFAULT)
        return ScriptRun(
            schedule=alone,
            total_steps=total_steps,
            seed=seed,
            device=device,
            snapshot_dir=_temporary() if snapshot_dir is None else snapshot_dir,
            options=options or {},
            reports_file=None,
        )
    return ScriptRun(
        schedule=Schedule.from_json(Path(environment["TUNER_SCHEDULE_FILE"]).read_text(encoding="utf-8")),
        total_steps=int(environment["TUNER_TOTAL_STEPS"]),
        seed=int(environment["TUNER_SEED"]),
        device=environment["TUNER_DEVICE"],
        snapshot_dir=Path(environment["TUNER_SNAPSHOT_DIR"]),
        options={**(options or {}), **json.loads(environment["TUNER_OPTIONS"])},
        reports_file=Path(environment["TUNER_REPORTS"]),
    )


def _temporary() -> Path:
    folder = mkdtemp(prefix="tuner-alone-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
