"""The clients of a soak: they submit jobs through the proxy, again and again with one key until they have a reply."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.soak.site import UPDATE_SECONDS, Site
from tuner.jobs.states import JobState, is_terminal

TOTAL_STEPS = 300
BUDGET = 4
_OPEN_JOBS = 3
_PAUSE_SECONDS = 0.5


@dataclass
class Clients:
    """Keeps some jobs open until it is closed.

    Args:
        site: Whose service gets the jobs.
        seed: Of the first job's search; the next ones follow.
    """

    site: Site
    seed: int
    accepted: list[str] = field(default_factory=list)
    """Ids of the jobs that the service has confirmed."""
    refused: list[str] = field(default_factory=list)
    """Responses that are neither an acceptance nor a sign of an outage."""

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._ended_jobs: set[str] = set()
        self._thread = threading.Thread(target=self._submit_jobs, name="clients", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Submit no more; a submission under way comes to its end."""
        self._ended.set()
        self._thread.join()

    def all_ended(self) -> bool:
        """Whether every job that was confirmed has ended, as far as the service says."""
        return all(self._has_ended(job_id) for job_id in self.accepted)

    def _submit_jobs(self) -> None:
        number = 0
        while not self._is_offered() and not self._ended.wait(_PAUSE_SECONDS):
            pass
        while not self._ended.wait(_PAUSE_SECONDS):
            if self._open_jobs() < _OPEN_JOBS:
                self._submit(number)
                number += 1

    def _submit(self, number: int) -> None:
        """Submit one job. The reply may be lost: it is sent again, with the same key, until one comes."""
        body = {
            "workload": "soak",
            "options": {"seconds": UPDATE_SECONDS, "trace": str(self.site.trace)},
            "search": {"total_steps": TOTAL_STEPS, "budget": BUDGET, "seed": self.seed + number},
        }
        headers = {"Idempotency-Key": f"soak-{self.seed}-{number}"}
        while True:
            status, reply = self._send("POST", "/v1/jobs", json=body, headers=headers)
            if status in {200, 201}:
                self.accepted.append(reply["id"])
                return
            if status is not None and status < 500:
                self.refused.append(str(reply))
                return
            self._ended.wait(_PAUSE_SECONDS)

    def _is_offered(self) -> bool:
        """Whether a worker has announced the workload."""
        status, workloads = self._send("GET", "/v1/workloads")
        return status == 200 and any(one["name"] == "soak" for one in workloads)

    def _open_jobs(self) -> int:
        """Number of jobs that have not ended; many, while nobody says."""
        return sum(not self._has_ended(job_id) for job_id in self.accepted[-2 * _OPEN_JOBS :])

    def _has_ended(self, job_id: str) -> bool:
        if job_id not in self._ended_jobs:
            status, job = self._send("GET", f"/v1/jobs/{job_id}")
            if status == 200 and is_terminal(JobState(job["state"])):
                self._ended_jobs.add(job_id)
        return job_id in self._ended_jobs

    def _send(self, method: str, path: str, **parts: Any) -> tuple[int | None, Any]:
        try:
            with httpx2.Client(base_url=self.site.address, timeout=5) as client:
                response = client.request(method, path, **parts)
                return response.status_code, response.json()
        except (httpx2.HTTPError, ValueError):
            return None, None
