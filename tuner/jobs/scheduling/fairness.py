"""Whose turn it is: the order in which the teams' jobs get devices. Pure.

A class of urgency goes before every lower one. Within a class the team goes first that has had the least device time
for its weight, within the team the user who has had the least, then the oldest job.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNMEASURED_SECONDS = 60.0
"""Time that a run is expected to take on each device while nobody knows better."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user who submits for a team: what device time is counted for."""

    team: str
    owner: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A job of which something waits for a device."""

    seq: int
    """Its place in the order of arrival, and what it is known by."""
    rank: int
    """Of its class; greater goes first."""
    account: Account
    expected_seconds: float = UNMEASURED_SECONDS
    """Device time that its next run is expected to take."""


class Loads:
    """Device time that accounts have had, with what their running runs are expected to take.

    Args:
        seconds: By account; those not in it have had none.
        weights: By team, above 0; 1 for those not in it.
    """

    def __init__(self, seconds: Mapping[Account, float], *, weights: Mapping[str, float]) -> None:
        self._by_account = dict(seconds)
        self._weights = weights
        self._by_team: defaultdict[str, float] = defaultdict(float)
        for account, had in seconds.items():
            self._by_team[account.team] += had

    def of_team(self, team: str) -> float:
        """Device seconds."""
        return self._by_team.get(team, 0.0)

    def weighed(self, team: str) -> float:
        """Device seconds for each unit of the team's weight: the least goes first."""
        return self.of_team(team) / self.weight(team)

    def of(self, account: Account) -> float:
        """Device seconds."""
        return self._by_account.get(account, 0.0)

    def weight(self, team: str) -> float:
        """A team's weight."""
        return self._weights.get(team, 1.0)

    def with_more(self, more: Mapping[Account, float]) -> Loads:
        """The loads once these accounts have had so many seconds more."""
        accounts = self._by_account.keys() | more.keys()
        return Loads(
            {account: self.of(account) + more.get(account, 0.0) for account in accounts}, weights=self._weights
        )


def by_turn(waiting: Iterable[Waiting], *, loads: Loads) -> list[Waiting]:
    """Jobs in the order in which the next free device is offered to them, as the loads are now."""
    return sorted(waiting, key=lambda job: (-job.rank, loads.weighed(job.account.team), loads.of(job.account), job.seq))


def queue_order(waiting: Iterable[Waiting], *, loads: Loads) -> list[Waiting]:
    """Jobs in the order in which free devices will come to them, one run for each.

    Every turn adds to the load of its account, so that teams take turns. The first is the first of `by_turn`.
    """
    classes: defaultdict[int, list[Waiting]] = defaultdict(list)
    for job in waiting:
        classes[job.rank].append(job)
    order: list[Waiting] = []
    for rank in sorted(classes, reverse=True):
        served = _class_order(classes[rank], loads=loads)
        order.extend(served)
        more: defaultdict[Account, float] = defaultdict(float)
        for job in served:
            more[job.account] += job.expected_seconds
        loads = loads.with_more(more)
    return order


def _class_order(jobs: Iterable[Waiting], *, loads: Loads) -> list[Waiting]:
    """The order of `queue_order` within one class."""
    queues: defaultdict[str, dict[str, deque[Waiting]]] = defaultdict(dict)
    for job in sorted(jobs, key=lambda job: job.seq):
        queues[job.account.team].setdefault(job.account.owner, deque()).append(job)
    # Of each team: its users, who has had least first. Of all: the teams, by what the take compares.
    users = {
        team: [(loads.of(Account(team=team, owner=owner)), queue[0].seq, owner) for owner, queue in by_owner.items()]
        for team, by_owner in queues.items()
    }
    had = {team: loads.of_team(team) for team in queues}
    teams = []
    for team, line in users.items():
        heapq.heapify(line)
        teams.append((loads.weighed(team), *line[0][:2], team))
    heapq.heapify(teams)
    order: list[Waiting] = []
    while teams:
        *_, team = heapq.heappop(teams)
        load, _, owner = heapq.heappop(users[team])
        queue = queues[team][owner]
        job = queue.popleft()
        order.append(job)
        had[team] += job.expected_seconds
        if queue:
            heapq.heappush(users[team], (load + job.expected_seconds, queue[0].seq, owner))
        if users[team]:
            heapq.heappush(teams, (had[team] / loads.weight(team), *users[team][0][:2], team))
    return order
