"""Schedule Tuner: finds the learning-rate schedule that a model should train with.

`tune` runs a study in this process and returns a `Report`; `simulate_study` runs one on a function instead of training.
Training code becomes a workload by deriving from `OpaqueWorkload`, `StepwiseWorkload` or `DeclaredWorkload`. A
`Schedule` is a value; `ScheduleLR` follows it in torch.

Besides these names there are `tuner.schedules` (the families), `tuner.exports` (code for other libraries), `tuner.sdk`
(for scripts that run as commands), `tuner.client` (a service's API), `tuner.optuna` (for Optuna studies of your own),
`tuner.workloads` (the built-in workloads) and `tuner.integrations` (training libraries).
Everything else is internal and may change.

``import tuner`` is cheap: torch, database and web code are loaded on first use of a name that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    __version__: str
    from tuner.errors import InvalidValue as InvalidValue
    from tuner.errors import StudyFailed as StudyFailed
    from tuner.errors import TunerError as TunerError
    from tuner.filelock import FileHeld as FileHeld
    from tuner.importers import import_schedule as import_schedule
    from tuner.jobs.progress import Progress as Progress
    from tuner.local import lr_range_test as lr_range_test
    from tuner.local import tune as tune
    from tuner.metric import Metric as Metric
    from tuner.report.report import Report as Report
    from tuner.schedules import GroupRates as GroupRates
    from tuner.schedules import Schedule as Schedule
    from tuner.schedules import ScheduleLR as ScheduleLR
    from tuner.schedules import Warmup as Warmup
    from tuner.search.range_test.result import RangeTest as RangeTest
    from tuner.search.space import OptimizerKind as OptimizerKind
    from tuner.search.space import SearchSpace as SearchSpace
    from tuner.search.space import SpacePreset as SpacePreset
    from tuner.search.space import TrainingKind as TrainingKind
    from tuner.search.space import default_space as default_space
    from tuner.simulation import simulate_study as simulate_study
    from tuner.training.data import ShuffledBatches as ShuffledBatches
    from tuner.training.data import step_generator as step_generator
    from tuner.training.run import RunStopped as RunStopped
    from tuner.training.run import TrainingRun as TrainingRun
    from tuner.training.stepwise import RunFinished as RunFinished
    from tuner.training.workload import Declaration as Declaration
    from tuner.training.workload import DeclaredWorkload as DeclaredWorkload
    from tuner.training.workload import OpaqueWorkload as OpaqueWorkload
    from tuner.training.workload import StepwiseTraining as StepwiseTraining
    from tuner.training.workload import StepwiseWorkload as StepwiseWorkload
    from tuner.training.workload import WorkloadOptions as WorkloadOptions

# For the interpreter what the imports above are for type checkers; tests/architecture compares the two.
_MODULES: Final = {
    "tuner.errors": ("InvalidValue", "StudyFailed", "TunerError"),
    "tuner.filelock": ("FileHeld",),
    "tuner.importers": ("import_schedule",),
    "tuner.jobs.progress": ("Progress",),
    "tuner.local": ("lr_range_test", "tune"),
    "tuner.metric": ("Metric",),
    "tuner.report.report": ("Report",),
    "tuner.schedules": ("GroupRates", "Schedule", "ScheduleLR", "Warmup"),
    "tuner.search.range_test.result": ("RangeTest",),
    "tuner.search.space": ("OptimizerKind", "SearchSpace", "SpacePreset", "TrainingKind", "default_space"),
    "tuner.simulation": ("simulate_study",),
    "tuner.training.data": ("ShuffledBatches", "step_generator"),
    "tuner.training.run": ("RunStopped", "TrainingRun"),
    "tuner.training.stepwise": ("RunFinished",),
    "tuner.training.workload": (
        "DeclaredWorkload",
        "Declaration",
        "OpaqueWorkload",
        "StepwiseTraining",
        "StepwiseWorkload",
        "WorkloadOptions",
    ),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_MODULE_OF)


if not TYPE_CHECKING:  # else type checkers would accept every name

    def __getattr__(name: str) -> Any:
        """Load a public name on first use (PEP 562)."""
        if name == "__version__":
            from importlib.metadata import version

            value: Any = version("schedule-tuner")
        elif name in _MODULE_OF:
            from importlib import import_module

            from tuner.extras import explained

            with explained(user=f"tuner.{name}"):
                value = getattr(import_module(_MODULE_OF[name]), name)
        else:
            raise AttributeError(f"module 'tuner' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
