"""API tokens: creation, revocation, authentication."""

from __future__ import annotations

import uuid

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from tuner.errors import DatabaseUnavailable, InvalidValue, LimitReached, NotFound
from tuner.people.permissions import LOCAL_ACTOR, Actor, Principal, Role, least
from tuner.people.records import TokenRecord
from tuner.people.tokens import MAX_LIFETIME_SECONDS, digest, new_token
from tuner.store.db.clock import happened_within
from tuner.store.db.database import Repository, Tx, read_clock, reads, writes
from tuner.store.db.models import BrowserSession, Membership, Token, User
from tuner.store.db.upsert import insert_if_absent
from tuner.store.people.people_rows import lock_team, lock_user, role_in, token_record, valid_tokens

FIRST_ADMIN = "admin"
MAX_CREATED = 100
"""Valid tokens of one user that were created with tokens; those that admins create do not count."""
MAX_LISTED = 1_000
"""Tokens in one list."""
_USE_RECORDED_EVERY_SECONDS = 60.0


class Tokens(Repository):
    """Tokens: random, shown once, stored as a digest.

    A token is found by its digest in an index. The timing of that search reveals nothing useful: an attacker neither
    knows the digest of another's token nor can construct a token whose digest has a chosen prefix.
    """

    @writes
    def create_token(
        self,
        tx: Tx,
        user: str,
        *,
        team: str | None,
        role: Role,
        label: str = "",
        lifetime: float | None = None,
        parent_id: str | None = None,
        by: Actor = LOCAL_ACTOR,
    ) -> tuple[TokenRecord, str]:
        """Create a token.

        Args:
            user: Its owner.
            team: The team that it is for; ``None``: every team, and what belongs to none.
            role: What it allows.
            label: A name for people.
            lifetime: Seconds until it expires; never when absent.
            parent_id: The token by which it is created: it expires with that one at the latest, and is revoked with it.
            by: The actor.

        Returns:
            The token and its secret, which is not stored and cannot be read again.

        Raises:
            NotFound: There is no such user, no such team, or no valid parent.
            InvalidValue: The user is disabled or lacks the role, or the lifetime is out of range.
            LimitReached: There is a parent, and its user has many valid tokens already.
        """
        owner = lock_user(tx.session, user)
        if owner.disabled:
            raise InvalidValue("user", value=user, allowed="a user that is not disabled")
        if lifetime is not None and not 0 < lifetime <= MAX_LIFETIME_SECONDS:
            raise InvalidValue("lifetime", value=lifetime, allowed=f"in (0, {MAX_LIFETIME_SECONDS:.0f}] seconds")
        if team is not None:
            lock_team(tx.session, team, shared=True)
        _check_role(tx.session, owner=owner, team=team, role=role)
        parent = None if parent_id is None else _lock_parent(tx, parent_id)
        return _add_token(tx, owner.name, team=team, role=role, label=label, lifetime=lifetime, parent=parent, by=by)

    @writes
    def revoke_token(self, tx: Tx, token_id: str, *, by: Actor = LOCAL_ACTOR) -> TokenRecord:
        """Revoke a token, those that were created with it, and their sessions.

        A service that has cached one may accept it for a few more seconds. Revoking it again changes nothing.

        Raises:
            NotFound: There is no such token.
        """
        token = tx.session.scalar(select(Token).where(Token.id == token_id).with_for_update())
        if token is None:
            raise NotFound("token", key=token_id)
        if token.revoked_at is None:
            revoked = revoke(tx, Token.id == token_id)
            others = sorted(set(revoked) - {token_id})
            tx.audit(by, "token.revoke", target=token_id, team=token.team, user=token.user, revoked_tokens=others)
            tx.session.refresh(token)
        return token_record(token)

    @reads
    def token(self, session: Session, token_id: str) -> TokenRecord:
        """One token, without its secret.

        Raises:
            NotFound: There is none with this id.
        """
        token = session.get(Token, token_id)
        if token is None:
            raise NotFound("token", key=token_id)
        return token_record(token)

    @reads
    def tokens(
        self, session: Session, *, team: str | None = None, user: str | None = None, valid: bool = False
    ) -> tuple[TokenRecord, ...]:
        """Tokens without their secrets, the latest `MAX_LISTED` first.

        Args:
            team: Only those for this team.
            user: Only this user's.
            valid: Only those that are neither revoked nor expired.
        """
        query = valid_tokens(now=read_clock(session)) if valid else select(Token)
        if team is not None:
            query = query.where(Token.team == team)
        if user is not None:
            query = query.where(Token.user == user)
        latest = query.order_by(Token.created_at.desc(), Token.id).limit(MAX_LISTED)
        return tuple(map(token_record, session.scalars(latest)))

    def authenticate(self, secret: str) -> Principal | None:
        """The principal of a token's secret.

        Returns:
            ``None`` for a token that is unknown, expired or revoked, or whose user is disabled or no longer a member
            of its team.
        """
        return self._resolve(Token.digest == digest(secret))

    def first_admin(self) -> str | None:
        """Create the user `admin` and a token with all rights, unless any user exists.

        Of several processes that call it at once, one gets a token.

        Returns:
            The token's secret; ``None`` where a user exists.
        """
        return self._database.write(_first_admin)

    def recover_admin(self) -> str:
        """Create a token with all rights for the user `admin`, who is created, enabled and made an admin if necessary.

        For the operator on the service's machine, when no user can log in.

        Returns:
            The token's secret.
        """
        return self._database.write(_rescue_admin)

    def _resolve(self, wanted: ColumnElement[bool]) -> Principal | None:
        result = self._database.read(lambda session: _principal(session, wanted=wanted))
        if result is None:
            return None
        principal, used_recently = result
        if not used_recently and principal.token_id is not None:
            self._record_use(principal.token_id)
        return principal

    def _record_use(self, token_id: str) -> None:
        def record(tx: Tx) -> None:
            tx.session.execute(update(Token).where(Token.id == token_id).values(last_used_at=tx.now))

        try:
            self._database.write(record, waits=False)
        except DatabaseUnavailable:
            return  # another writer holds the lock, for which a read does not wait; the next use is recorded


