"""Workers, and the workloads that they offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuner.client.transport import Transport, path_segment
from tuner.errors import MISSING, Missing
from tuner.jobs.records import WorkerRecord

if TYPE_CHECKING:
    from tuner.api.workloads import WorkloadView


class WorkersApi:
    """Requests about workers and workloads; part of `tuner.client.Client`."""

    _http: Transport

    def workloads(self) -> tuple[WorkloadView, ...]:
        """The workloads that the workers offer."""
        from tuner.api.workloads import WorkloadView

        return self._http.get(tuple[WorkloadView, ...], "/v1/workloads")

    def workload(self, name: str) -> WorkloadView:
        """One workload."""
        from tuner.api.workloads import WorkloadView

        return self._http.get(WorkloadView, f"/v1/workloads/{path_segment(name)}")

    def workers(self) -> tuple[WorkerRecord, ...]:
        """The workers."""
        return self._http.get(tuple[WorkerRecord, ...], "/v1/workers")

    def worker(self, name: str) -> WorkerRecord:
        """One worker."""
        return self._http.get(WorkerRecord, f"/v1/workers/{path_segment(name)}")

    def set_worker(
        self, name: str, *, draining: bool | None = None, reserved_for: str | Missing | None = MISSING
    ) -> WorkerRecord:
        """Change a worker's settings.

        Args:
            name: The worker.
            draining: Whether it finishes its current run and claims no further one.
            reserved_for: The only team whose jobs it runs; ``None`` for every team's.
        """
        change: dict[str, Any] = {} if draining is None else {"draining": draining}
        if not isinstance(reserved_for, Missing):
            change["reserved_for"] = reserved_for
        return self._http.send(WorkerRecord, "PATCH", f"/v1/workers/{path_segment(name)}", body=change)

    def forget_worker(self, name: str) -> None:
        """Remove a worker that has ended from the list."""
        self._http.request("DELETE", f"/v1/workers/{path_segment(name)}")
