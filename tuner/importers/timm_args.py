"""Reads the arguments of timm's ``train.py``: a namespace, a mapping, or its ``args.yaml``."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

from tuner.errors import InvalidValue
from tuner.importers.pieces import MAX_PIECES, Piece, check_epochs, hold, refused, schedule_of, staircase
from tuner.schedules import Schedule

KNOWN: Final = "cosine, poly, step, multistep, constant"
_PLAIN: Final = {"lr_cycle_mul": 1.0, "lr_cycle_limit": 1, "lr_k_decay": 1.0, "lr_noise": None}
"""What else changes the rates, with the values that change nothing."""


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    """In the scheduler's own unit: epochs, or updates with ``--sched-on-updates``."""

    kind: str
    base: float
    length: float
    warmup: float
    start: float
    low: float
    prefix: bool
    gamma: float
    every: float
    milestones: tuple[float, ...]

    @classmethod
    def of(cls, found: Mapping[str, Any], *, base: float, unit: int) -> Self:
        epochs, warmup = float(found.get("epochs") or 300), found.get("warmup_epochs")
        every = float(found.get("decay_epochs") or 90)
        return cls(
            kind=str(found.get("sched") or "cosine"),
            base=base,
            length=epochs * unit,
            warmup=float(5 if warmup is None else warmup) * unit,
            start=float(found.get("warmup_lr", 1e-5)) / base,
            low=float(found.get("min_lr") or 0.0) / base,
            prefix=bool(found.get("warmup_prefix")),
            gamma=float(found.get("decay_rate", 0.1)),
            every=(every * epochs if every < 1 else every) * unit,
            milestones=tuple(float(at) * unit for at in found.get("decay_milestones") or ()),
        )

    def factor(self, t: int) -> float:
        """The rate at a time of the unit, as a fraction of the base rate."""
        if t < self.warmup:
            return self.start + t * (1.0 - self.start) / self.warmup
        t -= round(self.warmup) if self.prefix else 0
        match self.kind:
            case "cosine" | "poly" if t >= self.length:
                return self.low
            case "cosine":
                return self.low + 0.5 * (1.0 - self.low) * (1.0 + math.cos(math.pi * t / self.length))
            case "poly":
                return float(self.low + (1.0 - self.low) * (1.0 - t / self.length) ** self.gamma)
            case "step":
                return float(self.gamma ** (t // self.every))
            case "multistep":  # a milestone counts one early in timm
                return float(self.gamma ** bisect_right(self.milestones, t + 1))
            case _:
                return 1.0

    def pieces(self, total_steps: int) -> list[Piece]:
        """The pieces of a schedule on updates."""
        rise = [Piece(kind="linear", length=self.warmup, start=self.start, end=1.0)] if self.warmup else []
        if self.kind in ("cosine", "poly"):
            if rise and not self.prefix:
                raise refused(
                    "a decay that begins within its warm-up (warmup_prefix is false)",
                    hint="Train with --warmup-prefix, or write the nearest schedule in words.",
                )
            curve: Any = {"cosine": "cosine", "poly": "polynomial"}[self.kind]
            power = self.gamma if self.kind == "poly" else None
            decay = Piece(kind=curve, length=self.length, start=1.0, end=self.low, power=power)
            return [*rise, decay, hold(self.low, length=total_steps)]
        first = round(self.warmup)
        edges = [first, *sorted({at for at in self._drops() if first < at < total_steps}), total_steps]
        return rise + [hold(self.factor(at), length=end - at) for at, end in pairwise(edges)]

    def _drops(self) -> list[int]:
        """The updates at which steps may begin, as many as can be written."""
        shift = round(self.warmup) if self.prefix else 0
        if self.kind == "step":
            return [shift + math.ceil(drops * self.every) for drops in range(1, MAX_PIECES + 2)]
        return [shift + math.ceil(at) - 1 for at in self.milestones[: MAX_PIECES + 1]]


def read_timm(
    arguments: Mapping[str, Any], *, total_steps: int, steps_per_epoch: int | None, peak_lr: float | None = None
) -> Schedule:
    """The schedule of ``train.py`` with these arguments, equal to timm's at every update.

    Without ``sched_on_updates`` its rate changes at the ends of epochs alone.

    Args:
        arguments: As ``train.py`` writes them to ``args.yaml``.
        total_steps: Updates of the run.
        steps_per_epoch: Updates in one epoch.
        peak_lr: The rate, where the arguments leave it to the batch size.

    Raises:
        InvalidValue: The scheduler is unknown, or cannot be written exactly.
    """
    base = arguments.get("lr") or peak_lr
    if base is None:
        hint = "train.py prints it at its start; --lr-base and the batch size make it."
        raise InvalidValue("peak_lr", value=None, allowed="given where the arguments have no lr", hint=hint)
    if steps_per_epoch is None:
        raise InvalidValue("steps_per_epoch", value=None, allowed="given: timm counts epochs")
    for name, plain in _PLAIN.items():
        if arguments.get(name, plain) not in (plain, [] if plain is None else plain):
            raise refused(f"{name}={arguments[name]}")
    on_updates = bool(arguments.get("sched_on_updates"))
    found = _Arguments.of(arguments, base=float(base), unit=steps_per_epoch if on_updates else 1)
    if found.kind not in KNOWN.split(", "):
        raise InvalidValue("sched", value=found.kind, allowed=f"one of {KNOWN}")
    if on_updates:
        return schedule_of(found.pieces(total_steps), base=found.base, total_steps=total_steps)
    epochs = math.ceil(total_steps / steps_per_epoch)
    check_epochs(epochs)
    rates = [found.base * found.factor(epoch) for epoch in range(epochs)]
    return staircase(rates, steps_per_epoch=steps_per_epoch, total_steps=total_steps)
