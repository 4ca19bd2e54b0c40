"""The slow twin: every schedule from its definition, one update at a time, in plain Python over the JSON of a spec.

Positions are exact rationals, so that nothing here depends on how a product was rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

Spec = dict[str, Any]


def reference_lr(spec: Spec, *, step: int, total_steps: int) -> float:
    """The learning rate of one update."""
    return spec["peak_lr"] * reference_factor(spec, step=step, total_steps=total_steps)


def reference_factor(spec: Spec, *, step: int, total_steps: int) -> float:
    warmup = warmup_updates(spec["warmup"], total_steps=total_steps)
    if step < warmup:
        return _warmup_factor(spec["warmup"], step=step, length=warmup)
    t = min(step, total_steps) - warmup
    family = spec["family"]
    return _FAMILIES[family["name"]](family, t, total_steps - warmup, spec["floor"])


def warmup_updates(warmup: Spec, *, total_steps: int) -> int:
    if warmup["shape"] == "none":
        return 0
    if warmup.get("updates") is not None:
        return warmup["updates"]
    if warmup.get("epochs") is not None:
        return max(1, round(warmup["epochs"] * warmup["updates_per_epoch"])) if warmup["epochs"] else 0
    if warmup["fraction"] == 0:
        return 0
    return max(1, round(warmup["fraction"] * total_steps))


def _warmup_factor(warmup: Spec, *, step: int, length: int) -> float:
    start = warmup["start_factor"]
    x = (step + 1) / length
    if warmup["shape"] == "linear":
        return start + (1 - start) * x
    if warmup["shape"] == "cosine":
        return start + (1 - start) * (1 - math.cos(math.pi * x)) / 2
    if warmup["shape"] == "exponential":
        return math.exp(math.log(start) * (1 - x))
    return start


def updates_of(span: Any, n: int) -> Fraction:
    if isinstance(span, dict) and "epochs" in span:
        return _exact(span["epochs"]) * span["updates_per_epoch"]
    if isinstance(span, dict):
        return _exact(span["updates"])
    return _exact(span) * n


def _exact(number: float) -> Fraction:
    """The decimal that was written, not the binary number next to it."""
    return Fraction(repr(number))


def _down(floor: float, left: float) -> float:
    return floor + (1 - floor) * left


def _left(kind: str, x: float, *, power: float | None = None, rate: float | None = None) -> float:
    """What is left of a way after the share x of its time."""
    if kind in ("linear", "constant"):
        return 1 - x
    if kind == "cosine":
        return (1 + math.cos(math.pi * x)) / 2
    if kind == "1-sqrt":
        return 1 - math.sqrt(x)
    if kind == "rex":
        return (1 - x) / (0.5 + 0.5 * (1 - x))
    if kind == "polynomial":
        return (1 - x) ** power
    rate = rate or math.log(100)
    return (math.exp(-rate * x) - math.exp(-rate)) / (1 - math.exp(-rate))


def _descent(kind: str) -> Callable[[Spec, int, int, float], float]:
    return lambda family, t, n, floor: _down(floor, _left(kind, t / n, power=family.get("power")))


def _wsd(family: Spec, t: int, n: int, floor: float) -> float:
    cooldown = updates_of(family["cooldown"], n)
    begin = n - cooldown
    return (
        1.0
        if t <= begin
        else _down(floor, _left(family["shape"], float((t - begin) / cooldown), power=family.get("power")))
    )


def _exponential(family: Spec, t: int, n: int, floor: float) -> float:
    if family.get("rate") is not None:
        return max(floor, math.exp(-family["rate"] * t / n))
    return max(floor, family["gamma"] ** float(t / updates_of(family["every"], n)))


def _step(family: Spec, t: int, n: int, floor: float) -> float:
    return max(floor, family["gamma"] ** (t // updates_of(family["every"], n)))


def _multi_step(family: Spec, t: int, n: int, floor: float) -> float:
    passed = [place for place in family["milestones"] if updates_of(place, n) <= t]
    return max(floor, family["gamma"] ** len(passed))


def _inverse_sqrt(family: Spec, t: int, n: int, floor: float) -> float:
    timescale = updates_of(family["timescale"], n)
    return max(floor, 1 / math.sqrt(1 + t / timescale))


def _power(family: Spec, t: int, n: int, floor: float) -> float:
    past = float(t / updates_of(family["onset"], n))
    return max(floor, 1.0 if past <= 1 else past ** -family["exponent"])


def _sgdr(family: Spec, t: int, n: int, floor: float) -> float:
    if family.get("period") is not None:
        begin, length = Fraction(0), updates_of(family["period"], n)
        while begin + length <= t and begin + length < n:
            begin, length = begin + length, length * _exact(family["multiplier"])
        return _down(floor, _left("cosine", float((t - begin) / length)))
    weights = [_exact(family["multiplier"]) ** cycle for cycle in range(family["cycles"])]
    begin = Fraction(0)
    for weight in weights[:-1]:
        length = n * weight / sum(weights)
        if t < begin + length:
            return _down(floor, _left("cosine", float((t - begin) / length)))
        begin += length
    return _down(floor, _left("cosine", float((t - begin) / (n - begin))))


def _one_cycle(family: Spec, t: int, n: int, floor: float) -> float:
    rise = updates_of(family["rise"], n)
    start = max(family["start_factor"], floor)
    if t < rise:
        return 1 + (start - 1) * _left(family["shape"], float(t / rise))
    return _down(floor, _left(family["shape"], float((t - rise) / (n - rise))))


def _cyclic(family: Spec, t: int, n: int, floor: float) -> float:
    cycles = family.get("cycles")
    passed = Fraction(t * cycles, n) if cycles else t / updates_of(family["period"], n)
    cycle = min(math.floor(passed), (cycles or math.ceil(n / updates_of(family["period"], n))) - 1)
    x, rise = float(passed - cycle), family["rise"]
    height = x / rise if x <= rise else (1 - x) / (1 - rise)
    scale = {"triangular": 1.0, "triangular2": 0.5**cycle}.get(family["mode"])
    return _down(floor, height * (family["gamma"] ** float(passed) if scale is None else scale))


def _piecewise_linear(family: Spec, t: int, n: int, floor: float) -> float:
    points = [(updates_of(knot["at"], n), knot["factor"]) for knot in family["knots"]]
    if t <= points[0][0]:
        return max(floor, points[0][1])
    for (x0, y0), (x1, y1) in pairwise(points):
        if t <= x1:
            return max(floor, y0 + (y1 - y0) * float((t - x0) / (x1 - x0)))
    return max(floor, points[-1][1])


def _segments(family: Spec, t: int, n: int, floor: float) -> float:
    lengths = [
        None if segment.get("length") is None else updates_of(segment["length"], n) for segment in family["segments"]
    ]
    rest = n - sum(length for length in lengths if length is not None)
    begin = Fraction(0)
    for segment, length in zip(family["segments"], lengths, strict=True):
        end = begin + (rest if length is None else length)
        if t < end or segment is family["segments"][-1]:
            x = float((t - begin) / (end - begin))
            left = _left(segment["kind"], x, power=segment.get("power"), rate=segment.get("rate"))
            return max(floor, segment["end"] + (segment["start"] - segment["end"]) * left)
        begin = end
    raise AssertionError("the last segment ends with the run")


_FAMILIES: dict[str, Callable[[Spec, int, int, float], float]] = {
    "constant": lambda family, t, n, floor: 1.0,
    "linear": _descent("linear"),
    "cosine": _descent("cosine"),
    "polynomial": _descent("polynomial"),
    "rex": _descent("rex"),
    "wsd": _wsd,
    "exponential": _exponential,
    "step": _step,
    "multi_step": _multi_step,
    "inverse_sqrt": _inverse_sqrt,
    "power": _power,
    "sgdr": _sgdr,
    "one_cycle": _one_cycle,
    "cyclic": _cyclic,
    "piecewise_linear": _piecewise_linear,
    "segments": _segments,
}
