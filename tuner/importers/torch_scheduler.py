"""Reads a scheduler of ``torch.optim.lr_scheduler``, or its ``state_dict()``; torch itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.importers.huggingface import reduce_on_plateau
from tuner.importers.pieces import MAX_PIECES, Piece, check_count, fitted, geometric, hold, refused, schedule_of
from tuner.schedules import Cyclic, Exponential, MultiStep, Schedule, Sgdr, Step, Updates

_KEYS: Final = {
    "SequentialLR": "_schedulers",
    "OneCycleLR": "_schedule_phases",
    "CyclicLR": "step_ratio",
    "ReduceLROnPlateau": "patience",
    "CosineAnnealingWarmRestarts": "T_0",
    "CosineAnnealingLR": "T_max",
    "MultiStepLR": "milestones",
    "StepLR": "step_size",
    "LinearLR": "start_factor",
    "PolynomialLR": "power",
    "ConstantLR": "factor",
    "ExponentialLR": "gamma",
}
"""A key that the state of each class has; the first that matches counts."""


def is_state(value: Mapping[str, Any]) -> bool:
    """Whether a mapping looks like the state of a scheduler."""
    return "last_epoch" in value and ("base_lrs" in value or "_schedulers" in value or "min_lrs" in value)


def read_state(state: Mapping[str, Any], *, total_steps: int, peak_lr: float | None = None) -> Schedule:
    """The schedule of a scheduler that is stepped once per update, from its start.

    Args:
        state: Its ``state_dict()``.
        total_steps: Updates of the run.
        peak_lr: The rate of the first parameter group that its optimizer started with, where the state does not have
            it; of `OneCycleLR` and `CyclicLR` the highest rate.

    Raises:
        InvalidValue: It is of another class, or cannot be written exactly.
    """
    kind = next((name for name, key in _KEYS.items() if key in state), None)
    if kind is None:
        known = ", ".join(_KEYS)
        raise InvalidValue("schedule", value=sorted(state)[:8], allowed=f"the state of one of {known}")
    base = _base_rate(state, peak_lr=peak_lr, kind=kind)
    low = float(state.get("eta_min", 0.0)) / base
    match kind:
        case "ReduceLROnPlateau":
            return reduce_on_plateau({**state, "min_lr": _one(state["min_lrs"])}, base=base)
        case "CosineAnnealingWarmRestarts":
            family = Sgdr(period=Updates(updates=state["T_0"]), multiplier=float(state["T_mult"]))
            return Schedule(peak_lr=base, family=family, floor=low)
        case "StepLR":
            step = Step(gamma=state["gamma"], every=Updates(updates=state["step_size"]))
            return Schedule(peak_lr=base, family=step)
        case "MultiStepLR" if milestones := [at for at in _milestones(state) if at <= total_steps]:
            spans = tuple(Updates(updates=at) for at in milestones)
            return Schedule(peak_lr=base, family=MultiStep(gamma=state["gamma"], milestones=spans))
        case "ExponentialLR":
            return Schedule(peak_lr=base, family=Exponential(gamma=state["gamma"], every=Updates(updates=1)))
        case "CyclicLR":
            return _cyclic(state)
        case _:
            pieces = _pieces(state, kind=kind, base=base, left=float(total_steps))
            return schedule_of(pieces, base=base, total_steps=total_steps)


def state_of(scheduler: Any) -> tuple[dict[str, Any], float | None]:
    """The state of a scheduler object, and the rate that `read_state` needs beside it."""
    group = scheduler.optimizer.param_groups[0]
    peak = group.get("max_lr", group.get("initial_lr", group["lr"]))
    state = dict(scheduler.state_dict())
    if "min_lr" in group:  # OneCycleLR keeps it there
        state["min_lr"] = float(group["min_lr"])
    return state, float(peak)


def _base_rate(state: Mapping[str, Any], *, peak_lr: float | None, kind: str) -> float:
    while kind == "SequentialLR":
        state = state["_schedulers"][0]
        kind = next((name for name, key in _KEYS.items() if key in state), "")
    if kind in ("OneCycleLR", "ReduceLROnPlateau"):
        if peak_lr is None:
            hint = "Give the scheduler itself, or peak_lr: the highest rate, which its optimizer holds."
            raise refused(f"the state of {kind} without its peak", hint=hint)
        return peak_lr
    if kind == "CyclicLR":
        return float(state["max_lrs"][0])
    return float(state["base_lrs"][0])


def _one(values: Sequence[float]) -> float:
    if len(set(values)) > 1:
        raise refused("a min_lr of its own for each group")
    return float(values[0])


def _milestones(state: Mapping[str, Any]) -> list[int]:
    found = state["milestones"]
    times = found.items() if isinstance(found, Mapping) else ((at, 1) for at in found)
    return sorted(int(at) for at, count in times for _ in range(int(count)))


def _cyclic(state: Mapping[str, Any]) -> Schedule:
    if state.get("_scale_fn_custom") is not None:
        raise refused("CyclicLR with a scale_fn of its own")
    mode, length = state["mode"], float(state["total_size"])
    gamma = float(state["gamma"]) ** length if mode == "exp_range" else None
    family = Cyclic(period=Updates(updates=length), rise=float(state["step_ratio"]), mode=mode, gamma=gamma)
    high = float(state["max_lrs"][0])
    return Schedule(peak_lr=high, family=family, floor=float(state["base_lrs"][0]) / high)


def _pieces(state: Mapping[str, Any], *, kind: str, base: float, left: float) -> list[Piece]:
    """The pieces of a scheduler from its first update on, at most ``left`` updates long where it has no end."""
    low = float(state.get("eta_min", 0.0)) / base
    match kind:
        case "SequentialLR":
            return _sequence(state, base=base, left=left)
        case "LinearLR":
            first, last = float(state["start_factor"]), float(state["end_factor"])
            return [Piece(kind="linear", length=float(state["total_iters"]), start=first, end=last)]
        case "ConstantLR":
            return [hold(float(state["factor"]), length=float(state["total_iters"])), hold(1.0, length=left)]
        case "PolynomialLR":
            power = float(state["power"])
            return [Piece(kind="polynomial", length=float(state["total_iters"]), start=1.0, end=0.0, power=power)]
        case "CosineAnnealingLR":
            wave = float(state["T_max"])
            count = check_count(left, of=wave, what="waves")
            ends = [(1.0, low), (low, 1.0)]  # it rises again after T_max
            return [Piece(kind="cosine", length=wave, start=ends[i % 2][0], end=ends[i % 2][1]) for i in range(count)]
        case "CosineAnnealingWarmRestarts":
            return _restarts(state, low=low, left=left)
        case "StepLR":
            size, gamma = float(state["step_size"]), float(state["gamma"])
            return [hold(gamma**drops, length=size) for drops in range(check_count(left, of=size, what="steps"))]
        case "MultiStepLR":
            edges = [0, *_milestones(state), max(left, *_milestones(state))]
            return [
                hold(state["gamma"] ** drops, length=end - start) for drops, (start, end) in enumerate(pairwise(edges))
            ]
        case "ExponentialLR":
            return [geometric(1.0, gamma=float(state["gamma"]), length=left)]
        case "OneCycleLR":
            return _one_cycle(state, peak=base)
        case _:
            raise refused(f"{kind} within a SequentialLR")


def _restarts(state: Mapping[str, Any], *, low: float, left: float) -> list[Piece]:
    pieces: list[Piece] = []
    length = float(state["T_0"])
    check_count(left, of=length * MAX_PIECES, what="restarts")
    while left > 0 and len(pieces) <= MAX_PIECES:
        pieces.append(Piece(kind="cosine", length=length, start=1.0, end=low))
        left, length = left - length, length * float(state["T_mult"])
    return pieces


def _sequence(state: Mapping[str, Any], *, base: float, left: float) -> list[Piece]:
    starts = [0.0, *map(float, state["_milestones"])]
    ends = [*starts[1:], left]
    pieces: list[Piece] = []
    for child, start, end in zip(state["_schedulers"], starts, ends, strict=True):
        kind = next((name for name, key in _KEYS.items() if key in child), "")
        span = end - start
        if span <= 0:
            continue
        pieces += fitted(_pieces(child, kind=kind, base=base, left=span), total_steps=span)
    return pieces


def _one_cycle(state: Mapping[str, Any], *, peak: float) -> list[Piece]:
    start = float(state["base_lrs"][0]) / peak
    if "min_lr" not in state:
        raise refused("the state of OneCycleLR without its min_lr", hint="Give the scheduler itself.")
    rates = {"initial_lr": start, "max_lr": 1.0, "min_lr": float(state["min_lr"]) / peak}
    kind = "cosine" if state["_anneal_func_type"] == "cos" else "linear"
    pieces, begin = [], 0.0
    for phase in state["_schedule_phases"]:
        end = float(phase["end_step"])
        first, last = rates[phase["start_lr"]], rates[phase["end_lr"]]
        pieces.append(Piece(kind=kind, length=end - begin, start=first, end=last))  # type: ignore[arg-type]
        begin = end
    return pieces
