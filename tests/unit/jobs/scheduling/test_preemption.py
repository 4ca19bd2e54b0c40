"""Which runs stop for urgent jobs, for any fleet and any demand."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuner.devices import DeviceKind
from tuner.jobs.records import WorkerRecord
from tuner.jobs.scheduling.preemption import Demand, HeldRun, Needs, choose_victims, fits
from tuner.jobs.scheduling.serving_order import Account, Loads

NO_LOADS = Loads({}, weights={})


def worker(name: str, **changes: Any) -> WorkerRecord:
    values: dict[str, Any] = {
        "name": name,
        "device": "cuda:0",
        "device_kind": DeviceKind.CUDA,
        "device_model": "A100",
        "devices": 1,
        "memory_bytes": 40 * 2**30,
        "workloads": {"digits": "1"},
        "reserved_for": None,
        "draining": False,
        "runs": (),
        "started_at": 0.0,
        "heartbeat_at": 0.0,
        "alive": True,
    }
    return WorkerRecord(**values | changes)


def needs(**changes: Any) -> Needs:
    values: dict[str, Any] = {
        "team": "vision",
        "workload": "digits",
        "version": "1",
        "device": "any",
        "devices": 1,
        "memory_bytes": None,
    }
    return Needs(**values | changes)


def demand(job_id: str = "urgent", *, seq: int = 1, runs: int = 1, **changes: Any) -> Demand:
    return Demand(job_id=job_id, seq=seq, rank=2, needs=needs(**changes), runs=runs)


def held(run_id: str, *, on: str, **changes: Any) -> HeldRun:
    values: dict[str, Any] = {"team": "text", "rank": 1, "started_at": 0.0, "stopping": False}
    return HeldRun(**{"run_id": run_id, "worker": on} | values | changes)


def chosen(*demands: Demand, workers: list[WorkerRecord], runs: list[HeldRun], loads: Loads = NO_LOADS) -> list[str]:
    return [victim.run_id for victim in choose_victims(demands, workers=workers, held=runs, loads=loads)]


def test_an_idle_worker_is_used_first() -> None:
    workers = [worker("w1"), worker("w2")]
    assert chosen(demand(), workers=workers, runs=[held("a", on="w1")]) == []
    assert chosen(demand(runs=2), workers=workers, runs=[held("a", on="w1")]) == ["a"]


def test_the_lowest_class_stops_first_then_the_team_most_over_its_share_then_the_youngest() -> None:
    workers = [worker(f"w{number}") for number in range(5)]
    runs = [
        held("normal", on="w0"),
        held("old", on="w1", rank=0, team="speech", started_at=1.0),
        held("young", on="w2", rank=0, team="speech", started_at=2.0),
        held("lean", on="w3", rank=0, team="text", started_at=9.0),
        held("high", on="w4", rank=2),
    ]
    had = {Account(team="speech", owner="ada"): 20.0, Account(team="text", owner="ada"): 30.0}
    loads = Loads(had, weights={"text": 2.0})
    assert chosen(demand(runs=9), workers=workers, runs=runs, loads=loads) == ["young", "old", "lean", "normal"]


def test_runs_that_are_stopping_count() -> None:
    workers = [worker("w1"), worker("w2")]
    runs = [held("a", on="w1", stopping=True), held("b", on="w2")]
    assert chosen(demand(), workers=workers, runs=runs) == []
    assert chosen(demand(runs=2), workers=workers, runs=runs) == ["b"]


def test_a_run_stops_only_where_it_helps() -> None:
    workers = [worker("w1", device_kind=DeviceKind.CPU), worker("w2", reserved_for="text"), worker("w3", draining=True)]
    runs = [held("a", on="w1"), held("b", on="w2"), held("c", on="w3"), held("d", on="gone")]
    assert chosen(demand(device="cuda", runs=4), workers=workers, runs=runs) == []


def test_more_capable_idle_workers_stay_free_for_jobs_that_need_them() -> None:
    workers = [worker("big", devices=8), worker("small"), worker("busy", devices=8)]
    demands = [demand("modest", seq=1), demand("greedy", seq=2, devices=8)]
    assert chosen(*demands, workers=workers, runs=[held("a", on="busy")]) == []


def test_memory_that_is_unknown_is_not_enough() -> None:
    assert not fits(needs(memory_bytes=1), worker("w", memory_bytes=None))
    assert fits(needs(memory_bytes=2**30), worker("w", memory_bytes=2**30))


NAMES = [f"w{number}" for number in range(6)]


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Demand], list[WorkerRecord], list[HeldRun]]:
    workers = [
        worker(
            name,
            alive=draw(st.booleans()),
            draining=draw(st.booleans()),
            devices=draw(st.integers(1, 2)),
            reserved_for=draw(st.sampled_from([None, "vision", "text"])),
        )
        for name in NAMES
    ]
    runs = [
        held(
            f"r-{name}",
            on=name,
            rank=draw(st.integers(0, 2)),
            stopping=draw(st.booleans()),
            started_at=draw(st.floats(0, 9)),
        )
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True))
    ]
    demands = [
        demand(f"j{number}", seq=number, runs=draw(st.integers(1, 3)), devices=draw(st.integers(1, 2)))
        for number in range(draw(st.integers(0, 4)))
    ]
    return demands, workers, runs


@given(situations())
def test_no_more_stop_than_wait_and_only_lower_runs_on_workers_that_suit(
    situation: tuple[list[Demand], list[WorkerRecord], list[HeldRun]],
) -> None:
    demands, workers, runs = situation
    by_run = {run.run_id: run for run in runs}
    by_name = {found.name: found for found in workers}
    victims = choose_victims(demands, workers=workers, held=runs, loads=NO_LOADS)
    assert len({victim.run_id for victim in victims}) == len(victims)
    assert len(victims) <= sum(demand.runs for demand in demands)
    for victim in victims:
        run = by_run[victim.run_id]
        (asking,) = (demand for demand in demands if demand.job_id == victim.for_job)
        assert run.rank < asking.rank
        assert not run.stopping
        assert fits(asking.needs, by_name[run.worker])
        assert sum(other.for_job == victim.for_job for other in victims) <= asking.runs


@given(situations())
def test_once_the_victims_stop_no_other_run_is_chosen(
    situation: tuple[list[Demand], list[WorkerRecord], list[HeldRun]],
) -> None:
    demands, workers, runs = situation
    asked = {victim.run_id for victim in choose_victims(demands, workers=workers, held=runs, loads=NO_LOADS)}
    after = [
        held(
            run.run_id,
            on=run.worker,
            rank=run.rank,
            started_at=run.started_at,
            stopping=run.stopping or run.run_id in asked,
        )
        for run in runs
    ]
    again = choose_victims(demands, workers=workers, held=after, loads=NO_LOADS)
    assert len(again) == 0 or len(asked) + len(again) <= sum(demand.runs for demand in demands)
