"""Learning curves by a functional scaling law: a power of the area under the schedule, and gradient noise."""

from __future__ import annotations

import numpy as np

from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.pruning.forecast import Curve
from tuner.training.evaluation_steps import evaluation_steps

FAMILIES = (
    Linear(),
    Cosine(),
    Wsd(cooldown=0.3, shape="linear"),
    Constant(),
    Wsd(cooldown=0.6, shape="1-sqrt"),
    Wsd(cooldown=0.1, shape="linear"),
)


def configuration(peak_lr: float, *, index: int = 0) -> Configuration:
    warmup = Warmup(shape="linear", fraction=0.05)
    return Configuration(schedule=Schedule(peak_lr=peak_lr, family=FAMILIES[index % len(FAMILIES)], warmup=warmup))


def curve(
    configuration: Configuration, *, seed: int = 0, steps: int = 1000, noise: float = 0.002, offset: float = 0.0
) -> Curve:
    """A complete run; ``offset`` is added to all of its losses."""
    rates = configuration.schedule.lrs(steps)
    area = np.cumsum(rates) * 1000.0 / steps
    recent = np.convolve(rates, np.full(steps // 20, 20.0 / steps))[:steps]
    rng = np.random.default_rng((seed, round(configuration.schedule.peak_lr * 1e6)))
    points = []
    for step in evaluation_steps(steps):
        loss = 1.0 + area[step - 1] ** -0.5 + 8.0 * recent[step - 1] + offset + noise * rng.normal()
        points.append((step, float(loss)))
    return Curve(configuration=configuration, seed=seed, total_steps=steps, points=tuple(points))


def study(count: int, *, seed: int = 0, steps: int = 1000) -> list[Curve]:
    """So many complete runs, with peaks all over the range."""
    peaks = np.geomspace(0.003, 0.1, count)
    return [
        curve(configuration(float(peak), index=index), seed=seed + index, steps=steps)
        for index, peak in enumerate(peaks)
    ]


def started(whole: Curve, *, points: int) -> Curve:
    """The run after so many evaluations."""
    return Curve(
        configuration=whole.configuration,
        seed=whole.seed,
        total_steps=whole.total_steps,
        points=whole.points[:points],
    )
