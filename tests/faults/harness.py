"""Real workers over a real database, for the tests that kill them: started, watched and cleared away."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.store.builders import announce, claim_lock, offer
from tuner.jobs.priority import Priority
from tuner.jobs.records import NewRun, RunRecord, WorkloadInfo
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import is_terminal
from tuner.schedules import Constant, Schedule
from tuner.search.configuration import Configuration
from tuner.search.settings import SearchSettings
from tuner.search.space import default_space
from tuner.store import Store
from tuner.training.protocol import Directive, Ended, Train
from tuner.training.runner.execute import execute

PATIENCE_SECONDS = 60.0
_PF_EXITING = 0x4
"""In the flags of a process that runs no code of its own any more (the kernel's sched.h)."""
SCHEDULE = Schedule(peak_lr=0.05, family=Constant())
WORKLOADS = tuple(f"tests.faults.fault_workloads:{name}" for name in ("Gated", "Hostile", "Hopeless"))


def wait_until(condition: Callable[[], Any], *, what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Poll a condition until it gives something true; fail, saying what was waited for, when it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s in vain: {what}")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that the kernel is ending, or that nobody has reaped yet, does not."""
    try:
        state, *_, flags = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:7]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX" and not int(flags) & _PF_EXITING


@dataclass
class Gate:
    """Holds a run of the workload ``gated`` before one update."""

    folder: Path
    at_step: int

    @property
    def options(self) -> dict[str, Any]:
        return {"gate": str(self.folder), "at_step": self.at_step}

    def wait_for_runner(self) -> int:
        """Wait until a runner stands before the gate; its process."""
        waiting = self.folder / "waiting"
        return wait_until(lambda: waiting.exists() and int(waiting.read_text() or 0), what="a runner at the gate")

    def open(self) -> None:
        (self.folder / "open").touch()

    def move(self, step: int) -> None:
        """Hold the next runner that comes before another update, once the one that is held is dead."""
        (self.folder / "waiting").unlink(missing_ok=True)
        (self.folder / "at.new").write_text(str(step))
        (self.folder / "at.new").rename(self.folder / "at")

    def steps_by_process(self) -> dict[int, list[int]]:
        """The updates that were made, by process, in order of the processes."""
        steps: dict[int, list[int]] = {}
        for line in (self.folder / "trace").read_text().splitlines():
            pid, step = map(int, line.split())
            steps.setdefault(pid, []).append(step)
        return steps


class Site:
    """A database with a data folder, and the workers on it."""

    def __init__(
        self, folder: Path, *, infos: tuple[WorkloadInfo, ...], url: str | None = None, worker_url: str | None = None
    ) -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder / 'tuner.db'}"
        self.worker_url = worker_url or self.url
        self.store = Store.open(self.url)
        self.workers: list[WorkerProcess] = []
        announce(self.store, "setting-up", device="cpu", workloads=infos)
        self.store.workers.retire("setting-up")

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.store.close()

    def worker(self, name: str = "w1", **settings: object) -> WorkerProcess:
        """Start a worker."""
        worker = WorkerProcess(self, name=name, settings={"workloads": ",".join(WORKLOADS), **settings})
        self.workers.append(worker)
        return worker

    def enqueue(
        self,
        workload: str,
        *,
        options: Mapping[str, Any],
        total_steps: int = 60,
        seed: int = 1,
        priority: Priority = Priority.NORMAL,
        schedule: Schedule = SCHEDULE,
    ) -> str:
        """Queue one run of a job of its own, and keep the study lock, so that nobody plans more; the run's id."""
        info = self.store.workers.workload(workload)
        search = SearchSettings(total_steps=total_steps, trials=1, space=default_space(info.optimizer))
        spec = JobSpec(workload=workload, options=dict(options), search=search, priority=priority)
        asked = offer("test", workloads={workload: info.version})
        while True:
            job = self.store.jobs.submit(spec)
            lock = claim_lock(self.store, asked, seconds=3600)
            if lock is not None and lock.job_id == job.id:
                break
            self.store.jobs.cancel(job.id, reason="an idle worker was quicker to plan it")
        self.store.planning.start_job(lock)
        run = NewRun(seed=seed, total_steps=total_steps, schedule=schedule, reason="a test wants it")
        self.store.planning.add_trial(
            lock,
            number=0,
            role=None,
            configuration=Configuration(schedule=schedule),
            reason=run.reason,
            run=run,
        )
        return self.store.planning.load(lock.job_id).runs[0].id

    def run(self, run_id: str) -> RunRecord:
        return self.store.runs.get(run_id)

    def wait_over(self, run_id: str, *, seconds: float = PATIENCE_SECONDS) -> RunRecord:
        """Wait until a run is over."""

        def over() -> RunRecord | None:
            run = self.run(run_id)
            return run if is_terminal(run.state) else None

        return wait_until(over, what=f"the end of run {run_id}", seconds=seconds)

    def wait_snapshot(self, run_id: str, *, step: int) -> None:
        """Wait until the database knows of a snapshot at an update."""
        wait_until(
            lambda: self.sql("SELECT 1 FROM tuner_snapshots WHERE run_id = ? AND step = ?", run_id, step),
            what=f"a snapshot at update {step}",
        )

    def events(self, kind: str, *, run_id: str) -> int:
        """How often something happened to a run."""
        job_id = self.run(run_id).job_id
        events = self.store.events.after(0, job_id=job_id)
        return sum(event.kind == kind and event.data["run"] == run_id for event in events)

    def sql(self, statement: str, *values: object) -> list[Any]:
        """What only somebody with the database's own tools could do."""
        with closing(sqlite3.connect(self.folder / "tuner.db", timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def snapshots_on_disk(self) -> list[str]:
        """The runs that have snapshots."""
        return sorted(path.name for path in (self.folder / "snapshots").glob("*"))


@dataclass
class WorkerProcess:
    """``python -m tuner_worker`` as a child of the test."""

    site: Site
    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    who: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `subprocess.Popen` that say as which user it runs."""
    python: tuple[str, ...] = (sys.executable,)
    """The interpreter, with what is written before it."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = {"snapshot_interval": 0.000001, "poll_interval": 0.05, **self.settings}
        self.log_file = self.site.folder / f"{self.name}.{len(self.site.workers)}.log"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.python, "-m", "tuner_worker", "--name", self.name, "--device", "cpu"],
                env={
                    **os.environ,
                    **{f"TUNER_{name.upper()}": str(value) for name, value in settings.items()},
                    "TUNER_DATABASE_URL": self.site.worker_url,
                    "TUNER_DATA_DIR": str(settings.get("data_dir", self.site.folder)),
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.who,
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, *, seconds: float = PATIENCE_SECONDS) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """What the worker logged under one event name."""
        lines = self.log_file.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [entry for entry in entries if entry["event"] == event]

    def wait_logged(self, event: str) -> dict[str, Any]:
        return wait_until(lambda: self.logged(event), what=f"{event} in {self.log_file}")[-1]


def undisturbed(
    workload: Any,
    *,
    options: Mapping[str, Any] | None = None,
    total_steps: int = 60,
    seed: int = 1,
    folder: Path,
    schedule: Schedule = SCHEDULE,
) -> Ended:
    """Train the run that `Site.enqueue` queues in this process, from start to end."""
    request = Train(
        run_id="undisturbed",
        workload=workload.name,
        options=dict(options or {}),
        schedule=schedule,
        total_steps=total_steps,
        seed=seed,
        snapshot_dir=str(folder / "undisturbed"),
        snapshot_seconds=3600,
    )
    return execute(
        request,
        workloads={workload.name: workload},
        device="cpu",
        on_evaluation=lambda _: Directive(),
        on_snapshot=lambda _: None,
    )


@contextmanager
def site_in(
    folder: Path, *, infos: tuple[WorkloadInfo, ...], url: str | None = None, worker_url: str | None = None
) -> Iterator[Site]:
    """A site that leaves no process behind, over a SQLite database of its own when no other is named.

    Args:
        folder: The data folder.
        infos: Workloads that are announced.
        url: Of the database, for the test.
        worker_url: For the workers; the same when absent.
    """
    site = Site(folder, infos=infos, url=url, worker_url=worker_url)
    try:
        yield site
    finally:
        site.close()
