"""Preemption: which runs must stop so that more urgent jobs get devices. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tuner.jobs.records import WorkerRecord
from tuner.jobs.scheduling.serving_order import Loads


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The requirements of a job on a worker."""

    team: str
    workload: str
    version: str
    device: str
    """A kind of device, or ``"any"``."""
    devices: int
    memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Demand:
    """An urgent job with runs waiting for devices."""

    job_id: str
    seq: int
    """Its number in the order of creation."""
    rank: int
    needs: Needs
    runs: int
    """How many workers it can use now."""


@dataclass(frozen=True, kw_only=True)
class HeldRun:
    """A run that a live worker has leased."""

    run_id: str
    team: str
    rank: int
    """Of its job."""
    started_at: float
    worker: str
    stopping: bool
    """Whether its stop is requested already, or about to be."""


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A run that must stop, and the job that needs its device."""

    run_id: str
    for_job: str


def fits(needs: Needs, worker: WorkerRecord) -> bool:
    """Whether a worker meets the requirements, once it is free."""
    return not worker.draining and fits_when_serving(needs, worker)


def fits_when_serving(needs: Needs, worker: WorkerRecord) -> bool:
    """Whether a worker would meet the requirements if it were not draining."""
    return (
        worker.alive
        and worker.reserved_for in (None, needs.team)
        and worker.workloads.get(needs.workload) == needs.version
        and needs.device in ("any", worker.device_kind.value)
        and needs.devices <= worker.devices
        and (needs.memory_bytes is None or needs.memory_bytes <= (worker.memory_bytes or 0))
    )


def choose_victims(
    demands: Iterable[Demand], *, workers: Sequence[WorkerRecord], held: Sequence[HeldRun], loads: Loads
) -> tuple[Victim, ...]:
    """The runs to stop: no more than there is urgent work that no idle or soon idle worker can run.

    Of the runs on fitting workers, those of the lowest class stop first; of those, runs of the team with the most
    device time for its weight; of those, the latest started.

    Args:
        demands: The waiting urgent jobs.
        workers: All workers.
        held: Their leased runs.
        loads: The device time of the teams.
    """
    by_name = {worker.name: worker for worker in workers}
    busy = {run.worker for run in held}
    # The least capable worker first, so that the more capable ones stay free for greater demands.
    idle = sorted((worker for worker in workers if worker.name not in busy), key=_capability)
    ending = [run for run in held if run.stopping]
    others = sorted(
        (run for run in held if not run.stopping),
        key=lambda run: (run.rank, -loads.per_weight(run.team), -run.started_at, run.run_id),
    )
    victims: list[Victim] = []
    for demand in sorted(demands, key=lambda demand: (-demand.rank, demand.seq)):
        for _ in range(demand.runs):
            free = next((worker for worker in idle if fits(demand.needs, worker)), None)
            if free is not None:
                idle.remove(free)
                continue
            soon = next((run for run in ending if _on_suitable(run, demand, by_name)), None)
            if soon is not None:
                ending.remove(soon)
                continue
            victim = next(
                (run for run in others if run.rank < demand.rank and _on_suitable(run, demand, by_name)), None
            )
            if victim is None:
                break
            others.remove(victim)
            victims.append(Victim(run_id=victim.run_id, for_job=demand.job_id))
    return tuple(victims)


def _on_suitable(run: HeldRun, demand: Demand, workers: dict[str, WorkerRecord]) -> bool:
    return run.worker in workers and fits(demand.needs, workers[run.worker])


def _capability(worker: WorkerRecord) -> tuple[bool, int, float, str]:
    memory = -math.inf if worker.memory_bytes is None else worker.memory_bytes
    return (worker.reserved_for is None, worker.devices, memory, worker.name)
