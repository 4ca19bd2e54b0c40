"""The quotas of teams, checked at submission. Exact: the team's row is locked until the job is stored."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from tuner.errors import InvalidValue, LimitReached, NotFound
from tuner.jobs.limits import HOUR_SECONDS
from tuner.jobs.priority import Priority
from tuner.jobs.states import JobState, is_terminal
from tuner.people.records import TeamSettings
from tuner.store.accounting.usage import first_hour_of_month
from tuner.store.db.database import Tx, read_clock
from tuner.store.db.models import Job, Team, Usage

_OPEN = tuple(state for state in JobState if not is_terminal(state))


def lock_team_settings(tx: Tx, team: str) -> TeamSettings | None:
    """Lock a team's row until the transaction ends, and read its settings.

    Returns:
        The settings; ``None`` where no team exists: then nobody logs in, and nothing is limited.

    Raises:
        NotFound: Teams exist, and this is none of them.
    """
    return _settings(tx.session, select(Team).where(Team.name == team).with_for_update(key_share=True), team=team)


def read_team_settings(session: Session, team: str) -> TeamSettings | None:
    """As `lock_team_settings`, without the lock: they may change before a job is stored."""
    return _settings(session, select(Team).where(Team.name == team), team=team)


def _settings(session: Session, query: Select[Team], *, team: str) -> TeamSettings | None:
    row = session.scalar(query)
    if row is not None:
        return TeamSettings.model_validate(row.settings)
    if session.scalar(select(Team.name).limit(1)) is not None:
        raise NotFound("team", key=team, hint="`GET /v1/teams` lists those that there are; name one as the job's team")
    return None


def check_priority(settings: TeamSettings | None, priority: Priority) -> None:
    """Refuse a priority class that the team may not use.

    Raises:
        InvalidValue: It is above the team's highest.
    """
    if settings is not None and priority.rank > settings.highest_priority.rank:
        highest = settings.highest_priority.value
        hint = "Whoever runs the service sets a team's highest priority."
        raise InvalidValue("priority", value=priority.value, allowed=f"at most {highest} for this team", hint=hint)


def check_open_job(session: Session, settings: TeamSettings | None, *, team: str, owner: str) -> None:
    """Refuse one more open job of a user where a limit of the team, or of each user in it, is reached.

    Args:
        session: Of the transaction. One that stores the job holds the team's row.
        settings: Of the team.
        team: The team's name.
        owner: The user.

    Raises:
        LimitReached: Too many jobs are open, or the month's device hours are used up.
    """
    if settings is None:
        return
    of_user = f"user {owner} in team {team}"
    by_user = and_(Job.team == team, Job.owner == owner)
    _check_jobs(session, "max_open_jobs", settings.max_open_jobs, of=f"team {team}", which=Job.team == team)
    _check_jobs(session, "user_max_open_jobs", settings.user_max_open_jobs, of=of_user, which=by_user)
    used = and_(Usage.team == team, Usage.hour >= first_hour_of_month(read_clock(session)))
    hours = settings.device_hours_per_month
    _check_hours(session, "device_hours_per_month", hours, of=f"team {team}", which=used)
    hours = settings.user_device_hours_per_month
    _check_hours(session, "user_device_hours_per_month", hours, of=of_user, which=and_(used, Usage.owner == owner))


def _check_jobs(session: Session, limit: str, allowed: int | None, *, of: str, which: ColumnElement[bool]) -> None:
    if allowed is None:
        return
    count = select(func.count()).select_from(Job).where(which, Job.state.in_(_OPEN))
    value = (session.scalar(count) or 0) + 1
    if value > allowed:
        raise LimitReached(limit, of=of, value=value, allowed=allowed)


def _check_hours(session: Session, limit: str, allowed: float | None, *, of: str, which: ColumnElement[bool]) -> None:
    if allowed is None:
        return
    used = (session.scalar(select(func.sum(Usage.device_seconds)).where(which)) or 0.0) / HOUR_SECONDS
    if used >= allowed:
        raise LimitReached(limit, of=of, value=round(used, 2), allowed=allowed)
