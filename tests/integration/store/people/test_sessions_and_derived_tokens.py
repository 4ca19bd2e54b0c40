"""Tokens that were created with tokens, and browser sessions: each ends with what it came from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tuner.errors import LimitReached, NotFound
from tuner.people.permissions import Actor, Role
from tuner.people.records import TeamSettings, TokenRecord
from tuner.people.tokens import digest
from tuner.store import Store
from tuner.store.people.sessions import MAX_SESSIONS
from tuner.store.people.tokens import MAX_CREATED

DAY = 86_400.0
Sql = Callable[..., list[Any]]
DAN = Actor(user="dan")


@pytest.fixture
def people(store: Store) -> Store:
    store.people.put_team("vision", TeamSettings())
    store.people.put_user("ada", admin=True)
    for user in ("dan", "ben"):
        store.people.put_user(user)
        store.people.put_member("vision", user, Role.VIEWER)
    return store


def token(people: Store, *, parent: TokenRecord | None = None, days: float | None = 1.0) -> tuple[TokenRecord, str]:
    lifetime = None if days is None else days * DAY
    parent_id = None if parent is None else parent.id
    return people.people.create_token(
        "dan", team="vision", role=Role.VIEWER, lifetime=lifetime, parent_id=parent_id, by=DAN
    )


def test_a_token_expires_with_the_one_that_it_was_created_with_at_the_latest(people: Store):
    first, _ = token(people)
    longer, _ = token(people, parent=first, days=3650)
    endless, _ = token(people, parent=longer, days=None)
    shorter, _ = token(people, parent=first, days=0.5)
    assert (longer.expires_at, endless.expires_at, longer.parent_id) == (first.expires_at, first.expires_at, first.id)
    assert first.expires_at is not None
    assert shorter.expires_at is not None
    assert shorter.expires_at < first.expires_at


def test_a_revoked_token_takes_all_that_come_from_it_along(people: Store):
    first, _ = token(people)
    child, child_secret = token(people, parent=first)
    _, grandchild_secret = token(people, parent=child)
    _, other_secret = token(people)
    people.people.revoke_token(first.id, by=DAN)
    assert people.people.authenticate(child_secret) is None
    assert people.people.authenticate(grandchild_secret) is None
    assert people.people.authenticate(other_secret) is not None
    with pytest.raises(NotFound):
        token(people, parent=child)
    entry = people.audit.page(action="token.revoke").items[0]
    assert (entry.target, len(entry.data["revoked_tokens"])) == (first.id, 2)


def test_no_token_escapes_the_revocation_of_the_one_that_creates_it(people: Store):
    for _ in range(5):
        first, _ = token(people)

        def create(parent: TokenRecord = first) -> str | None:
            try:
                return token(people, parent=parent)[1]
            except NotFound:
                return None

        with ThreadPoolExecutor(4) as pool:
            secrets = [pool.submit(create) for _ in range(3)]
            pool.submit(people.people.revoke_token, first.id).result()
            created = [secret for each in secrets if (secret := each.result()) is not None]
        assert [people.people.authenticate(secret) for secret in created] == [None] * len(created)


def test_the_tokens_that_a_user_creates_with_tokens_are_limited(people: Store):
    first, _ = token(people)
    for _ in range(MAX_CREATED):
        last, _ = token(people, parent=first)
    with pytest.raises(LimitReached, match="max_valid_tokens of user dan allows 100"):
        token(people, parent=last)
    people.people.revoke_token(last.id)
    assert token(people, parent=first)


class TestSessions:
    def begin(self, people: Store, made: TokenRecord, *, lifetime: float = DAY) -> str:
        return digest(people.people.begin_session(made.id, lifetime=lifetime))

    def test_a_session_stands_for_its_token_until_it_is_ended(self, people: Store, sql: Sql):
        made, secret = token(people)
        session, other = (self.begin(people, made) for _ in range(2))
        assert people.people.session_principal(session) == people.people.authenticate(secret)
        people.people.end_session(session)
        people.people.end_session(session)
        assert people.people.session_principal(session) is None
        assert people.people.session_principal(other) is not None
        assert sql("SELECT digest FROM tuner_sessions") == [(other,)]

    def test_a_session_ends_at_its_time_and_its_row_with_the_next_login(self, people: Store, sql: Sql):
        made, _ = token(people)
        session = self.begin(people, made)
        sql("UPDATE tuner_sessions SET expires_at = 1")
        assert people.people.session_principal(session) is None
        after = self.begin(people, made)
        assert sql("SELECT digest FROM tuner_sessions") == [(after,)]

    def test_a_session_that_a_fast_clock_stored_is_void(self, people: Store, sql: Sql):
        made, _ = token(people)
        session = self.begin(people, made)
        sql("UPDATE tuner_sessions SET created_at = created_at + 172800, expires_at = expires_at + 172800")
        assert people.people.session_principal(session) is None

    @pytest.mark.parametrize("end", ["revoked", "parent revoked", "expired", "disabled", "removed"])
    def test_a_session_ends_with_its_token(self, people: Store, sql: Sql, end: str):
        first, _ = token(people)
        made, _ = token(people, parent=first)
        session = self.begin(people, made)
        match end:
            case "revoked":
                people.people.revoke_token(made.id)
            case "parent revoked":
                people.people.revoke_token(first.id)
            case "expired":
                sql("UPDATE tuner_tokens SET expires_at = 1")
            case "disabled":
                people.people.put_user("dan", disabled=True)
            case "removed":
                people.people.remove_member("vision", "dan")
        assert people.people.session_principal(session) is None
        if end != "disabled":
            with pytest.raises(NotFound):
                self.begin(people, made)

    def test_further_logins_end_the_oldest_session(self, people: Store, sql: Sql):
        made, _ = token(people)
        oldest = self.begin(people, made)
        sql("UPDATE tuner_sessions SET created_at = created_at - 60")
        sessions = [self.begin(people, made) for _ in range(MAX_SESSIONS)]
        assert people.people.session_principal(oldest) is None
        assert all(map(people.people.session_principal, sessions))

    def test_a_team_with_sessions_of_revoked_and_expired_tokens_can_be_deleted(self, people: Store, sql: Sql):
        first, _ = token(people)
        made, _ = token(people, parent=first)
        self.begin(people, made)
        for user in ("dan", "ben"):
            people.people.remove_member("vision", user)
        people.people.delete_team("vision")
        assert sql("SELECT count(*) FROM tuner_tokens") == sql("SELECT count(*) FROM tuner_sessions") == [(0,)]


def test_a_use_that_a_fast_clock_recorded_is_overwritten(people: Store, sql: Sql):
    made, secret = token(people)
    sql("UPDATE tuner_tokens SET last_used_at = created_at + 172800")
    people.people.authenticate(secret)
    used = people.people.token(made.id).last_used_at
    assert used is not None
    assert used < made.created_at + DAY
