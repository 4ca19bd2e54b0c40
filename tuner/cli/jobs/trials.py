"""The trials of a job as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tuner.cli.request import Table

if TYPE_CHECKING:
    from tuner.api.jobs import TrialView
    from tuner.jobs.progress import TrialLoss


def _result(loss: TrialLoss) -> str:
    """``"0.2410"``, or where the run ended without a result: ``"diverged at 120"``."""
    return f"{loss.state.value} at {loss.steps:,}" if loss.loss is None else f"{loss.loss:#.4g}"


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


TRIALS: Final[Table[TrialView]] = Table(
    columns={
        "TRIAL": lambda trial: str(trial.number),
        "STATE": lambda trial: trial.state.value,
        "RESULTS": lambda trial: ", ".join(map(_result, trial.losses)),
        "SCHEDULE": lambda trial: trial.label + (f" ({trial.role.value})" if trial.role else ""),
        "WHY": lambda trial: _first_line(trial.end_reason or trial.reason),
    },
    empty="No trials yet.",
)
