"""The built-in workloads: small trainings on real data that needs no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.training.workload import Workload


def builtin_workloads() -> dict[str, Workload]:
    """The built-in workloads by name. Loads torch."""
    from tuner.workloads.charlm import PydocCharLm
    from tuner.workloads.digits import DigitsCnn, DigitsMlp
    from tuner.workloads.terrain import TerrainMlp

    workloads: tuple[Workload, ...] = (DigitsMlp(), DigitsCnn(), PydocCharLm(), TerrainMlp())
    return {workload.name: workload for workload in workloads}
