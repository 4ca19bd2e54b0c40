"""Weighted fair share: the order in which the jobs of the teams are served. Pure.

A priority class is served before every lower one. Within a class, the team with the least device time for its weight
comes first; within the team, the user with the least; then the oldest job.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNMEASURED_SECONDS = 60.0
"""Expected time of a run on each device while its pace is not measured."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user who submits for a team: device time is counted per account."""

    team: str
    owner: str


@dataclass(frozen=True, kw_only=True)
class WaitingJob:
    """A job with a run or its planning waiting for a device."""

    seq: int
    """Its number in the order of creation; identifies it."""
    rank: int
    """Of its priority class; the greatest is served first."""
    account: Account
    expected_seconds: float = UNMEASURED_SECONDS
    """Expected device time of its next run."""


class Loads:
    """Device time of accounts: used, and expected of their leased runs.

    Args:
        seconds: By account; 0 for those not in it.
        weights: By team, above 0; 1 for those not in it.
    """

    def __init__(self, seconds: Mapping[Account, float], *, weights: Mapping[str, float]) -> None:
        self._by_account = dict(seconds)
        self._weights = weights
        self._by_team: defaultdict[str, float] = defaultdict(float)
        for account, used in seconds.items():
            self._by_team[account.team] += used

    def of_team(self, team: str) -> float:
        """Device seconds of a team."""
        return self._by_team.get(team, 0.0)

    def per_weight(self, team: str) -> float:
        """Device seconds of a team divided by its weight: the least is served first."""
        return self.of_team(team) / self.weight(team)

    def of_account(self, account: Account) -> float:
        """Device seconds of an account."""
        return self._by_account.get(account, 0.0)

    def weight(self, team: str) -> float:
        """A team's weight."""
        return self._weights.get(team, 1.0)

    def plus(self, more: Mapping[Account, float]) -> Loads:
        """The loads after these accounts have used so many more seconds."""
        accounts = self._by_account.keys() | more.keys()
        return Loads(
            {account: self.of_account(account) + more.get(account, 0.0) for account in accounts}, weights=self._weights
        )


def serving_order(waiting: Iterable[WaitingJob], *, loads: Loads) -> list[WaitingJob]:
    """Jobs in the order in which the next free device is offered to them, under the present loads."""
    return sorted(
        waiting, key=lambda job: (-job.rank, loads.per_weight(job.account.team), loads.of_account(job.account), job.seq)
    )


def queue_order(waiting: Iterable[WaitingJob], *, loads: Loads) -> list[WaitingJob]:
    """Jobs in the order in which free devices will serve them, one run for each.

    Every served job adds to the load of its account, so that teams alternate. The first is the first of
    `serving_order`.
    """
    classes: defaultdict[int, list[WaitingJob]] = defaultdict(list)
    for job in waiting:
        classes[job.rank].append(job)
    order: list[WaitingJob] = []
    for rank in sorted(classes, reverse=True):
        served = _class_order(classes[rank], loads=loads)
        order.extend(served)
        more: defaultdict[Account, float] = defaultdict(float)
        for job in served:
            more[job.account] += job.expected_seconds
        loads = loads.plus(more)
    return order


def _class_order(jobs: Iterable[WaitingJob], *, loads: Loads) -> list[WaitingJob]:
    """The order of `queue_order` within one class."""
    queues: defaultdict[str, dict[str, deque[WaitingJob]]] = defaultdict(dict)
    for job in sorted(jobs, key=lambda job: job.seq):
        queues[job.account.team].setdefault(job.account.owner, deque()).append(job)
    # Two levels of heaps: the users of each team by their load, and the teams by their load per weight.
    users = {
        team: [
            (loads.of_account(Account(team=team, owner=owner)), queue[0].seq, owner)
            for owner, queue in by_owner.items()
        ]
        for team, by_owner in queues.items()
    }
    used = {team: loads.of_team(team) for team in queues}
    teams = []
    for team, line in users.items():
        heapq.heapify(line)
        teams.append((loads.per_weight(team), *line[0][:2], team))
    heapq.heapify(teams)
    order: list[WaitingJob] = []
    while teams:
        *_, team = heapq.heappop(teams)
        load, _, owner = heapq.heappop(users[team])
        queue = queues[team][owner]
        job = queue.popleft()
        order.append(job)
        used[team] += job.expected_seconds
        if queue:
            heapq.heappush(users[team], (load + job.expected_seconds, queue[0].seq, owner))
        if users[team]:
            heapq.heappush(teams, (used[team] / loads.weight(team), *users[team][0][:2], team))
    return order
