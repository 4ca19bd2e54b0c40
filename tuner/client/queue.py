"""Workers, what they offer, and the queue that they take their work from."""

from __future__ import annotations

from typing import Any

from tuner.client.answers import Queue
from tuner.client.transport import Keep, Transport, part
from tuner.jobs.records import QueueEntry, TeamShare, WorkerRecord, WorkloadInfo


class QueueCalls:
    """The requests that are about workers and the queue; part of `tuner.client.Client`."""

    _http: Transport

    def workloads(self) -> tuple[WorkloadInfo, ...]:
        """What can be tuned."""
        return self._http.get(tuple[WorkloadInfo, ...], "/v1/workloads")

    def workload(self, name: str) -> WorkloadInfo:
        """One workload."""
        return self._http.get(WorkloadInfo, f"/v1/workloads/{part(name)}")

    def workers(self) -> tuple[WorkerRecord, ...]:
        """Who trains."""
        return self._http.get(tuple[WorkerRecord, ...], "/v1/workers")

    def worker(self, name: str) -> WorkerRecord:
        """One worker."""
        return self._http.get(WorkerRecord, f"/v1/workers/{part(name)}")

    def set_worker(
        self, name: str, *, draining: bool | None = None, reserved_for: str | Keep | None = Keep.KEEP
    ) -> WorkerRecord:
        """Change what a worker takes.

        Args:
            name: The worker.
            draining: Whether it ends the run that it has and takes no further one.
            reserved_for: The only team whose jobs it takes; ``None`` for everybody's.
        """
        change: dict[str, Any] = {} if draining is None else {"draining": draining}
        if reserved_for is not Keep.KEEP:
            change["reserved_for"] = reserved_for
        return self._http.send(WorkerRecord, "PATCH", f"/v1/workers/{part(name)}", body=change)

    def forget_worker(self, name: str) -> None:
        """Take a worker that is gone off the list."""
        self._http.ask("DELETE", f"/v1/workers/{part(name)}")

    def queue(self) -> tuple[QueueEntry, ...]:
        """The open jobs that may be seen, in the order in which it is their turn, with the reason for each."""
        return self._http.get(Queue, "/v1/queue").items

    def shares(self) -> tuple[TeamShare, ...]:
        """What each team has had of the devices lately, against its weight."""
        return self._http.get(tuple[TeamShare, ...], "/v1/queue/shares")
