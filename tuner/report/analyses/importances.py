"""Which parameters decided the result, as part of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tuner.report.insights import ParameterImportance, ParameterImportances
from tuner.report.study_result import StudyResult
from tuner.search.configuration import OPTION

if TYPE_CHECKING:
    from tuner.search.optuna.importances import Importance

NAMES: Mapping[str, str] = {"family": "the schedule family", "peak_lr": "the peak rate", "warmup": "the warm-up"}


def describe_importances(result: StudyResult) -> ParameterImportances | None:
    """The importances of a study as part of its report; ``None`` when no trial has a result."""
    found = result.importances
    if found is None:
        return None
    common = _parts(found.common)
    families = {family: _parts(importances) for family, importances in found.families.items()}
    return ParameterImportances(
        trials=found.trials,
        diverged=found.diverged,
        common=common,
        families=families,
        sentence=" ".join(_sentences(common, families=families, trials=found.trials)),
    )


def _parts(importances: Sequence[Importance]) -> tuple[ParameterImportance, ...]:
    return tuple(
        ParameterImportance(name=one.name, share=one.share, above_chance=one.above_chance) for one in importances
    )


def _sentences(
    common: Sequence[ParameterImportance],
    *,
    families: Mapping[str, Sequence[ParameterImportance]],
    trials: int,
) -> Iterator[str]:
    if not common:
        yield f"{'1 trial is' if trials == 1 else f'{trials} trials are'} too few to say what decides the result."
    else:
        yield _sentence(common, where="Over all trials")
    for family, importances in families.items():
        yield _sentence(importances, where=f"Among the {family} schedules")


def _sentence(importances: Sequence[ParameterImportance], *, where: str) -> str:
    named = [_name(one.name) for one in importances if one.above_chance]
    if not named:
        return f"{where}, no parameter sets the best third apart beyond chance."
    return f"{where}, what sets the best third apart is {' and '.join(named)}."


def _name(parameter: str) -> str:
    if parameter.startswith(OPTION):
        return f"the option {parameter.removeprefix(OPTION)}"
    return NAMES.get(parameter, parameter)
