"""Which run is worth most to the recommendation: a new configuration, another seed of a known one, or none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import NewTrial, Replicate, StudyState


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Nothing more is worth its cost."""

    reason: str


def choose(state: StudyState, *, pool: Sequence[Configuration] | None = None) -> NewTrial | Replicate | Spent:
    """Choose the next run.

    Args:
        state: The study; the budget pays for another run.
        pool: The only configurations that can be trained; the whole space when absent.
    """
    raise NotImplementedError
