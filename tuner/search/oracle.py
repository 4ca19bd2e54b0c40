"""A function that stands for training: what it returns, and what of it is refused. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.search.configuration import Configuration

Oracle = Callable[[Configuration, int, int], tuple[Sequence[tuple[int, float]], float | None]]
"""``oracle(configuration, steps, seed) -> (curve, final)``: the result of a training with that many updates.

``curve`` has the evaluations, ``[(updates done, loss), ...]``; ``final`` is the loss at the end, ``None`` when the run
diverged: it then ended at the last point of its curve. It raises `RunFailed` when the training fails.
"""
EVALUATIONS: Final = 20
"""Points of a curve that are used at most, as many as a job has: each of them is one more look at the run."""
_CURVE: Final = "pairs (updates done, loss)"
_DIVERGED: Final = "Return None as the final loss of a run that diverged"


class RunFailed(Exception):
    """Raised by an oracle when the training fails for another reason than divergence."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a run, checked. Losses: lower is better, whatever the metric."""

    points: tuple[tuple[int, float], ...]
    """Steps done, ascending, and the loss there; of a run that did not diverge the end is the last."""
    loss: float | None
    """At the end; ``None`` when the run diverged."""
    steps: int
    """Updates that it takes."""


def outcome(
    oracle: Oracle, configuration: Configuration, *, steps: int, seed: int, metric: Metric = DEFAULT_METRIC
) -> Outcome:
    """Ask an oracle for the result of one run.

    Args:
        oracle: Returns values of ``metric``.
        configuration: To train.
        steps: Updates of the run.
        seed: Of the run.
        metric: Of the oracle's numbers.

    Raises:
        InvalidValue: It returned something else than a curve and a final value.
        RunFailed: As the oracle.
    """
    curve, final = _pair("oracle", oracle(configuration, steps, seed), allowed="a function that returns (curve, final)")
    points, ended = _points(curve, steps=steps)
    before = tuple((step, metric.loss(value)) for step, value in _thinned(points, steps=steps))
    if final is None:
        return Outcome(points=before, loss=None, steps=max(1, steps if ended is None else ended))
    if len(points) < len(curve):
        value = list(curve)[len(points)]
        raise InvalidValue("oracle.curve", value=value, allowed="finite where the final loss is", hint=_DIVERGED)
    loss = metric.loss(_finite("oracle.final", final))
    return Outcome(points=(*before, (steps, loss)), loss=loss, steps=steps)


def _points(curve: Any, *, steps: int) -> tuple[list[tuple[int, float]], int | None]:
    """The points before the first one that is not finite, and the step of the last of all that were looked at."""
    if not isinstance(curve, Iterable):
        raise InvalidValue("oracle.curve", value=curve, allowed=f"a sequence of {_CURVE}")
    points: list[tuple[int, float]] = []
    last = -1
    for place, point in enumerate(curve):
        first, second = _pair(f"oracle.curve.{place}", point, allowed=_CURVE)
        step = _number(f"oracle.curve.{place}.step", first)
        if not step.is_integer() or not max(0, last + 1) <= step <= steps:
            allowed = f"a whole number of updates in [{max(0, last + 1)}, {steps}]: the steps of a curve ascend"
            raise InvalidValue(f"oracle.curve.{place}.step", value=first, allowed=allowed)
        last = int(step)
        value = _number(f"oracle.curve.{place}.loss", second)
        if not math.isfinite(value):
            break
        points.append((last, value))
    return points, None if last < 0 else last


def _thinned(points: Sequence[tuple[int, float]], *, steps: int) -> list[tuple[int, float]]:
    """The first point of every twentieth of a run, without the end."""
    first: dict[int, tuple[int, float]] = {}
    for step, value in points:
        first.setdefault(step * EVALUATIONS // steps, (step, value))
    return [point for point in first.values() if point[0] < steps]


def _pair(field: str, value: Any, *, allowed: str) -> tuple[Any, Any]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise InvalidValue(field, value=value, allowed=allowed) from None
    return first, second


def _number(field: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidValue(field, value=value, allowed="a number") from None


def _finite(field: str, value: Any) -> float:
    number = _number(field, value)
    if not math.isfinite(number):
        raise InvalidValue(field, value=value, allowed="a finite number, or None", hint=_DIVERGED)
    return number
