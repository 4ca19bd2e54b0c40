"""A small space, and schedules without a sampler."""

from __future__ import annotations

import random

import pytest

from tuner.schedules import Schedule
from tuner.search.sampler.options import SearchedOptions
from tuner.search.space import Choice, FloatRange, IntRange, OptimizerKind, SearchSpace, Value, default_space

NO_OPTIONS = SearchedOptions({})


def random_schedule(space: SearchSpace, rng: random.Random) -> Schedule:
    family = rng.choice(space.keys)
    values: dict[str, Value] = {"family": family}
    for name, parameter in space.parameters(family).items():
        match parameter:
            case FloatRange(low=low, high=high):
                values[name] = low * (high / low) ** rng.random()
            case IntRange(low=low, high=high):
                values[name] = rng.randint(low, high)
            case Choice(values=choices):
                values[name] = rng.choice(choices)
    return space.build(values)


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return default_space(OptimizerKind.ADAM)
