"""A study as a search leaves it, and the means to make others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tuner.report.build import build_report
from tuner.report.report import Report
from tuner.report.study_result import StudyResult, TrialResult
from tuner.schedules import Constant, Cosine, Linear, Schedule, Warmup, Wsd
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Control, TrialStatus

SEEDS = (101, 102, 103, 104, 105)
WARMUP = Warmup(shape="linear", fraction=0.05)
CONSTANT = Schedule(peak_lr=0.02, family=Constant())
DEFAULT = Schedule(peak_lr=0.05, family=Cosine(), warmup=WARMUP)
LINEAR = Schedule(peak_lr=0.05, family=Linear(), warmup=WARMUP)
WSD = Schedule(peak_lr=0.1, family=Wsd(cooldown=0.4), warmup=WARMUP)


class Studies:
    """Makes study results from losses."""

    seeds = SEEDS
    constant, default, linear, wsd = CONSTANT, DEFAULT, LINEAR, WSD

    def trial(
        self,
        number: int,
        schedule: Schedule,
        *losses: float | None,
        control: Control | None = None,
        status: TrialStatus = TrialStatus.COMPLETED,
    ) -> TrialResult:
        return TrialResult(
            number=number,
            control=control,
            configuration=Configuration(schedule=schedule),
            status=status,
            losses=losses,
            reason="for a test",
        )

    def confirmed(self, *losses: float | None) -> dict[int, float | None]:
        """Losses on the first seeds, in their order."""
        return dict(zip(SEEDS, losses, strict=False))

    def result(
        self,
        trials: Sequence[TrialResult],
        confirmations: Mapping[int, Mapping[int, float | None]],
        *,
        updates_spent: int = 24_000,
        confirm_updates: int = 18_000,
    ) -> StudyResult:
        return StudyResult(
            job_id="00000000-0000-4000-8000-000000000001",
            job_name="digits",
            workload="digits-mlp",
            options={"optimizer": "sgd"},
            total_steps=900,
            rung_steps=(100, 300, 900),
            trials=tuple(trials),
            confirmations=confirmations,
            updates_spent=updates_spent,
            updates_saved=1_500,
            confirm_updates=confirm_updates,
            why_ended="every finalist is confirmed",
        )

    def typical(self) -> StudyResult:
        """Two equals on top, a default a little worse, a constant far worse, some pruned and one diverged."""
        pruned = TrialStatus.PRUNED
        return self.result(
            [
                self.trial(0, CONSTANT, 0.60, 0.45, 0.350, control=Control.CONSTANT),
                self.trial(
                    1, CONSTANT.model_copy(update={"peak_lr": 0.5}), None, control=Control.CONSTANT, status=pruned
                ),
                self.trial(2, DEFAULT, 0.58, 0.40, 0.305, control=Control.DEFAULT),
                self.trial(3, LINEAR, 0.57, 0.39, 0.279),
                self.trial(4, WSD, 0.59, 0.41, 0.284),
                self.trial(5, WSD.model_copy(update={"peak_lr": 0.001}), 1.40, status=pruned),
                self.trial(6, LINEAR.model_copy(update={"peak_lr": 0.01}), 0.64, 0.55, status=pruned),
                self.trial(7, LINEAR.model_copy(update={"peak_lr": 0.3}), 0.61, None, status=pruned),
                self.trial(8, DEFAULT.model_copy(update={"peak_lr": 0.004}), 0.90, status=pruned),
            ],
            {
                0: self.confirmed(0.352, 0.341, 0.360, 0.349, 0.355),
                2: self.confirmed(0.306, 0.295, 0.315, 0.301, 0.310),
                3: self.confirmed(0.289, 0.280, 0.301, 0.283, 0.296),
                4: self.confirmed(0.291, 0.279, 0.303, 0.284, 0.295),
            },
        )


@pytest.fixture(scope="session")
def studies() -> Studies:
    return Studies()


@pytest.fixture(scope="session")
def report(studies) -> Report:
    """The report of the typical study."""
    return build_report(studies.typical())
