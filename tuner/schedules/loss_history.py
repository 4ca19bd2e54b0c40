"""The evaluations of a run so far, which a schedule that follows the loss is computed from."""

from __future__ import annotations

from collections.abc import Iterable

from tuner.schedules.values import Losses


class LossHistory:
    """The evaluations of one run, by the updates done.

    Example:
        >>> from tuner.schedules.loss_history import LossHistory
        >>> history = LossHistory()
        >>> for step, loss in ((100, 2.0), (200, 1.0), (200, 1.5)):
        ...     history.add(step, loss=loss)
        >>> history.losses
        ((100, 2.0), (200, 1.5))
    """

    def __init__(self) -> None:
        self.losses: Losses = ()
        """Ascending."""

    def add(self, step: int, *, loss: float) -> None:
        """Add an evaluation after ``step`` updates. Those at ``step`` or later are of an earlier attempt, and void."""
        self.losses = (*(one for one in self.losses if one[0] < step), (step, loss))

    def check(self, step: int) -> None:
        """Called before the rate of update ``step`` is used; a history that others add to may refuse that."""

    def rewind(self, step: int) -> None:
        """Forget the evaluations after more than ``step`` updates: the run continues from there."""
        self.losses = tuple(one for one in self.losses if one[0] <= step)

    def restore(self, losses: Iterable[tuple[int, float]], *, step: int) -> None:
        """Continue from a checkpoint after ``step`` updates that holds these evaluations."""
        self.losses = tuple((int(step), float(loss)) for step, loss in losses)
