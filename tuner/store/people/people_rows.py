"""Rows of teams, users and tokens: finding, locking, and conversion to records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.people.permissions import Role
from tuner.people.records import Member, TeamRecord, TeamSettings, TokenRecord, UserRecord
from tuner.store.db.models import Membership, Team, Token, User


def find_team(session: Session, name: str) -> Team:
    """A team's row.

    Raises:
        NotFound: There is none of this name.
    """
    team = session.get(Team, name)
    if team is None:
        raise NotFound("team", key=name)
    return team


def lock_team(session: Session, name: str, *, shared: bool = False) -> Team:
    """A team's row, locked until the transaction ends.

    Args:
        session: Of the transaction.
        name: The team's name.
        shared: Lock against deletion alone.

    Raises:
        NotFound: There is none of this name.
    """
    team = session.scalar(select(Team).where(Team.name == name).with_for_update(read=shared, key_share=shared))
    if team is None:
        raise NotFound("team", key=name)
    return team


def lock_user(session: Session, name: str) -> User:
    """A user's row, locked until the transaction ends: changes of one user are serialized.

    Raises:
        NotFound: There is none of this name.
    """
    user = session.scalar(select(User).where(User.name == name).with_for_update())
    if user is None:
        raise NotFound("user", key=name)
    return user


def role_in(session: Session, *, user: User, team: str) -> Role | None:
    """A user's role in a team; an admin of the service is an admin of every team."""
    if user.admin:
        return Role.ADMIN
    return session.scalar(select(Membership.role).where(Membership.user == user.name, Membership.team == team))


def valid_tokens(*, now: float) -> Select[Token]:
    """The tokens that are neither revoked nor expired."""
    return select(Token).where(Token.revoked_at.is_(None), or_(Token.expires_at.is_(None), Token.expires_at > now))


def team_record(team: Team) -> TeamRecord:
    """The record of a team."""
    return TeamRecord(name=team.name, settings=TeamSettings.model_validate(team.settings), created_at=team.created_at)


def user_records(session: Session, users: Iterable[User]) -> tuple[UserRecord, ...]:
    """The records of users, in their order."""
    rows = tuple(users)
    by_user: defaultdict[str, list[Member]] = defaultdict(list)
    query = select(Membership).where(Membership.user.in_([user.name for user in rows])).order_by(Membership.team)
    for row in session.scalars(query):
        by_user[row.user].append(member_record(row))
    return tuple(_user_record(user, memberships=by_user[user.name]) for user in rows)


def member_record(row: Membership) -> Member:
    """The record of a membership."""
    return Member(team=row.team, user=row.user, role=row.role)


def token_record(token: Token) -> TokenRecord:
    """The record of a token."""
    return TokenRecord(
        id=token.id,
        user=token.user,
        team=token.team,
        role=token.role,
        label=token.label,
        created_by=token.created_by,
        parent_id=token.parent_id,
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=token.last_used_at,
    )


def _user_record(user: User, *, memberships: Sequence[Member]) -> UserRecord:
    return UserRecord(
        name=user.name,
        admin=user.admin,
        disabled=user.disabled,
        memberships=tuple(memberships),
        created_at=user.created_at,
    )
