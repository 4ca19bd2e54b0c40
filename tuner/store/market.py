"""What the teams have had of the devices, what they may have, and who has to wait for it."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.jobs.fairness import Account, Loads
from tuner.jobs.limits import HOUR_SECONDS
from tuner.jobs.states import RunState
from tuner.people.records import TeamSettings
from tuner.store.models import Job, Run, Team, Usage
from tuner.store.usage import WINDOW_HOURS, first_hour_of_month, hour_of, used_since


class Market:
    """The teams' loads and limits as one transaction sees them.

    Args:
        session: Of the transaction.
        now: By the database's clock.
    """

    def __init__(self, session: Session, *, now: float) -> None:
        self._session = session
        self._month = first_hour_of_month(now)
        self._used: dict[str, dict[str, float]] = {}
        teams = session.execute(select(Team.name, Team.settings))
        self.settings = {name: TeamSettings.model_validate(settings) for name, settings in teams}
        self.running: dict[Account, int] = {}
        seconds = defaultdict[Account, float](float)
        window = (
            select(Usage.team, Usage.owner, func.sum(Usage.device_seconds))
            .where(Usage.hour > hour_of(now) - WINDOW_HOURS)
            .group_by(Usage.team, Usage.owner)
        )
        for team, owner, had in session.execute(window):
            seconds[Account(team=team, owner=owner)] += had
        leased = (
            select(Job.team, Job.owner, func.count(), func.sum(func.coalesce(Run.expected_seconds, 0.0)))
            .join(Run, Run.job_id == Job.id)
            .where(Run.state == RunState.LEASED)
            .group_by(Job.team, Job.owner)
        )
        for team, owner, runs, expected in session.execute(leased):
            account = Account(team=team, owner=owner)
            seconds[account] += expected
            self.running[account] = runs
        weights = {name: settings.weight for name, settings in self.settings.items()}
        self.loads = Loads(seconds, weights=weights)

    def of(self, team: str) -> TeamSettings:
        """A team's settings; the usual ones where nobody has set any."""
        return self.settings.get(team) or TeamSettings()

    def running_of(self, team: str) -> int:
        """Runs of a team that workers hold."""
        return sum(runs for account, runs in self.running.items() if account.team == team)

    def free_slots(self, account: Account) -> int | None:
        """How many more runs an account may have at a time; ``None``: any number."""
        settings = self.of(account.team)
        free = []
        if settings.max_running_runs is not None:
            free.append(settings.max_running_runs - self.running_of(account.team))
        if settings.user_max_running_runs is not None:
            free.append(settings.user_max_running_runs - self.running.get(account, 0))
        return max(0, min(free)) if free else None

    def waits_for(self, account: Account) -> str | None:
        """Which limit keeps an account's runs from being begun, in words; ``None`` when none does."""
        settings = self.of(account.team)
        team, user = self.running_of(account.team), self.running.get(account, 0)
        if settings.max_running_runs is not None and team >= settings.max_running_runs:
            return f"its team runs {team} of its {settings.max_running_runs}"
        if settings.user_max_running_runs is not None and user >= settings.user_max_running_runs:
            return f"its owner runs {user} of the {settings.user_max_running_runs} that the team allows each user"
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
