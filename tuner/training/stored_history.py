"""The evaluations of a run in a file beside its checkpoints, for the rates of a later attempt at it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tuner.schedules.loss_history import LossHistory


class StoredHistory(LossHistory):
    """Evaluations that another attempt at the run finds again, each stored before training continues.

    A line that was not written whole, as on a full disk, is the last one: its evaluation was not reported either.

    Args:
        file: Read if there is one; made with the first evaluation.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                step, loss = json.loads(line)
            except ValueError:
                break
            self.add(step, loss=loss)

    def restore(self, losses: Iterable[tuple[int, float]], *, step: int) -> None:
        """As `LossHistory.restore`; those that came after the checkpoint was written, at its step, count too."""
        stored = self.losses
        super().restore(losses, step=step)
        last = self.losses[-1][0] if self.losses else -1
        self.losses = (*self.losses, *(one for one in stored if last < one[0] <= step))

    def store(self, step: int, *, loss: float) -> None:
        """Add an evaluation, in the file too."""
        self.add(step, loss=loss)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([step, loss]) + "\n")
