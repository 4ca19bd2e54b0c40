"""Hypothesis strategies for schedules that fit into a run, and one example of everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tuner.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Epochs,
    Exponential,
    InverseSqrt,
    Knot,
    Linear,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Polynomial,
    Power,
    ReduceOnPlateau,
    Rex,
    Schedule,
    Segment,
    Segments,
    Sgdr,
    Step,
    Updates,
    Warmup,
    Wsd,
)

EXAMPLES = {
    "constant": Constant(),
    "linear": Linear(),
    "cosine": Cosine(),
    "sgdr": Sgdr(cycles=3, multiplier=2.0),
    "sgdr of a period": Sgdr(period=Epochs(epochs=2, updates_per_epoch=7), multiplier=2.0),
    "polynomial": Polynomial(power=1.5),
    "exponential by rate": Exponential(rate=4.0),
    "exponential by gamma": Exponential(gamma=0.9, every=Epochs(epochs=1, updates_per_epoch=7)),
    "step": Step(gamma=0.5, every=0.3),
    "step in updates": Step(gamma=0.5, every=Updates(updates=11)),
    "multi_step": MultiStep(gamma=0.1, milestones=(0.5, Updates(updates=60))),
    "inverse_sqrt": InverseSqrt(timescale=Updates(updates=10)),
    "one_cycle": OneCycle(rise=0.3),
    "cyclic triangular": Cyclic(cycles=4),
    "cyclic triangular2": Cyclic(cycles=4, mode="triangular2"),
    "cyclic exp_range": Cyclic(cycles=4, mode="exp_range", gamma=0.6, rise=0.25),
    "cyclic of a period": Cyclic(period=Updates(updates=13), rise=0.3, mode="triangular2"),
    "wsd linear": Wsd(cooldown=0.4, shape="linear"),
    "wsd 1-sqrt": Wsd(cooldown=Updates(updates=20), shape="1-sqrt"),
    "wsd cosine": Wsd(cooldown=Epochs(epochs=2, updates_per_epoch=10), shape="cosine"),
    "wsd exponential": Wsd(cooldown=1.0, shape="exponential"),
    "wsd polynomial": Wsd(cooldown=0.5, shape="polynomial", power=2.0),
    "rex": Rex(),
    "power": Power(onset=0.2, exponent=0.51),
    "piecewise_linear": PiecewiseLinear(
        knots=(Knot(at=0.0, factor=1.0), Knot(at=0.5, factor=0.3), Knot(at=1.0, factor=0.05))
    ),
    "segments": Segments(
        segments=(
            Segment(kind="constant", start=1.0, end=1.0),
            Segment(kind="cosine", length=0.3, start=1.0, end=0.2),
            Segment(kind="exponential", length=Updates(updates=10), start=0.2, end=0.01, rate=3.0),
        )
    ),
}
"""One family value for every formula; each fits into 80 updates or more."""
FOLLOWING = {"reduce_on_plateau": ReduceOnPlateau(factor=0.5, patience=1, cooldown=1)}
"""Families whose rates follow the losses of the run."""


def example(name: str, *, floor: float = 0.0, warmup: bool = True) -> Schedule:
    """A schedule with the family of that name, and with a warm-up where the family allows it."""
    family = {**EXAMPLES, **FOLLOWING}[name]
    ramp = Warmup(shape="linear", fraction=0.1) if warmup and family.starts_at_peak else Warmup()
    return Schedule(peak_lr=0.02, family=family, warmup=ramp, floor=floor)


@dataclass(frozen=True)
class Case:
    """A schedule and a run that it fits into."""

    schedule: Schedule
    total_steps: int
    warmup: int


def decimals(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers with four decimals, as people write them: positions are then never a rounding error from an update."""
    return st.integers(round(low * 10_000), round(high * 10_000)).map(lambda ten_thousandths: ten_thousandths / 10_000)


_FACTORS = decimals(0, 1)
_GAMMAS = decimals(0.05, 0.99)
_POWERS = decimals(0.1, 6)


