"""A workload that trains whole runs, in a space with few schedules: none is trained twice on one seed."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

import tuner
from tuner.search.space import OptimizerKind
from tuner.training.run import TrainingRun
from tuner.training.workload import OpaqueWorkload

PEAK = {"kind": "float", "low": 0.1, "high": 0.1}


class Counted(OpaqueWorkload):
    """Remembers its trainings."""

    name: ClassVar[str] = "counted"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "The loss follows from the rates alone."
    default_steps: ClassVar[int] = 20
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD

    def __init__(self) -> None:
        self.trained: list[tuple[bytes, int]] = []

    def train(self, run: TrainingRun, options: Any) -> None:
        self.trained.append((run.lrs.round(9).tobytes(), run.seed))
        run.report(run.total_steps, value=1.0 + float(abs(run.lrs.mean() - 0.06)) + 1e-3 * (run.seed % 7))


LINEAR = {"peak_lr": 0.1, "family": {"name": "linear"}}


@pytest.mark.parametrize("start", [[], [LINEAR], [LINEAR, {**LINEAR, "family": {"name": "polynomial", "power": 1.0}}]])
@pytest.mark.parametrize("seeds", [1, 2])
def test_no_schedule_is_trained_twice_on_a_seed_and_the_report_says_that_the_space_is_exhausted(
    start: list[Any], seeds: int
):
    workload = Counted()
    # In 20 updates the warm-ups of 1 % and 2 % take one update each: 2 x 2 trainings, and the incumbent is one of them.
    families = [{"name": "linear"}, {"name": "cosine"}]
    space = {"peak_lr": PEAK, "warmup": [0.01, 0.02, 0.1], "floor": [0.0], "families": families}
    incumbent = {**LINEAR, "warmup": {"shape": "linear", "updates": 1}}
    search = {"space": space, "start": start, "incumbent": incumbent, "seeds": seeds, "seed": 1}

    report = tuner.tune(workload, budget=20, search=search, device="cpu")

    assert len(set(workload.trained)) == len(workload.trained)
    schedules = {rates for rates, _ in workload.trained}
    assert len(schedules) <= 4 + len(start)
    if seeds == 1:  # more seeds may show that the rest is not worth a run
        assert len(schedules) >= 4
        assert "every schedule of the space has been tried" in report.end_reason
