"""What the teams have had of the devices, what they may have, and who has to wait for it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from tuner.jobs.limits import HOUR_SECONDS
from tuner.jobs.scheduling.fairness import Account, Loads
from tuner.jobs.states import RunState
from tuner.people.records import TeamSettings
from tuner.store.accounting.usage import WINDOW_HOURS, first_hour_of_month, hour_of, used_since
from tuner.store.db.models import Job, Run, Team, Usage

_HAD = (
    select(Usage.team, Usage.owner, func.sum(Usage.device_seconds))
    .where(Usage.hour > bindparam("since"))
    .group_by(Usage.team, Usage.owner)
)
_LEASED = (
    select(Job.team, Job.owner, func.count(), func.sum(func.coalesce(Run.expected_seconds, 0.0)))
    .join(Run, Run.job_id == Job.id)
    .where(Run.state == RunState.LEASED)
    .group_by(Job.team, Job.owner)
)
_TEAMS = select(Team.name, Team.settings)


class FairShare:
    """The teams' loads and limits as one transaction sees them; read when first asked for.

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
        """Runs that workers hold, by account."""
        return {account: runs for account, (runs, _) in self._leased.items()}

    @cached_property
    def loads(self) -> Loads:
        """What accounts have had in the window, with what their running runs are expected to take."""
        seconds = defaultdict[Account, float](float)
        for team, owner, had in self._session.execute(_HAD, {"since": hour_of(self._now) - WINDOW_HOURS}):
            seconds[Account(team=team, owner=owner)] += had
        for account, (_, expected) in self._leased.items():
            seconds[account] += expected
        return Loads(seconds, weights={name: settings.weight for name, settings in self.settings.items()})

    @cached_property
    def _leased(self) -> dict[Account, tuple[int, float]]:
        return {
            Account(team=team, owner=owner): (runs, expected)
            for team, owner, runs, expected in self._session.execute(_LEASED)
        }

    def of(self, team: str) -> TeamSettings:
        """A team's settings; the usual ones where nobody has set any."""
        return self.settings.get(team) or TeamSettings()

    def running_of(self, team: str) -> int:
        """Runs of a team that workers hold."""
        return sum(runs for account, runs in self.running.items() if account.team == team)

    def free_slots(self, account: Account, *, promised: Mapping[Account, int]) -> float:
        """How many more runs an account may have at a time; infinite where nothing limits it.

        Args:
            account: The account.
            promised: Runs that accounts are about to get.
        """
        settings = self.of(account.team)
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

    def waits_for(self, account: Account) -> str | None:
        """Which limit keeps an account's runs from being begun, in words; ``None`` when none does."""
        settings = self.of(account.team)
        return self._runs_enough(account, settings=settings) or self._used_up(account, settings=settings)

    def _runs_enough(self, account: Account, *, settings: TeamSettings) -> str | None:
        allowed = settings.max_running_runs
        if allowed is not None and (runs := self.running_of(account.team)) >= allowed:
            return f"its team runs {runs} of its {allowed}"
        allowed = settings.user_max_running_runs
        if allowed is not None and (runs := self.running.get(account, 0)) >= allowed:
            return f"its owner runs {runs} of the {allowed} that the team allows each user"
        return None

    def _used_up(self, account: Account, *, settings: TeamSettings) -> str | None:
        hours = settings.device_hours_per_month
        if hours is not None and sum(self._used_by(account.team).values()) >= hours * HOUR_SECONDS:
            return f"its team has used up its {hours:g} device hours of this month"
        hours = settings.user_device_hours_per_month
        if hours is not None and self._used_by(account.team).get(account.owner, 0.0) >= hours * HOUR_SECONDS:
            return f"its owner has used up the {hours:g} device hours that the team allows each user in a month"
        return None

    def _used_by(self, team: str) -> dict[str, float]:
        """Device seconds of this month, by user."""
        if team not in self._used:
            self._used[team] = used_since(self._session, hour=self._month, team=team)
        return self._used[team]