def _principal(session: Session, *, wanted: ColumnElement[bool]) -> tuple[Principal, bool] | None:
    now = read_clock(session)
    query = (
        valid_tokens(now=now)
        .add_columns(User.admin, Membership.role)
        .join(User, User.name == Token.user)
        .outerjoin(Membership, (Membership.user == Token.user) & (Membership.team == Token.team))
        .where(wanted, ~User.disabled)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    token, admin, membership = row
    held = Role.ADMIN if admin else membership
    if held is None:
        return None
    principal = Principal(user=token.user, team=token.team, role=least(token.role, held), token_id=token.id)
    used = token.last_used_at
    return principal, used is not None and happened_within(_USE_RECORDED_EVERY_SECONDS, used, now=now)


def revoke(tx: Tx, wanted: ColumnElement[bool]) -> tuple[str, ...]:
    """Revoke tokens and all that were created with them, and end their sessions.

    Args:
        tx: The transaction.
        wanted: Condition of the tokens to begin with.

    Returns:
        The ids of those that were not revoked before.
    """
    revoked: list[str] = []
    while True:
        # Again until there are none: a token that was being created is visible once its parent's row is locked.
        condition = or_(wanted, Token.parent_id.in_(revoked))
        more = tx.session.scalars(
            update(Token)
            .where(condition, Token.revoked_at.is_(None))
            .values(revoked_at=tx.now)
            .returning(Token.id)
            .execution_options(synchronize_session=False)
        ).all()
        if not more:
            break
        revoked += more
    tx.session.execute(delete(BrowserSession).where(BrowserSession.token_id.in_(revoked)))
    return tuple(revoked)


def _first_admin(tx: Tx) -> str | None:
    if tx.session.execute(select(func.count()).select_from(User)).scalar_one():
        return None
    return _admin_token(tx, label="first start") if _create_admin(tx) else None


def _rescue_admin(tx: Tx) -> str:
    if not _create_admin(tx):
        admin = lock_user(tx.session, FIRST_ADMIN)
        admin.admin, admin.disabled = True, False
        tx.audit(LOCAL_ACTOR, "user.change", target=FIRST_ADMIN, team=None, admin=True, disabled=False)
    return _admin_token(tx, label="made on the service's machine")


def _create_admin(tx: Tx) -> bool:
    """Create the user `admin` unless it exists; return whether it was created."""
    row = {"name": FIRST_ADMIN, "admin": True, "disabled": False, "created_at": tx.now}
    created = insert_if_absent(tx.session, User, row=row, key=["name"])
    if created:
        tx.audit(LOCAL_ACTOR, "user.create", target=FIRST_ADMIN, team=None, admin=True, disabled=False)
    return created


def _admin_token(tx: Tx, *, label: str) -> str:
    _, secret = _add_token(tx, FIRST_ADMIN, team=None, role=Role.ADMIN, label=label, lifetime=None, by=LOCAL_ACTOR)
    return secret


def _check_role(session: Session, *, owner: User, team: str | None, role: Role) -> None:
    """Refuse a token that would allow more than its user's role."""
    if team is None:
        if not owner.admin:
            allowed = "given: only those who run the service have tokens for every team"
            raise InvalidValue("team", value=None, allowed=allowed)
        return
    held = role_in(session, user=owner, team=team)
    if held is None or not held.includes(role):
        allowed = f"at most {held.value}, the user's own" if held else f"that of a member, and {owner.name} is none"
        raise InvalidValue("role", value=role.value, allowed=allowed)


def _lock_parent(tx: Tx, parent_id: str) -> Token:
    """The valid token by which another is created, locked against its revocation.

    Raises:
        NotFound: It does not exist, or is not valid any more.
        LimitReached: Its user has as many valid tokens that were created with tokens as there may be.
    """
    parent = tx.session.scalar(valid_tokens(now=tx.now).where(Token.id == parent_id).with_for_update())
    if parent is None:
        raise NotFound("token", key=parent_id)
    created = valid_tokens(now=tx.now).where(Token.user == parent.user, Token.parent_id.is_not(None)).subquery()
    count = tx.session.execute(select(func.count()).select_from(created)).scalar_one()
    if count >= MAX_CREATED:
        raise LimitReached("max_valid_tokens", of=f"user {parent.user}", value=count + 1, allowed=MAX_CREATED)
    return parent


def _add_token(
    tx: Tx,
    user: str,
    *,
    team: str | None,
    role: Role,
    label: str,
    lifetime: float | None,
    by: Actor,
    parent: Token | None = None,
) -> tuple[TokenRecord, str]:
    secret = new_token()
    expiries = [None if lifetime is None else tx.now + lifetime, None if parent is None else parent.expires_at]
    token = Token(
        id=str(uuid.uuid4()),
        digest=digest(secret),
        user=user,
        team=team,
        role=role,
        label=label,
        created_by=by.user,
        parent_id=None if parent is None else parent.id,
        created_at=tx.now,
        expires_at=min((expiry for expiry in expiries if expiry is not None), default=None),
    )
    tx.session.add(token)
    details = {"user": user, "role": role.value, "label": label, "expires_at": token.expires_at}
    tx.audit(by, "token.create", target=token.id, team=team, **details)
    return token_record(token), secret
