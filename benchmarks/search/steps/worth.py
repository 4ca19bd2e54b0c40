"""How many times the steps a schedule would need for another's loss: predicted from a study's curves, and recorded.

A study is a few complete runs of one length, of random configurations and seeds. Each of some rivals is compared with
all other configurations of its study, better or worse: the losses of the rival at longer and shorter lengths say how
many times the steps it needs. Where that lies outside of the recorded lengths, only the bound is checked.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.lab.files import load_table, table_names
from benchmarks.lab.power_law import POWER_LAWS
from benchmarks.lab.split import CLAIMED_ON, TUNED_ON
from benchmarks.search.steps.recorded import RecordedLengths, recorded, solved
from benchmarks.search.tables import markdown
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import Curve
from tuner.search.worth import LossOverSteps, Normal, StepsFactor

RUNS: Final = (3, 10)
"""Complete runs of a study."""
RIVALS: Final = 4
"""Of them that are compared with all others."""
SHORTER: Final = 3
"""Of these configurations, runs at the next shorter length are added in the second setting."""
_LEAST: Final = 0.05
"""Logarithm of the least true factor whose error is measured: below, it is the noise of the truth."""


@dataclass(frozen=True)
class Pair:
    """A rival and another schedule: what is known of the steps that the rival needs, and what was found."""

    low: float
    """The true factor is at least this, ..."""
    high: float
    """... and at most this: equal where the recorded lengths say it."""
    found: StepsFactor | None

    @property
    def is_exact(self) -> bool:
        """Whether the recorded lengths say the factor, not only a bound."""
        return self.low == self.high

    @property
    def is_covered(self) -> bool:
        """Whether the interval covers the truth, or could, where only a bound of it is known."""
        found = self.found
        return found is not None and found.low <= self.high and (found.high is None or found.high >= self.low)


def names() -> list[str]:
    """The tables with runs of several lengths, and the exactly solvable workloads: tuned on, then claimed on."""
    several = [name for name in table_names() if len(load_table(name).lengths) > 1]
    listed = [name for name in (*TUNED_ON, *CLAIMED_ON) if name in several or name in POWER_LAWS]
    return [*listed, *(name for name in several if name not in listed)]


def run_all(*, studies: int, workers: int) -> list[dict[str, Any]]:
    """Every workload of `names`."""
    with ProcessPoolExecutor(workers) as pool:
        return [line for lines in pool.map(partial(run, studies=studies), names()) for line in lines]


def run(name: str, *, studies: int, seed: int = 0) -> list[dict[str, Any]]:
    """One line per number of runs, with and without runs at a shorter length; studies of all lengths are pooled."""
    data = runs_of(name)
    pairs: defaultdict[tuple[int, bool], list[Pair]] = defaultdict(list)
    for horizon in data.horizons:
        known = data.known_at(horizon)
        shorter = [steps for steps in data.lengths if steps < horizon][-1:]
        for runs in (n for n in RUNS if n <= len(known)):
            for extra in ((), tuple(shorter)) if shorter else ((),):
                rng = np.random.default_rng(seed)
                for _ in range(studies):
                    found = _study(data, known, horizon=horizon, runs=runs, extra=extra, rng=rng)
                    pairs[runs, bool(extra)] += found
    return [
        {"data": name, "runs": runs, "shorter": SHORTER if extra else 0, **_line(of_kind)}
        for (runs, extra), of_kind in sorted(pairs.items())
    ]


def runs_of(name: str) -> RecordedLengths:
    """The runs of a table or of an exactly solvable workload."""
    return solved(POWER_LAWS[name]) if name in POWER_LAWS else recorded(load_table(name))


def against_the_best(data: RecordedLengths, rival: Configuration, *, horizon: int) -> Pair:
    """A rival against the best at that length, from one curve of every configuration."""
    known = data.known_at(horizon)
    curves = [data.curve(one, steps=horizon, horizon=horizon, rng=np.random.default_rng(0)) for one in known]
    lengths = data.losses(rival)
    best = min((data.losses(one)[horizon] for one in known), key=lambda loss: loss.mean)
    found = LossOverSteps(curves, total_steps=horizon).factor(
        rival=data.at(rival, horizon=horizon), rival_loss=lengths[horizon], loss=best
    )
    return Pair(*true_factor(lengths, loss=best.mean, horizon=horizon), found)


def worth_tables(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines as Markdown."""
    yield from markdown(
        [
            "data",
            "runs",
            "shorter runs",
            "not compared",
            "pairs",
            "true factor",
            "off by",
            "covered",
            "high / low",
            "pairs beyond the lengths",
            "consistent",
        ],
        [list(_cells(line)) for line in lines],
    )


