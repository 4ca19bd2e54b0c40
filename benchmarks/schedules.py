"""How long 100,000 learning rates of each family take, and how that compares with torch and transformers.

    python -m benchmarks.schedules [--points 100000] [--repeats 15] [--out benchmarks/out/schedules.json]

The other libraries step a scheduler on an optimizer with one parameter; the ratio is their time over ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.optim import lr_scheduler
from transformers.optimization import get_scheduler

from tuner.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    InverseSqrt,
    Knot,
    Linear,
    MultiStep,
    OneCycle,
    PiecewiseLinear,
    Polynomial,
    Power,
    Rex,
    Schedule,
    Segment,
    Segments,
    Sgdr,
    Step,
    Warmup,
    Wsd,
)
from tuner.schedules.families import AnyFamily

LIMIT_MS = 5.0
"""The promise: 100,000 points of any family in less."""
_RIVAL_POINTS = 5_000
"""The rivals step one update at a time; their cost grows evenly, so fewer are timed and scaled up."""

Rival = Callable[[torch.optim.Optimizer, int], Any]

_CASES: list[tuple[AnyFamily, Rival | None]] = [
    (Constant(), lambda opt, n: lr_scheduler.ConstantLR(opt, 1.0)),
    (Linear(), lambda opt, n: lr_scheduler.LinearLR(opt, 1.0, 0.0, n)),
    (Cosine(), lambda opt, n: lr_scheduler.CosineAnnealingLR(opt, n)),
    (Sgdr(cycles=4, multiplier=2.0), lambda opt, n: lr_scheduler.CosineAnnealingWarmRestarts(opt, n // 15, 2)),
    (Polynomial(power=2.5), lambda opt, n: lr_scheduler.PolynomialLR(opt, n, 2.5)),
    (Exponential(rate=5.0), lambda opt, n: lr_scheduler.ExponentialLR(opt, 0.999)),
    (Step(every=0.3), lambda opt, n: lr_scheduler.StepLR(opt, int(0.3 * n))),
    (MultiStep(), lambda opt, n: lr_scheduler.MultiStepLR(opt, [n // 2, 3 * n // 4])),
    (InverseSqrt(), lambda opt, n: get_scheduler("inverse_sqrt", opt, num_warmup_steps=n // 10)),
    (OneCycle(), lambda opt, n: lr_scheduler.OneCycleLR(opt, 0.1, n + 1, cycle_momentum=False)),
    (
        Cyclic(mode="exp_range", gamma=0.5),
        lambda opt, n: lr_scheduler.CyclicLR(opt, 0.0, 0.1, n // 8, mode="exp_range", gamma=0.99, cycle_momentum=False),
    ),
    (
        Wsd(cooldown=0.4),
        lambda opt, n: get_scheduler(
            "warmup_stable_decay",
            opt,
            num_warmup_steps=n // 20,
            num_training_steps=n,
            scheduler_specific_kwargs={"num_decay_steps": n // 3, "decay_type": "1-sqrt"},
        ),
    ),
    (Rex(), None),
    (Power(), None),
    (PiecewiseLinear(knots=tuple(Knot(at=k / 8, factor=1 - k / 8) for k in range(9))), None),
    (
        Segments(
            segments=(
                Segment(kind="constant", start=1.0, end=1.0),
                Segment(kind="cosine", length=0.3, start=1.0, end=0.1),
                Segment(kind="exponential", length=0.2, start=0.1, end=0.0),
            )
        ),
        None,
    ),
]


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table, write the JSON; 1 when the best time of a family is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/schedules.json"))
    args = parser.parse_args(argv)

    rows = [_measure(family, rival=rival, points=args.points, repeats=args.repeats) for family, rival in _CASES]
    print(f"{args.points:,} learning rates, milliseconds")
    print(f"{'family':<18}{'best':>8}{'median':>8}{'torch or transformers':>24}{'ratio':>8}")
    for row in rows:
        rival_ms, ratio = row["rival_ms"], row["ratio"]
        other = f"{rival_ms:>24.0f}{ratio:>8.0f}" if rival_ms is not None else f"{'-':>24}{'-':>8}"
        print(f"{row['family']:<18}{row['best_ms']:>8.2f}{row['median_ms']:>8.2f}{other}")
    slow = [row["family"] for row in rows if row["best_ms"] > LIMIT_MS]
    print(f"over {LIMIT_MS} ms: {', '.join(slow) or 'none'}")

    args.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"points": args.points, "limit_ms": LIMIT_MS, "torch": torch.__version__, "rows": rows}
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if slow else 0


def _measure(family: AnyFamily, *, rival: Rival | None, points: int, repeats: int) -> dict[str, Any]:
    warmup = Warmup(shape="linear", fraction=0.05) if family.starts_at_peak else Warmup()
    schedule = Schedule(peak_lr=0.1, family=family, warmup=warmup, floor=0.01)
    times = [_milliseconds(lambda: schedule.lrs(points)) for _ in range(repeats)]
    rival_ms = None if rival is None else _step_through(rival) * points / _RIVAL_POINTS
    return {
        "family": family.name,
        "best_ms": min(times),
        "median_ms": statistics.median(times),
        "rival_ms": rival_ms,
        "ratio": None if rival_ms is None else rival_ms / min(times),
    }


def _step_through(rival: Rival) -> float:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = rival(optimizer, _RIVAL_POINTS)
    optimizer.step()

    def step_all() -> None:
        for _ in range(_RIVAL_POINTS):
            scheduler.step()

    return _milliseconds(step_all)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


if __name__ == "__main__":
    raise SystemExit(main())
