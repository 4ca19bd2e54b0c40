"""Why no worker can train a job now, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.jobs.records import WorkerRecord
from tuner.jobs.scheduling.preemption import Needs, fits, fits_when_serving


def obstacle(needs: Needs, *, workers: Sequence[WorkerRecord]) -> str | None:
    """Why no present worker will train such a job.

    Args:
        needs: Of the job.
        workers: All workers.

    Returns:
        ``None`` where one can, once it is free.
    """
    if any(fits(needs, worker) for worker in workers):
        return None
    draining = [worker.name for worker in workers if worker.draining and fits_when_serving(needs, worker)]
    if draining:
        named = f"worker {draining[0]}" if len(draining) == 1 else f"{len(draining)} workers"
        verb = "is draining: it takes" if len(draining) == 1 else "are draining: they take"
        return f"{named} could train it, but {verb} no further run"
    alive = [worker for worker in workers if worker.alive]
    offering = [worker for worker in alive if worker.workloads.get(needs.workload) == needs.version]
    if not offering:
        return f"no live worker offers {needs.workload} in version {needs.version}{_other_versions(needs, alive)}"
    if all(worker.reserved_for not in (None, needs.team) for worker in offering):
        return f"every worker that offers {needs.workload} is reserved for another team"
    return f"no live worker that offers {needs.workload} has {_described(needs)}"


def _other_versions(needs: Needs, alive: Sequence[WorkerRecord]) -> str:
    versions = sorted({worker.workloads[needs.workload] for worker in alive if needs.workload in worker.workloads})
    return f", only in version {', '.join(versions)}: clone the job to train it with that" if versions else ""


def _described(needs: Needs) -> str:
    kind = "" if needs.device == "any" else f"{needs.device} "
    devices = f"{needs.devices} {kind}device{'s' if needs.devices > 1 else ''}"
    memory = "" if needs.memory_bytes is None else f" with {needs.memory_bytes / 2**30:g} GiB"
    return f"{devices}{memory} for its team"
