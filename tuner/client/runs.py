"""Runs, their curves and their logs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tuner.api.runs import CurveSample, RunLog, RunView
from tuner.client.errors import ServiceUnreachable
from tuner.client.transport import Transport, path_segment, read, without_none
from tuner.jobs.records import LogChunk

_FOLLOW_SECONDS = 1.0


class RunsApi:
    """Requests about runs; part of `tuner.client.Client`."""

    _http: Transport

    def run(self, run_id: str) -> RunView:
        """One run."""
        return self._http.get(RunView, f"/v1/runs/{path_segment(run_id)}")

    def find_runs(self, start: str) -> tuple[RunView, ...]:
        """The runs that the caller may see whose ids begin with a text, the newest first; ten at most.

        Args:
            start: The text, of four characters at least.
        """
        return self._http.get(tuple[RunView, ...], "/v1/runs", params={"id": start})

    def curve(self, run_id: str, *, points: int | None = None) -> tuple[CurveSample, ...]:
        """A run's evaluations so far, by step. A value that was not finite is ``None``.

        Args:
            run_id: The run.
            points: At most this many; all when absent.
        """
        query = without_none({"points": points})
        return self._http.get(tuple[CurveSample, ...], f"/v1/runs/{path_segment(run_id)}/curve", params=query)

    def log(self, run_id: str, *, after: int | None = None) -> RunLog:
        """A part of a run's log.

        Args:
            run_id: The run.
            after: ``next`` of the previous part; the start of the log when absent.
        """
        return read(
            RunLog,
            self._http.request("GET", f"/v1/runs/{path_segment(run_id)}/log", params=without_none({"after": after})),
        )

    def log_chunks(
        self, run_id: str, *, after: int | None = None, follow: bool = False, patience: float = 60.0
    ) -> Iterator[LogChunk]:
        """The chunks of a run's log.

        Args:
            run_id: The run.
            after: ``seq`` of the last chunk received; the start of the log when absent.
            follow: Whether to wait for more until the run has ended, even over a restart of the service.
            patience: Seconds without a service after which to stop following.

        Raises:
            ServiceUnreachable: No service responded; when following, for so long.
        """
        responded_at = time.monotonic()
        while True:
            try:
                log = self.log(run_id, after=after)
            except ServiceUnreachable:
                if not follow or time.monotonic() - responded_at > patience:
                    raise
                time.sleep(_FOLLOW_SECONDS)
                continue
            yield from log.chunks
            responded_at = time.monotonic()
            after = log.next
            if log.complete or not (log.chunks or follow):
                return
            if not log.chunks:
                time.sleep(_FOLLOW_SECONDS)
