"""Teams, users and who belongs where."""

# ruff: noqa: D417 - the transaction that comes first is not the caller's to give
from __future__ import annotations

import re

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from tuner.errors import IllegalTransition, InvalidValue, NotFound
from tuner.people.records import TEAM_NAME, USER_NAME, Member, TeamRecord, TeamSettings, UserRecord
from tuner.people.roles import LOCAL_ACTOR, LOCAL_USER, Actor, Role
from tuner.store.db.database import Tx, reads, writes
from tuner.store.db.models import Job, Membership, Team, Token, User, Webhook
from tuner.store.db.upsert import insert_new, upsert
from tuner.store.people.accounts import (
    find_team,
    good_tokens,
    kept_team,
    locked_team,
    locked_user,
    member,
    team_record,
    user_records,
)
from tuner.store.people.tokens import Tokens


class People(Tokens):
    """Who may use the service, for which team, and with what rights.

    What concerns one user happens one after the other, as does what concerns one team: a token is never made for
    somebody who is leaving, and no member joins a team that is being deleted.
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
        """Make a team, or change what it may; its jobs that run stay within the new limits as they go on.

        Raises:
            InvalidValue: No team may be called so.
        """
        _check_name("team", name, pattern=TEAM_NAME)
        stored = settings.model_dump(mode="json")
        row = {"name": name, "settings": stored, "created_at": tx.now}
        made = insert_new(tx.session, Team, row=row, key=["name"])
        team = locked_team(tx.session, name)
        team.settings = stored
        tx.audit(by, "team.create" if made else "team.change", target=name, team=name, settings=stored)
        return team_record(team)

    @writes
    def delete_team(self, tx: Tx, name: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Delete a team that nothing belongs to any more. What it used and did stays on record.

        Raises:
            NotFound: There is none of this name.
            IllegalTransition: It still has jobs, members, tokens that are good, or webhooks.
        """
        locked_team(tx.session, name)
        tokens = good_tokens(now=tx.now).where(Token.team == name).subquery()
        counts = {
            "jobs": select(func.count()).select_from(Job).where(Job.team == name),
            "members": select(func.count()).select_from(Membership).where(Membership.team == name),
            "tokens": select(func.count()).select_from(tokens),
            "webhooks": select(func.count()).select_from(Webhook).where(Webhook.team == name),
        }
        held = {what: tx.session.execute(count).scalar_one() for what, count in counts.items()}
        if any(held.values()):
            told = ", ".join(f"{count} {what if count > 1 else what[:-1]}" for what, count in held.items() if count)
            raise IllegalTransition("team", key=name, state=f"in use ({told})", wanted="deleted")
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
        return tuple(member(row) for row in session.scalars(query))

    @writes
    def put_member(self, tx: Tx, team: str, user: str, role: Role, *, by: Actor = LOCAL_ACTOR) -> Member:
        """Take a user into a team, or change the role; tokens that allow more allow no more than this from now on.

        Raises:
            NotFound: There is no such team, or no such user.
        """
        locked_user(tx.session, user)
        kept_team(tx.session, team)
        upsert(tx.session, Membership, rows=[{"team": team, "user": user, "role": role}])
        tx.audit(by, "member.put", target=user, team=team, role=role.value)
        return Member(team=team, user=user, role=role)

    @writes
    def remove_member(self, tx: Tx, team: str, user: str, *, by: Actor = LOCAL_ACTOR) -> None:
        """Take a user out of a team and revoke the user's tokens for it. Nothing happens for one who is no member.

        Raises:
            NotFound: There is no such team, or no such user.
        """
        locked_user(tx.session, user)
        find_team(tx.session, team)
        left = tx.session.execute(
            delete(Membership).where(Membership.team == team, Membership.user == user).returning(Membership.user)
        ).first()
        revoked = tx.session.scalars(
            update(Token)
            .where(Token.user == user, Token.team == team, Token.revoked_at.is_(None))
            .values(revoked_at=tx.now)
            .returning(Token.id)
        ).all()
        if left is not None or revoked:
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
        """Make a user, or change one.

        Args:
            name: Of the user.
            admin: Whether the user runs the service; as it is, or not for a new one, when absent.
            disabled: Whether all of the user's tokens are refused; as it is, or not for a new one, when absent.
            by: Who does it.

        Raises:
            InvalidValue: No user may be called so.
            IllegalTransition: Nobody would be left who runs the service.
        """
        _check_name("user", name, pattern=USER_NAME)
        row = {"name": name, "admin": False, "disabled": False, "created_at": tx.now}
        # The admins first and in order: two who disable each other must not both succeed.
        admins = set(tx.session.scalars(_admins().with_for_update()).all())
        made = insert_new(tx.session, User, row=row, key=["name"])
        user = locked_user(tx.session, name)
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