def _lengths(n: int) -> st.SearchStrategy[Any]:
    """Spans above 0 and up to n updates."""
    return st.one_of(
        decimals(0.0001, 1),
        st.integers(1, n).map(lambda updates: Updates(updates=updates)),
        st.integers(1, n).flatmap(
            lambda size: decimals(0.0001, n // size).map(lambda epochs: Epochs(epochs=epochs, updates_per_epoch=size))
        ),
    )


def _periods(n: int) -> st.SearchStrategy[Any]:
    """Lengths of cycles from two updates on, also such that do not divide n."""
    return st.one_of(
        st.integers(2, 2 * n).map(lambda updates: Updates(updates=updates)),
        st.integers(2, n).flatmap(
            lambda size: decimals(1, 3).map(lambda epochs: Epochs(epochs=epochs, updates_per_epoch=size))
        ),
    )


@st.composite
def _knots(draw: st.DrawFn) -> tuple[Knot, ...]:
    places = sorted(draw(st.sets(decimals(0, 1), min_size=2, max_size=6)))
    factors = [1.0, *(draw(_FACTORS) for _ in places[1:])]
    return tuple(Knot(at=at, factor=factor) for at, factor in zip(places, factors, strict=True))


@st.composite
def _segments(draw: st.DrawFn) -> tuple[Segment, ...]:
    cuts = sorted(draw(st.sets(st.integers(1, 9_999), min_size=1, max_size=4)))
    lengths: list[float | None] = [
        (end - start) / 10_000 for start, end in zip([0, *cuts], [*cuts, 10_000], strict=True)
    ]
    if draw(st.booleans()):
        lengths[draw(st.integers(0, len(lengths) - 1))] = None
    segments = []
    start = 1.0
    for length in lengths:
        kind = draw(st.sampled_from(["constant", "linear", "cosine", "1-sqrt", "rex", "polynomial", "exponential"]))
        end = start if kind == "constant" else draw(_FACTORS)
        power = draw(_POWERS) if kind == "polynomial" else None
        rate = draw(st.none() | decimals(0.1, 20)) if kind == "exponential" else None
        segments.append(Segment(kind=kind, length=length, start=start, end=end, power=power, rate=rate))
        start = draw(_FACTORS)
    return tuple(segments)


def _families(n: int) -> st.SearchStrategy[Any]:
    """Families that start at the peak and fit into n updates."""
    lengths = _lengths(n)
    return st.one_of(
        st.just(Constant()),
        st.just(Linear()),
        st.just(Cosine()),
        st.just(Rex()),
        st.builds(Polynomial, power=_POWERS),
        st.builds(Sgdr, cycles=st.integers(1, 5), multiplier=decimals(1, 3)).map(
            lambda family: family.resolved(n, of=n)
        ),
        *((st.builds(Sgdr, period=_periods(n), multiplier=decimals(1, 3)),) if n > 1 else ()),
        st.builds(Exponential, rate=decimals(0.01, 20)),
        st.builds(Exponential, gamma=_GAMMAS, every=lengths),
        st.builds(Step, gamma=_GAMMAS, every=lengths),
        st.builds(MultiStep, gamma=_GAMMAS, milestones=st.lists(lengths, min_size=1, max_size=4).map(tuple)),
        st.builds(InverseSqrt, timescale=lengths),
        st.builds(Power, onset=lengths, exponent=decimals(0.1, 3)),
        st.builds(Wsd, cooldown=lengths, shape=st.sampled_from(["linear", "1-sqrt", "cosine", "exponential"])),
        st.builds(Wsd, cooldown=lengths, shape=st.just("polynomial"), power=_POWERS),
        st.builds(PiecewiseLinear, knots=_knots()),
        st.builds(Segments, segments=_segments()),
    )


def _rising_families(n: int) -> st.SearchStrategy[Any]:
    """Families that have their own rise and fit into n updates."""
    cycles = st.integers(1, min(6, max(n // 2, 1)))
    return st.one_of(
        st.builds(
            OneCycle, rise=decimals(0.0001, 0.9999), start_factor=_FACTORS, shape=st.sampled_from(["cosine", "linear"])
        ),
        st.builds(
            Cyclic, cycles=cycles, rise=decimals(0.05, 0.95), mode=st.sampled_from(["triangular", "triangular2"])
        ),
        st.builds(Cyclic, cycles=cycles, rise=decimals(0.05, 0.95), mode=st.just("exp_range"), gamma=_GAMMAS),
        *(
            (st.builds(Cyclic, period=_periods(n), mode=st.sampled_from(["triangular", "triangular2"])),)
            if n > 1
            else ()
        ),
    )


@st.composite
def _warmups(draw: st.DrawFn, total_steps: int) -> Warmup:
    shape = draw(st.sampled_from(["none", "linear", "cosine", "exponential", "constant"]))
    if shape == "none" or total_steps == 1:
        return Warmup()
    start = draw(decimals(0.0001 if shape in ("exponential", "constant") else 0, 0.9999))
    if draw(st.booleans()):
        return Warmup(shape=shape, updates=draw(st.integers(0, total_steps - 1)), start_factor=start)
    if draw(st.booleans()):
        size = draw(st.integers(1, total_steps - 1))
        epochs = draw(decimals(0, 3).filter(lambda epochs: max(1, round(epochs * size)) < total_steps))
        return Warmup(shape=shape, epochs=epochs, updates_per_epoch=size, start_factor=start)
    fraction = draw(decimals(0, 0.9).filter(lambda fraction: max(1, round(fraction * total_steps)) < total_steps))
    return Warmup(shape=shape, fraction=fraction, start_factor=start)


@st.composite
def cases(draw: st.DrawFn, *, most: int = 400, horizons: st.SearchStrategy[int] | None = None) -> Case:
    """Any schedule at all, with a run that it fits into: of 2 to ``most`` updates, or of one of the ``horizons``."""
    total_steps = draw(st.integers(2, most) if horizons is None else horizons)
    warmup = draw(_warmups(total_steps))
    length = warmup.length(total_steps)
    families = _families(total_steps - length)
    if warmup.shape == "none":
        families = families | _rising_families(total_steps)
    peak_lr = draw(st.sampled_from([1e-6, 3e-4, 0.1, 1.0, 25.0]))
    schedule = Schedule(peak_lr=peak_lr, family=draw(families), warmup=warmup, floor=draw(decimals(0, 0.9999)))
    return Case(schedule=schedule, total_steps=total_steps, warmup=length)
