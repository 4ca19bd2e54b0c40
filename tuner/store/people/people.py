"""Teams, users and memberships."""

from __future__ import annotations

import re

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from tuner.errors import IllegalTransition, InvalidValue, NotFound
from tuner.people.permissions import LOCAL_ACTOR, LOCAL_USER, Actor, Role
from tuner.people.records import TEAM_NAME, USER_NAME, Member, TeamRecord, TeamSettings, UserRecord
from tuner.store.db.database import Tx, reads, writes
from tuner.store.db.models import BrowserSession, Job, Membership, Team, Token, User, Webhook
from tuner.store.db.upsert import insert_if_absent, upsert
from tuner.store.people.people_rows import (
    find_team,
    lock_team,
    lock_user,
    member_record,
    team_record,
    user_records,
    valid_tokens,
)
from tuner.store.people.sessions import BrowserSessions
from tuner.store.people.tokens import revoke


class People(BrowserSessions):
    """The users of the service, their teams and their roles.

    Changes of one user are serialized, and so are changes of one team: no token is created for a user who is being
    removed, and no member joins a team that is being deleted.
    """

    @reads
    def teams(self, session: Session) -> tuple[TeamRecord, ...]:
        """All teams, by name."""
        return tuple(team_record(team) for team in session.scalars(select(Team).order_by(Team.name)))

    @reads
    def team(self, session: Session, name: str) -> TeamRecord:
        """One team.

        Raises:
            NotFound: There is none of this name.
        """
        return team_record(find_team(session, name))

    @writes
    def put_team(self, tx: Tx, name: str, settings: TeamSettings, *, by: Actor = LOCAL_ACTOR) -> TeamRecord:
        """Create a team, or replace its settings; new limits also bind its running jobs.

        Raises:
            InvalidValue: The name is not allowed.
        """
        _check_name("team", name, pattern=TEAM_NAME)
        stored = settings.model_dump(mode="json")
        row = {"name": name, "settings": stored, "created_at": tx.now}
        made = insert_if_absent(tx.session, Team, row=row, key=["name"])
        team = lock_team(tx.session, name)
        team.settings = stored
        tx.audit(by, "team.create" if made else "team.change", target=name, team=name, settings=stored)
        return team_record(team)

    @writes
    def delete_team(self, tx: Tx, name: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Delete a team that owns nothing. Its usage and its audit entries are kept.

        Raises:
            NotFound: There is none of this name.
            IllegalTransition: The team still has jobs, members, valid tokens or webhooks.
        """
        lock_team(tx.session, name)
        tokens = valid_tokens(now=tx.now).where(Token.team == name).subquery()
        counts = {
            "jobs": select(func.count()).select_from(Job).where(Job.team == name),
            "members": select(func.count()).select_from(Membership).where(Membership.team == name),
            "tokens": select(func.count()).select_from(tokens),
            "webhooks": select(func.count()).select_from(Webhook).where(Webhook.team == name),
        }
        owned = {what: tx.session.execute(count).scalar_one() for what, count in counts.items()}
        if any(owned.values()):
            listed = ", ".join(f"{count} {what if count > 1 else what[:-1]}" for what, count in owned.items() if count)
            raise IllegalTransition("team", key=name, state=f"in use ({listed})", wanted="deleted")
        of_team = select(Token.id).where(Token.team == name)
        tx.session.execute(delete(BrowserSession).where(BrowserSession.token_id.in_(of_team)))
        tx.session.execute(delete(Token).where(Token.team == name))
        tx.session.execute(delete(Team).where(Team.name == name))
        tx.audit(by, "team.delete", target=name, team=name)

    @reads
    def members(self, session: Session, team: str) -> tuple[Member, ...]:
        """A team's members, by name.

        Raises:
            NotFound: There is no such team.
        """
        find_team(session, team)
        query = select(Membership).where(Membership.team == team).order_by(Membership.user)
        return tuple(member_record(row) for row in session.scalars(query))

    @writes
    def put_member(self, tx: Tx, team: str, user: str, role: Role, *, by: Actor = LOCAL_ACTOR) -> Member:
        """Add a user to a team, or change the role; it also caps the rights of existing tokens.

        Raises:
            NotFound: There is no such team, or no such user.
        """
        lock_user(tx.session, user)
        lock_team(tx.session, team, shared=True)
        upsert(tx.session, Membership, rows=[{"team": team, "user": user, "role": role}])
        tx.audit(by, "member.put", target=user, team=team, role=role.value)
        return Member(team=team, user=user, role=role)

    @writes
    def remove_member(self, tx: Tx, team: str, user: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Remove a user from a team and revoke the user's tokens for it; a non-member is ignored.

        Raises:
            NotFound: There is no such team, or no such user.
        """
        lock_user(tx.session, user)
        find_team(tx.session, team)
        removed = tx.session.execute(
            delete(Membership).where(Membership.team == team, Membership.user == user).returning(Membership.user)
        ).first()
        revoked = revoke(tx, (Token.user == user) & (Token.team == team))
        if removed is not None or revoked:
            tx.audit(by, "member.remove", target=user, team=team, revoked_tokens=sorted(revoked))

    @reads
    def users(self, session: Session) -> tuple[UserRecord, ...]:
        """All users, by name."""
        return user_records(session, session.scalars(select(User).order_by(User.name)))

    @reads
    def user(self, session: Session, name: str) -> UserRecord:
        """One user.

        Raises:
            NotFound: There is none of this name.
        """
        return _user(session, name)

    @writes
    def put_user(
        self,
        tx: Tx,
        name: str,
        *,
        admin: bool | None = None,
        disabled: bool | None = None,
        by: Actor = LOCAL_ACTOR,
    ) -> UserRecord:
        """Create or change a user.

        Args:
            name: Of the user.
            admin: Whether the user administers the service; when absent unchanged, and false for a new user.
            disabled: Whether all of the user's tokens are refused; when absent unchanged, and false for a new user.
            by: The actor.

        Raises:
            InvalidValue: The name is not allowed.
            IllegalTransition: No admin of the service would remain.
        """
        _check_name("user", name, pattern=USER_NAME)
        row = {"name": name, "admin": False, "disabled": False, "created_at": tx.now}
        # Lock the admins first and in order: two admins who disable each other must not both succeed.
        admins = set(tx.session.scalars(_admins().with_for_update()).all())
        made = insert_if_absent(tx.session, User, row=row, key=["name"])
        user = lock_user(tx.session, name)
        user.admin = user.admin if admin is None else admin
        user.disabled = user.disabled if disabled is None else disabled
        if admins == {name} and (user.disabled or not user.admin):
            wanted = "disabled" if user.disabled else "an ordinary user"
            raise IllegalTransition("user", key=name, state="the only admin of the service", wanted=wanted)
        action = "user.create" if made else "user.change"
        tx.audit(by, action, target=name, team=None, admin=user.admin, disabled=user.disabled)
        tx.session.flush()
        return _user(tx.session, name)


def _admins() -> Select[str]:
    return select(User.name).where(User.admin, ~User.disabled).order_by(User.name)


def _user(session: Session, name: str) -> UserRecord:
    user = session.get(User, name)
    if user is None:
        raise NotFound("user", key=name)
    return user_records(session, [user])[0]


def _check_name(field: str, name: str, *, pattern: str) -> None:
    if name == LOCAL_USER and field == "user":
        allowed = "another name: this one stands for everybody where nobody logs in"
        raise InvalidValue(field, value=name, allowed=allowed)
    if not re.fullmatch(pattern.strip("^$"), name):
        raise InvalidValue(field, value=name, allowed=f"text that matches {pattern}")
