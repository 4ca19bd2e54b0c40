"""Fair share: the device time that accounts have used, and the limits that block their runs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from tuner.jobs.limits import HOUR_SECONDS
from tuner.jobs.scheduling.serving_order import Account, Loads
from tuner.jobs.states import RunState
from tuner.people.records import TeamSettings
from tuner.store.accounting.usage import WINDOW_HOURS, first_hour_of_month, hour_of, usage_since
from tuner.store.db.models import Job, Run, Team, Usage

_USED_BY_ACCOUNT = (
    select(Usage.team, Usage.owner, func.sum(Usage.device_seconds))
    .where(Usage.hour > bindparam("since"))
    .group_by(Usage.team, Usage.owner)
)
_LEASED_BY_ACCOUNT = (
    select(Job.team, Job.owner, func.count(), func.sum(func.coalesce(Run.expected_seconds, 0.0)))
    .join(Run, Run.job_id == Job.id)
    .where(Run.state == RunState.LEASED)
    .group_by(Job.team, Job.owner)
)
_TEAMS = select(Team.name, Team.settings)


class FairShare:
    """The loads and limits of the teams as one transaction sees them, read on first use.

    Args:
        session: Of the transaction.
        now: By the database's clock.
    """

    def __init__(self, session: Session, *, now: float) -> None:
        self._session = session
        self._now = now
        self._month = first_hour_of_month(now)
        self._used: dict[str, dict[str, float]] = {}
        self.settings = {name: TeamSettings.model_validate(settings) for name, settings in session.execute(_TEAMS)}

    @cached_property
    def running(self) -> Mapping[Account, int]:
        """Leased runs by account."""
        return {account: runs for account, (runs, _) in self._leased.items()}

    @cached_property
    def loads(self) -> Loads:
        """Device time of each account: used in the window, and expected of its leased runs."""
        seconds = defaultdict[Account, float](float)
        for team, owner, used in self._session.execute(_USED_BY_ACCOUNT, {"since": hour_of(self._now) - WINDOW_HOURS}):
            seconds[Account(team=team, owner=owner)] += used
        for account, (_, expected) in self._leased.items():
            seconds[account] += expected
        return Loads(seconds, weights={name: settings.weight for name, settings in self.settings.items()})

    @cached_property
    def _leased(self) -> dict[Account, tuple[int, float]]:
        return {
            Account(team=team, owner=owner): (runs, expected)
            for team, owner, runs, expected in self._session.execute(_LEASED_BY_ACCOUNT)
        }

    def settings_of(self, team: str) -> TeamSettings:
        """A team's settings; the defaults where none are stored."""
        return self.settings.get(team) or TeamSettings()

    def running_of(self, team: str) -> int:
        """Number of a team's leased runs."""
        return sum(runs for account, runs in self.running.items() if account.team == team)

    def free_slots(self, account: Account, *, promised: Mapping[Account, int]) -> float:
        """How many more runs an account may hold at a time; infinite without a limit.

        Args:
            account: The account.
            promised: Runs that accounts are about to be leased.
        """
        settings = self.settings_of(account.team)
        of_team = self.running_of(account.team) + sum(
            runs for other, runs in promised.items() if other.team == account.team
        )
        of_user = self.running.get(account, 0) + promised.get(account, 0)
        free = math.inf
        if settings.max_running_runs is not None:
            free = settings.max_running_runs - of_team
        if settings.user_max_running_runs is not None:
            free = min(free, settings.user_max_running_runs - of_user)
        return max(0.0, free)

    def blocking_limit(self, account: Account) -> str | None:
        """The limit that blocks an account's runs, in words; ``None`` when none does."""
        settings = self.settings_of(account.team)
        return self._running_limit(account, settings=settings) or self._device_hours_limit(account, settings=settings)

    def _running_limit(self, account: Account, *, settings: TeamSettings) -> str | None:
        allowed = settings.max_running_runs
        if allowed is not None and (runs := self.running_of(account.team)) >= allowed:
            return f"its team runs {runs} of its {allowed}"
        allowed = settings.user_max_running_runs
        if allowed is not None and (runs := self.running.get(account, 0)) >= allowed:
            return f"its owner runs {runs} of the {allowed} that the team allows each user"
        return None

    def _device_hours_limit(self, account: Account, *, settings: TeamSettings) -> str | None:
        hours = settings.device_hours_per_month
        if hours is not None and sum(self._used_by(account.team).values()) >= hours * HOUR_SECONDS:
            return f"its team has used up its {hours:g} device hours of this month"
        hours = settings.user_device_hours_per_month
        if hours is not None and self._used_by(account.team).get(account.owner, 0.0) >= hours * HOUR_SECONDS:
            return f"its owner has used up the {hours:g} device hours that the team allows each user in a month"
        return None

    def _used_by(self, team: str) -> dict[str, float]:
        """Device seconds of a team in this month, by user."""
        if team not in self._used:
            self._used[team] = usage_since(self._session, hour=self._month, team=team)
        return self._used[team]
