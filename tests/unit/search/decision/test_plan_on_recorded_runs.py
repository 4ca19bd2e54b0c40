"""The plan on losses of real runs (benchmarks/data/README.md): does the schedule that is best in the end survive?

A search draws 15 of the 18 recorded warm-up-stable-decay configurations. At a rung it observes either the final loss of
the recorded run that was that long (a complete schedule, compressed), or the loss that the full run of 50,000 updates
had on its way at that point (what general tuners prune by). The plan is the same.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.schedules import Schedule, Wsd
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import NewTrial, StudyState
from tuner.search.settings import SearchSettings
from tuner.search.simulate import simulate
from tuner.search.space import Choice, FamilySpace, FloatRange, SearchSpace

DATA = Path(__file__).parents[4] / "benchmarks" / "data" / "llama124m_slimpajama.csv.gz"
HORIZON = 50_000
RECORDED = (15_000, 25_000, 35_000, HORIZON)
DRAWS = 100
DRAWN = 15
Config = tuple[float, float]

SPACE = SearchSpace(
    peak_lr=FloatRange(low=1e-4, high=1e-2, log=True),
    warmup=(0.0,),
    floor=(0.0,),
    families=(
        FamilySpace(
            name="wsd", params={"cooldown": FloatRange(low=0.1, high=0.9), "shape": Choice(values=("linear",))}
        ),
    ),
)


def recorded() -> tuple[dict[tuple[Config, int], float], dict[tuple[Config, int], float]]:
    """Final losses by configuration and horizon, and losses of the full runs by configuration and update."""
    finals: dict[tuple[Config, int], float] = {}
    passing: dict[tuple[Config, int], float] = {}
    with gzip.open(DATA, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if row["family"] != "wsd-linear":
                continue
            config = (float(row["peak_lr"]), float(row["decay_fraction"]))
            step, horizon = int(row["step"]), int(row["total_steps"])
            if step == horizon:
                finals[config, horizon] = float(row["val_loss"])
            if horizon == HORIZON:
                passing[config, step] = float(row["val_loss"])
    return finals, passing


FINALS, PASSING = recorded()
CONFIGS = sorted(config for config, horizon in FINALS if horizon == RECORDED[0])


def survival(losses: dict[tuple[Config, int], float], *, ratio: float, rungs: int, **changes: float) -> float:
    """In what share of the draws the configuration that is best at the horizon wins the search."""
    settings = SearchSettings(
        total_steps=HORIZON,
        trials=DRAWN,
        rungs=rungs,
        ratio=ratio,
        audit=0.0,
        controls=False,
        confirm_seeds=0,
        space=SPACE,
    ).model_copy(update=changes)
    return sum(_best_wins(settings, losses, seed) for seed in range(DRAWS)) / DRAWS


def _best_wins(settings: SearchSettings, losses: dict[tuple[Config, int], float], seed: int) -> bool:
    drawn = random.Random(seed).sample(CONFIGS, DRAWN)
    best = min(drawn, key=lambda config: FINALS[config, HORIZON])
    result = simulate(settings, loss=_oracle(losses), ask=_ask(drawn), workers=4)
    assert result.winner is not None
    assert result.winner.schedule is not None
    return _config(result.winner.schedule) == best


def _ask(drawn: list[Config]) -> Callable[[StudyState, NewTrial], Configuration]:
    def ask(state: StudyState, decision: NewTrial) -> Configuration:
        peak, cooldown = drawn[decision.number]
        return Configuration(schedule=Schedule(peak_lr=peak, family=Wsd(cooldown=cooldown, shape="linear")))

    return ask


def _config(schedule: Schedule) -> Config:
    assert isinstance(schedule.family, Wsd)
    assert isinstance(schedule.family.cooldown, float)
    return (schedule.peak_lr, schedule.family.cooldown)


def _oracle(losses: dict[tuple[Config, int], float]) -> Callable[[Configuration, int, int], float]:
    def loss(configuration: Configuration, steps: int, seed: int) -> float:
        nearest = min(RECORDED, key=lambda length: abs(length - steps))
        return losses[_config(configuration.schedule), nearest]

    return loss


def test_the_table_is_whole() -> None:
    assert len(CONFIGS) == 18
    assert all((config, horizon) in FINALS for config in CONFIGS for horizon in RECORDED)
    assert all((config, step) in PASSING for config in CONFIGS for step in RECORDED)


@pytest.mark.parametrize(
    ("ratio", "rungs", "cohort"),
    [(3.0, 2, 12), (2.0, 2, 12), (1.8, 3, DRAWN)],  # over three rungs, the quota is used up before a late cohort
    ids=["15k of 50k", "25k of 50k", "15k, 25k of 50k"],
)
def test_the_eventual_best_survives_compressed_rungs_and_not_the_raw_loss(
    ratio: float, rungs: int, cohort: int
) -> None:
    assert survival(FINALS, ratio=ratio, rungs=rungs, cohort=cohort) >= 0.97
    assert survival(PASSING, ratio=ratio, rungs=rungs, cohort=cohort) <= 0.05


def test_so_it_does_in_one_cohort_with_a_keep_share_of_a_sixth() -> None:
    assert survival(FINALS, ratio=3.0, rungs=2, cohort=DRAWN, keep=1 / 6) >= 0.9
