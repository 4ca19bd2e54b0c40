"""The evaluations of a run in a file beside its checkpoints, for the rates of a later attempt at it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tuner.errors import InvalidValue
from tuner.schedules.loss_history import LossHistory


class StoredHistory(LossHistory):
    """Evaluations that another attempt at the run finds again, each stored before training continues.

    Of several processes of a training one stores them. The others notice an evaluation in the file that they were not
    called with: their rates would be others, and their models drift apart.

    Args:
        file: Read if there is one; made with the first evaluation.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._read = 0  # bytes
        self._by_others: list[int] = []  # updates done at evaluations that another process has stored since
        for step, loss in self._new_lines():
            self.add(step, loss=loss)

    def check(self, step: int) -> None:
        """Before the rate of update ``step`` is used.

        Raises:
            InvalidValue: Another process knows of an evaluation before the last update, and this one does not.
        """
        self._by_others += [at for at, _ in self._new_lines()]
        known = {at for at, _ in self.losses}
        self._by_others = [at for at in self._by_others if at not in known]
        missed = [at for at in self._by_others if at < step]
        if missed:
            raise InvalidValue(
                "run.report",
                value=f"not called after {missed[0]} updates in this process",
                allowed="called in every process of the training with the same value, since the rates follow it",
                hint="Call it in all of them, or run.follow(step, value=...) in those that do not report",
            )

    def restore(self, losses: Iterable[tuple[int, float]], *, step: int) -> None:
        """As `LossHistory.restore`; those that came after the checkpoint was written, at its step, count too."""
        stored = self.losses
        super().restore(losses, step=step)
        last = self.losses[-1][0] if self.losses else -1
        self.losses = (*self.losses, *(one for one in stored if last < one[0] <= step))

    def store(self, step: int, *, loss: float) -> None:
        """Add an evaluation, in the file too."""
        self.add(step, loss=loss)
        line = json.dumps([step, loss]) + "\n"
        with self._file.open("a", encoding="utf-8") as file:
            file.write(line)
        self._read += len(line)

    def _new_lines(self) -> list[tuple[int, float]]:
        """What was added to the file since it was last read; a line without its end is not read yet."""
        try:
            if self._file.stat().st_size <= self._read:
                return []
        except OSError:  # there is none yet
            return []
        with self._file.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return [(step, loss) for step, loss in map(json.loads, whole.splitlines())]
