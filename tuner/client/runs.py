"""Runs: one training each, with its curve and what its code printed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from tuner.client.answers import RunLog
from tuner.client.errors import ServiceUnreachable
from tuner.client.transport import Transport, given, part, read
from tuner.jobs.records import CurvePoint, LogChunk, RunRecord

_FOLLOW_SECONDS = 1.0


class RunCalls:
    """The requests that are about runs; part of `tuner.client.Client`."""

    _http: Transport

    def run(self, run_id: str) -> RunRecord:
        """One run."""
        return self._http.get(RunRecord, f"/v1/runs/{part(run_id)}")

    def curve(self, run_id: str, *, points: int | None = None) -> tuple[CurvePoint, ...]:
        """A run's evaluations so far, by step. A validation loss that was not finite is NaN.

        Args:
            run_id: The run.
            points: At most so many; all when absent.
        """
        query = given({"points": points})
        plain: list[dict[str, Any]] = self._http.ask("GET", f"/v1/runs/{part(run_id)}/curve", params=query).json()
        return tuple(
            CurvePoint(**point | {"val_loss": math.nan if point["val_loss"] is None else point["val_loss"]})
            for point in plain
        )

    def log(self, run_id: str, *, after: int | None = None) -> RunLog:
        """A piece of what a run's code printed.

        Args:
            run_id: The run.
            after: ``next`` of the piece before; the beginning when absent.
        """
        return read(RunLog, self._http.ask("GET", f"/v1/runs/{part(run_id)}/log", params=given({"after": after})))

    def log_chunks(
        self, run_id: str, *, after: int | None = None, follow: bool = False, patience: float = 60.0
    ) -> Iterator[LogChunk]:
        """What a run's code printed.

        Args:
            run_id: The run.
            after: ``seq`` of the last piece already seen; the beginning when absent.
            follow: Whether to wait for more until the run is over, over a restart of the service too.
            patience: Seconds without any service after which to give up following.

        Raises:
            ServiceUnreachable: No service answered, for so long when following.
        """
        heard_at = time.monotonic()
        while True:
            try:
                piece = self.log(run_id, after=after)
            except ServiceUnreachable:
                if not follow or time.monotonic() - heard_at > patience:
                    raise
                time.sleep(_FOLLOW_SECONDS)
                continue
            yield from piece.chunks
            heard_at = time.monotonic()
            after = piece.next
            if piece.complete or not (piece.chunks or follow):
                return
            if not piece.chunks:
                time.sleep(_FOLLOW_SECONDS)
