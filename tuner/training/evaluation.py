"""The check of an evaluation, and the one place where a metric's value becomes the loss that the search minimizes."""

from __future__ import annotations

import math

from tuner.errors import WorkloadError
from tuner.jobs.records import CurvePoint
from tuner.metric import Metric


class Diverged(Exception):
    """The run has diverged.

    Args:
        reason: How, in one line.
        step: Updates done.
    """

    def __init__(self, reason: str, *, step: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.step = step


def to_curve_point(
    value: float, *, step: int, lr: float, train_loss: float | None, metric: Metric, start_loss: float | None
) -> CurvePoint:
    """The curve point of an evaluation.

    Args:
        value: The metric's value, as the workload reports it.
        step: Updates done.
        lr: Learning rate of the last of them.
        train_loss: Mean training loss since the last evaluation.
        metric: What the value is of.
        start_loss: Loss of the run's first evaluation; ``None`` for the first one itself.

    Raises:
        WorkloadError: A value before the first update is not finite.
        Diverged: A number is not finite, or the value is beyond `divergence_limit`.
    """
    for name, number in ((metric.name, value), ("training loss", train_loss)):
        if number is not None and not math.isfinite(number):
            if step == 0:
                raise WorkloadError(f"the {name} before the first update is {number}; it must be a finite number")
            raise Diverged(f"the {name} after {step} updates is {number}", step=step)
    limit = math.inf if start_loss is None else divergence_limit(start_loss, metric=metric)
    if value > limit:
        reason = f"the first evaluation gave {start_loss:.4g}, and {limit:.4g} is the limit"
        raise Diverged(f"the {metric.name} after {step} updates is {value:.4g}; {reason}", step=step)
    return CurvePoint(step=step, lr=lr, train_loss=train_loss, val_loss=metric.loss(value))


def divergence_limit(start_loss: float, *, metric: Metric) -> float:
    """The value above which a run has diverged: three times that of the untrained model.

    A run that far above its start is no rival for one that learned anything, and rarely recovers. Losses start near 0
    when a trained model is trained on, and may then rise for a while: the margin is never below 2. Three times a value
    means nothing for a metric that is maximized or starts below 0. There is no limit then: a collapsed run has the
    worst value and ranks last.
    """
    if metric.maximized or start_loss < 0.0:
        return math.inf
    return start_loss + 2.0 * max(start_loss, 1.0)
