"""The queue and the teams' fair shares."""

from __future__ import annotations

from tuner.api.queue import QueueView
from tuner.client.transport import Transport
from tuner.jobs.records import QueueEntry, TeamShare


class QueueApi:
    """Requests about the queue; part of `tuner.client.Client`."""

    _http: Transport

    def queue(self) -> tuple[QueueEntry, ...]:
        """The open jobs that the caller may see in queue order, with the reason for each position."""
        return self._http.get(QueueView, "/v1/queue").items

    def shares(self) -> tuple[TeamShare, ...]:
        """The recent device time of each team, and its weight."""
        return self._http.get(tuple[TeamShare, ...], "/v1/queue/shares")
