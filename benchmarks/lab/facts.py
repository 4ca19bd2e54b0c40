"""What the committed tables say, as the Markdown table of benchmarks/data/README.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.lab.files import load_table, table_names
from benchmarks.lab.table import RecordedTable
from tuner.search.configuration import Configuration

_HEAD = (
    "table",
    "schedules x seeds",
    "steps",
    "diverge",
    "best",
    "its loss",
    "noise",
    "common",
    "usual",
    "best constant",
    "best without warm-up",
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a table says of its workload.

    Attributes:
        noise: Standard deviation over seeds, the median over the better half of the schedules; absent with one seed.
        common: Share of that variance which schedules have in common, seed by seed.
        diverge: Schedules of which a run to the horizon diverged.
        best: Of the candidates.
        gaps: How far above the best the others are, as fractions of its loss: the usual schedule (cosine to zero at the
            middle peak), the best constant rate, and the best without warm-up; infinite where there is none.
    """

    noise: float | None
    common: float | None
    diverge: int
    best: Configuration
    gaps: tuple[float, float, float]


def facts_of(table: RecordedTable) -> Facts:
    """Compute them."""
    true = {one: table.true_loss(one) for one in table.configurations}
    ranked = sorted(true, key=lambda one: true[one])
    best = ranked[0]
    half = [one for one in ranked if math.isfinite(true[one])]
    losses = _losses(table, half[: max(2, len(half) // 2)])
    noise = common = None
    if losses.shape[1] > 1:
        away = losses - losses.mean(axis=1, keepdims=True)
        noise = float(np.median(losses.std(axis=1, ddof=1)))
        common = float(away.mean(axis=0).var() / away.var())
    without = [one for one in true if not one.schedule.warmup.length(table.horizon)]
    usual = [table.usual] if table.usual else []
    gaps = [min((true[one] for one in group), default=math.inf) for group in (usual, table.constants, without)]
    return Facts(
        noise=noise,
        common=common,
        diverge=sum(math.isinf(loss) for loss in true.values()),
        best=best,
        gaps=tuple(gap / true[best] - 1.0 for gap in gaps),  # type: ignore[arg-type]
    )


def facts_table() -> Iterator[str]:
    """Lines of Markdown, one for each committed table."""
    yield f"| {' | '.join(_HEAD)} |"
    yield "|---" * len(_HEAD) + "|"
    for name in table_names():
        table = load_table(name)
        yield f"| {' | '.join(_cells(table, facts_of(table)))} |"


def _cells(table: RecordedTable, facts: Facts) -> Iterator[str]:
    loss = table.true_loss(facts.best)
    yield f"`{table.name}`"
    yield f"{len(table.configurations)} x {len(table.seeds(facts.best, steps=table.horizon))}"
    yield ", ".join(f"{steps:,}" for steps in reversed(table.lengths))
    yield str(facts.diverge)
    yield facts.best.label
    yield f"{loss:.4g}"
    yield "-" if facts.noise is None else f"{facts.noise / loss:.1%}"
    yield "-" if facts.common is None else f"{facts.common:.2f}"
    for gap in facts.gaps:
        yield "-" if math.isinf(gap) else f"+{gap:.1%}"


def _losses(table: RecordedTable, configurations: list[Configuration]) -> np.ndarray:
    """``[configurations, seeds]`` at the horizon; none of these diverged."""
    runs = [
        [table.run(one, steps=table.horizon, seed=seed) for seed in table.seeds(one, steps=table.horizon)]
        for one in configurations
    ]
    return np.array([[run.loss for run in row if run] for row in runs], dtype=np.float64)
