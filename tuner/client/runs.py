"""Runs: one training each, with its curve and what its code printed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from tuner.client.answers import RunLog
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

    def log_chunks(self, run_id: str, *, follow: bool = False) -> Iterator[LogChunk]:
        """What a run's code printed, from the beginning.

        Args:
            run_id: The run.
            follow: Whether to wait for more until the run is over.
        """
        after: int | None = None
        while True:
            piece = self.log(run_id, after=after)
            yield from piece.chunks
            after = piece.next
            if piece.complete or not (piece.chunks or follow):
                return
            if not piece.chunks:
                time.sleep(_FOLLOW_SECONDS)
