"""Which runs have to stop so that more urgent jobs get devices. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tuner.jobs.records import WorkerRecord
from tuner.jobs.scheduling.fairness import Loads


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a job asks of a worker."""

    team: str
    workload: str
    version: str
    device: str
    """A kind of device, or ``"any"``."""
    devices: int
    memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Demand:
    """An urgent job of which something waits for a device."""

    job_id: str
    seq: int
    """Its place in the order of arrival."""
    rank: int
    needs: Needs
    runs: int
    """How many workers it could use now."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A run that a live worker holds."""

    run_id: str
    team: str
    rank: int
    """Of its job."""
    started_at: float
    worker: str
    stopping: bool
    """It has been told to stop already, or is about to be."""


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A run that has to stop, and for which job."""

    run_id: str
    for_job: str


def suits(needs: Needs, worker: WorkerRecord) -> bool:
    """Whether a worker takes runs of such a job, once it is free."""
    return (
        worker.alive
        and not worker.draining
        and worker.reserved_for in (None, needs.team)
        and worker.workloads.get(needs.workload) == needs.version
        and needs.device in ("any", worker.device_kind.value)
        and needs.devices <= worker.devices
        and (needs.memory_bytes is None or needs.memory_bytes <= (worker.memory_bytes or 0))
    )


def choose_victims(
    demands: Iterable[Demand], *, workers: Sequence[WorkerRecord], held: Sequence[Held], loads: Loads
) -> tuple[Victim, ...]:
    """The runs to stop: no more than there is urgent work that no idle or soon idle worker can take.

    Of the runs on workers that suit, one of the lowest class goes first; of those, one of the team that has had most
    for its weight; of those, the youngest.

    Args:
        demands: What waits.
        workers: All that there are.
        held: What they hold.
        loads: What the teams have had.
    """
    by_name = {worker.name: worker for worker in workers}
    busy = {run.worker for run in held}
    # The least that will do first: what can do more is left for who needs it.
    idle = sorted((worker for worker in workers if worker.name not in busy), key=_what_it_can_do)
    ending = [run for run in held if run.stopping]
    others = sorted(
        (run for run in held if not run.stopping),
        key=lambda run: (run.rank, -loads.weighed(run.team), -run.started_at, run.run_id),
    )
    victims: list[Victim] = []
    for demand in sorted(demands, key=lambda demand: (-demand.rank, demand.seq)):
        for _ in range(demand.runs):
            free = next((worker for worker in idle if suits(demand.needs, worker)), None)
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


def _on_suitable(run: Held, demand: Demand, workers: dict[str, WorkerRecord]) -> bool:
    return run.worker in workers and suits(demand.needs, workers[run.worker])


def _what_it_can_do(worker: WorkerRecord) -> tuple[bool, int, float, str]:
    memory = -math.inf if worker.memory_bytes is None else worker.memory_bytes
    return (worker.reserved_for is None, worker.devices, memory, worker.name)
