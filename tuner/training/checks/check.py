"""Tries a workload for a few updates, rule by rule."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch

from tuner.errors import TunerError
from tuner.jobs.admission.admit import complete_options
from tuner.jobs.records import Level, WorkloadInfo
from tuner.schedules import Schedule
from tuner.search.space import default_space
from tuner.training.checks.findings import CheckReport, Findings, Mark
from tuner.training.checks.opaque import check_opaque
from tuner.training.checks.process_end import ProcessEnd, recorded_process_ends
from tuner.training.checks.stepwise import check_stepwise
from tuner.training.checks.watch import SILENCE_SECONDS, TIME_SECONDS, TrainsOn, Watch
from tuner.training.devices import deterministic_algorithms, free_memory, resolve_device
from tuner.training.options import parse_options
from tuner.training.randomness import preserve_random_state
from tuner.training.workload import OpaqueWorkload, StepwiseWorkload, Workload, describe

DEFAULT_STEPS = 20
_ADVICE = {
    Level.DECLARED: "the highest level: its runs are branched from snapshots, and the loop is the engine's",
    Level.STEPWISE: "its runs can be branched from snapshots; 'declared' would leave the loop to the engine as well",
    Level.OPAQUE: "every run is trained whole; 'stepwise' (train_step, validate, state_dict, load_state_dict) would "
    "let runs share the updates that they have in common, and resume an interrupted run from its last snapshot",
}


def check(
    workload: Workload,
    *,
    options: Mapping[str, Any],
    device: str,
    steps: int = DEFAULT_STEPS,
    time_seconds: float = TIME_SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
    on_progress: Callable[[str], None] = lambda _: None,
) -> CheckReport:
    """Find out whether a workload keeps the contract. It is trained several times for a few updates.

    Args:
        workload: To be tried.
        options: Missing ones take their defaults.
        device: As torch names it.
        steps: Updates of one try, at least 10.
        time_seconds: How long the trainings may take together; rules that there is no time for are left out.
        silence_seconds: How long a training may go without an update or a report; then it is ended.
        on_progress: Called with a line when a training begins, and at its reports.

    Returns:
        The result of every rule; an error of the workload is a broken rule.

    Raises:
        WorkloadError: It does not describe itself as it must.
        InvalidValue: There is no such option or device, or an option's value is refused.
    """
    info = describe(workload)
    chosen = parse_options(workload.Options, complete_options(options, info=info))
    where = resolve_device(device)
    schedule = _schedule(info, options=chosen)
    findings = Findings()
    declared = len(info.options_schema.get("properties", {}))
    findings.add("description", Mark.OK, f"{info.name} version {info.version}, {declared} option(s)")
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    seconds: float | None = None
    process_ends: list[str] = []
    try:
        with (
            recorded_process_ends() as process_ends,
            deterministic_algorithms(where, threads=None),
            preserve_random_state(where),
            Watch(time_seconds=time_seconds, silence_seconds=silence_seconds, on_progress=on_progress) as watch,
        ):
            if isinstance(workload, OpaqueWorkload):
                seconds = check_opaque(
                    workload, chosen, schedule=schedule, steps=steps, device=where, findings=findings, watch=watch
                )
            elif isinstance(workload, StepwiseWorkload):
                seconds = check_stepwise(
                    workload, chosen, schedule=schedule, steps=steps, device=where, findings=findings, watch=watch
                )
    except KeyboardInterrupt:
        raise
    except TrainsOn as error:
        findings.add("end", Mark.BROKEN, str(error))
    except ProcessEnd:
        pass  # recorded
    except BaseException as error:
        findings.add("runs", Mark.BROKEN, _reason(error))
    if process_ends:
        findings.add("end", Mark.BROKEN, process_ends[0])
    memory = torch.cuda.max_memory_allocated(where) if where.type == "cuda" else None
    free_memory(where)
    return CheckReport(
        info=info,
        device=str(where),
        findings=tuple(findings.found),
        seconds_per_update=seconds,
        device_memory_bytes=memory,
        advice=_ADVICE[workload.level],
    )


def _reason(error: BaseException) -> str:
    """The message of an error of ours, which needs no place; of any other, its last frame, too."""
    if isinstance(error, TunerError):
        return str(error)
    last = "".join(traceback.format_exception(error)[-2:]).strip().replace("\n", " | ")
    return last[-500:]


def _schedule(info: WorkloadInfo, *, options: Any) -> Schedule:
    """A schedule that changes with every update, from the tame end of where the workload would be searched."""
    kind = info.optimizer
    if info.optimizer_option is not None:
        kind = getattr(options, info.optimizer_option)
    space = default_space(kind, training=info.training, peak_lr=info.peak_lr.get(kind))
    peak = float(space.peak_lr.low**0.75 * space.peak_lr.high**0.25)
    warmup = {"shape": "linear", "updates": 3}
    return Schedule.model_validate({"peak_lr": peak, "warmup": warmup, "family": {"name": "linear"}})
