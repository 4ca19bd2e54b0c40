"""Nothing is claimed from noise: studies of schedules that differ in nothing else."""

from __future__ import annotations

import random

import pytest

from tests.unit.report.studies import BARE, CONSTANT, DEFAULT, LINEAR, WSD, at, study, tried
from tuner.report.build import build_report
from tuner.report.report import Verdict
from tuner.search.decision.decisions import Role

SCHEDULES = (DEFAULT, WSD, LINEAR, CONSTANT, BARE, at(WSD, 0.03))


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_of_schedules_with_one_true_loss_hardly_anything_is_claimed(seeds: int) -> None:
    """Of 40 studies with three verdicts each, at most what a 95 % interval errs by, doubled for the chance of it."""
    verdicts = []
    for number in range(40):
        noise = random.Random(number)
        trials = [
            tried(schedule, *(0.3 + noise.gauss(0.0, 0.03) for _ in range(seeds)), role=role)
            for schedule, role in zip(SCHEDULES, (Role.INCUMBENT, *[None] * 5), strict=True)
        ]
        verdicts += [one.verdict for one in build_report(study(*trials)).comparisons]
    assert verdicts.count(Verdict.NOT_SETTLED) >= 0.9 * len(verdicts)