def _cells(line: Mapping[str, Any]) -> Iterator[str]:
    yield from (line["data"], str(line["runs"]), str(line["shorter"]))
    yield f"{line['not_compared']:.0%}"
    yield f"{line['exact']:,}"
    yield from (_factor(line["median_truth"]), _factor(line["median_error"]))
    yield _share(line["covered"])
    yield _factor(line["median_width"])
    yield f"{line['bounded']:,}"
    yield _share(line["consistent"])


def _study(
    data: RecordedLengths,
    known: Sequence[Configuration],
    *,
    horizon: int,
    runs: int,
    extra: tuple[int, ...],
    rng: np.random.Generator,
) -> Iterator[Pair]:
    chosen = [known[place] for place in rng.permutation(len(known))[:runs]]
    curves: list[Curve] = [data.curve(one, steps=horizon, horizon=horizon, rng=rng) for one in chosen]
    for steps in extra:
        also = [one for one in chosen if steps in data.losses(one)][:SHORTER]
        curves += [data.curve(one, steps=steps, horizon=horizon, rng=rng) for one in also]
    over_steps = LossOverSteps(curves, total_steps=horizon)
    for rival in chosen[:RIVALS]:
        lengths = data.losses(rival)
        for other in chosen:
            if other is rival:
                continue
            loss = data.losses(other)[horizon]
            found = over_steps.factor(rival=data.at(rival, horizon=horizon), rival_loss=lengths[horizon], loss=loss)
            yield Pair(*true_factor(lengths, loss=loss.mean, horizon=horizon), found)


def true_factor(lengths: Mapping[int, Normal], *, loss: float, horizon: int) -> tuple[float, float]:
    """Bounds of the factor, equal where the loss lies between those of two recorded lengths."""
    steps = sorted(lengths)
    # A longer run that ends worse counts as the best shorter one; the longest first, so that the losses ascend.
    losses = np.minimum.accumulate([lengths[one].mean for one in steps])[::-1]
    logs = np.log(np.array(steps, dtype=np.float64) / horizon)[::-1]
    if loss < losses[0]:
        return math.exp(logs[0]), math.inf
    if loss > losses[-1]:
        return 0.0, math.exp(logs[-1])
    factor = math.exp(float(np.interp(loss, losses, logs)))
    return factor, factor


def _line(pairs: Sequence[Pair]) -> dict[str, Any]:
    compared = [pair for pair in pairs if pair.found is not None]
    exact = [pair for pair in compared if pair.is_exact]
    bounded = [pair for pair in compared if not pair.is_exact]
    clear = [(pair.low, pair.found) for pair in exact if pair.found and abs(math.log(pair.low)) >= _LEAST]
    return {
        "pairs": len(pairs),
        "not_compared": 1.0 - len(compared) / len(pairs),
        "exact": len(exact),
        "covered": _mean([pair.is_covered for pair in exact]),
        "bounded": len(bounded),
        "consistent": _mean([pair.is_covered for pair in bounded]),
        "median_truth": _typical([math.log(true) for true, _ in clear]),
        "median_error": _typical([math.log(found.factor / true) for true, found in clear]),
        "median_width": _typical([math.log((found.high or 10.0) / found.low) for _, found in clear]),
    }


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None


def _typical(logs: Sequence[float]) -> float | None:
    """The median factor between what a logarithm compares, above 1."""
    return float(np.exp(np.median(np.abs(logs)))) if logs else None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _factor(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
