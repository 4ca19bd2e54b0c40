from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.store.builders import spec
from tuner.errors import IllegalTransition, InvalidValue, NotFound
from tuner.jobs.priority import Priority
from tuner.people.permissions import Actor, Role
from tuner.people.records import TeamSettings
from tuner.people.tokens import PREFIX, digest
from tuner.store import Store

ROOT = Actor(user="root", token_id="t0", request_id="r0")
Sql = Callable[..., list[Any]]


@pytest.fixture
def people(store: Store) -> Store:
    """Two teams; ada runs the service, ben submits for vision, cleo is an admin of speech."""
    for team in ("vision", "speech"):
        store.people.put_team(team, TeamSettings(), by=ROOT)
    for user in ("ada", "ben", "cleo"):
        store.people.put_user(user, admin=user == "ada", by=ROOT)
    store.people.put_member("vision", "ben", Role.SUBMITTER, by=ROOT)
    store.people.put_member("speech", "cleo", Role.ADMIN, by=ROOT)
    return store


def test_a_team_is_made_changed_and_found(store: Store):
    assert store.people.put_team("vision", TeamSettings(weight=2), by=ROOT).settings.weight == 2
    changed = store.people.put_team("vision", TeamSettings(highest_priority=Priority.HIGH, max_open_jobs=3), by=ROOT)
    assert store.people.team("vision") == changed
    assert changed.settings == TeamSettings(highest_priority=Priority.HIGH, max_open_jobs=3)
    assert [team.name for team in store.people.teams()] == ["vision"]


@pytest.mark.parametrize("name", ["", " vision", "a/b", "x" * 101, "vision\n", "é"])
def test_a_team_that_cannot_stand_in_a_path_is_refused(store: Store, name: str):
    with pytest.raises(InvalidValue, match="team must be"):
        store.people.put_team(name, TeamSettings())


@pytest.mark.parametrize("name", ["", "Ada", "local", "a b", "ada\n"])
def test_a_user_that_could_pass_for_another_is_refused(store: Store, name: str):
    with pytest.raises(InvalidValue, match="user must be"):
        store.people.put_user(name)


def test_what_is_not_there_is_not_found(people: Store):
    for look in (
        lambda: people.people.team("none"),
        lambda: people.people.user("none"),
        lambda: people.people.members("none"),
        lambda: people.people.put_member("none", "ben", Role.VIEWER),
        lambda: people.people.put_member("vision", "none", Role.VIEWER),
        lambda: people.people.remove_member("none", "ben"),
        lambda: people.people.delete_team("none"),
        lambda: people.people.create_token("none", team=None, role=Role.VIEWER),
        lambda: people.people.create_token("ada", team="none", role=Role.VIEWER),
        lambda: people.people.revoke_token("none"),
        lambda: people.people.token("none"),
    ):
        with pytest.raises(NotFound):
            look()


def test_a_user_is_told_with_the_memberships(people: Store):
    people.people.put_member("speech", "ben", Role.VIEWER, by=ROOT)
    ben = people.people.user("ben")
    assert [(member.team, member.role) for member in ben.memberships] == [
        ("speech", Role.VIEWER),
        ("vision", Role.SUBMITTER),
    ]
    assert people.people.users()[1] == ben
    assert [member.user for member in people.people.members("speech")] == ["ben", "cleo"]


def test_a_user_is_changed_only_in_what_is_named(people: Store):
    people.people.put_user("ada", disabled=False)
    assert people.people.user("ada").admin
    people.people.put_user("ben", disabled=True)
    assert people.people.put_user("ben").disabled


@pytest.mark.parametrize("change", [{"admin": False}, {"disabled": True}])
def test_somebody_always_runs_the_service(people: Store, change: dict[str, Any]):
    with pytest.raises(IllegalTransition, match="only admin"):
        people.people.put_user("ada", **change)
    people.people.put_user("ben", admin=True)
    people.people.put_user("ada", **change)


def test_two_admins_who_disable_each_other_leave_one(people: Store):
    people.people.put_user("ben", admin=True)

    def disable(name: str) -> bool:
        try:
            people.people.put_user(name, disabled=True)
        except IllegalTransition:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, ("ada", "ben"))) == [False, True]


def test_a_token_tells_who_is_behind_it(people: Store):
    record, secret = people.people.create_token("ben", team="vision", role=Role.VIEWER, label="ci", by=ROOT)
    assert secret.startswith(PREFIX)
    principal = people.people.authenticate(secret)
    assert principal is not None
    assert (principal.user, principal.team, principal.role) == ("ben", "vision", Role.VIEWER)
    assert people.people.tokens(team="vision") == (people.people.token(record.id),)
    assert people.people.tokens(user="ada") == ()


def test_of_a_secret_only_the_digest_is_stored(people: Store, sql: Sql):
    _, secret = people.people.create_token("ben", team="vision", role=Role.VIEWER, by=ROOT)
    assert sql("SELECT digest FROM tuner_tokens") == [(digest(secret),)]
    assert secret not in str(sql("SELECT * FROM tuner_audit"))


def test_a_token_of_somebody_elses_making_is_nobodys(people: Store):
    assert people.people.authenticate("stt_guessed") is None
    assert people.people.authenticate("") is None
    assert people.people.session_principal(digest("guessed")) is None


def test_its_last_use_is_noted_at_most_once_a_minute(people: Store, sql: Sql):
    record, secret = people.people.create_token("ben", team="vision", role=Role.VIEWER)
    assert people.people.token(record.id).last_used_at is None
    people.people.authenticate(secret)
    first = people.people.token(record.id).last_used_at
    assert first is not None
    people.people.authenticate(secret)
    assert people.people.token(record.id).last_used_at == first
    sql("UPDATE tuner_tokens SET last_used_at = last_used_at - 61")
    people.people.authenticate(secret)
    assert people.people.token(record.id).last_used_at != first - 61


def test_a_role_that_shrinks_takes_its_tokens_with_it(people: Store):
    _, secret = people.people.create_token("ben", team="vision", role=Role.SUBMITTER)
    people.people.put_member("vision", "ben", Role.VIEWER)
    principal = people.people.authenticate(secret)
    assert principal is not None
    assert principal.role is Role.VIEWER
    people.people.put_member("vision", "ben", Role.ADMIN)
    principal = people.people.authenticate(secret)
    assert principal is not None
    assert principal.role is Role.SUBMITTER


def test_a_token_is_refused_once_it_expired_was_revoked_or_its_user_disabled(people: Store, sql: Sql):
    def secret() -> tuple[str, str]:
        record, made = people.people.create_token("ben", team="vision", role=Role.VIEWER, lifetime=60)
        assert people.people.authenticate(made)
        return record.id, made

    _, expired = secret()
    sql("UPDATE tuner_tokens SET expires_at = 1")
    assert people.people.authenticate(expired) is None
    revoked_id, revoked = secret()
    assert people.people.revoke_token(revoked_id, by=ROOT) == people.people.revoke_token(revoked_id, by=ROOT)
    assert people.people.authenticate(revoked) is None
    _, disabled = secret()
    people.people.put_user("ben", disabled=True)
    assert people.people.authenticate(disabled) is None
    with pytest.raises(InvalidValue, match="not disabled"):
        people.people.create_token("ben", team="vision", role=Role.VIEWER)
    assert people.people.tokens(valid=True) == people.people.tokens(user="ben")[:1]


def test_who_leaves_a_team_loses_the_tokens_for_it_alone(people: Store):
    people.people.put_member("speech", "ben", Role.VIEWER)
    _, lost = people.people.create_token("ben", team="vision", role=Role.VIEWER)
    _, kept = people.people.create_token("ben", team="speech", role=Role.VIEWER)
    people.people.remove_member("vision", "ben", by=ROOT)
    people.people.remove_member("vision", "ben", by=ROOT)
    assert people.people.authenticate(lost) is None
    assert people.people.authenticate(kept)
    people.people.put_member("vision", "ben", Role.VIEWER)
    assert people.people.authenticate(lost) is None
    assert len(people.audit.page(action="member.remove").items) == 1


def test_no_token_allows_more_than_its_user_may(people: Store):
    with pytest.raises(InvalidValue, match="at most submitter"):
        people.people.create_token("ben", team="vision", role=Role.ADMIN)
    with pytest.raises(InvalidValue, match="ben is none"):
        people.people.create_token("ben", team="speech", role=Role.VIEWER)
    with pytest.raises(InvalidValue, match="run the service"):
        people.people.create_token("ben", team=None, role=Role.VIEWER)
    _, secret = people.people.create_token("ada", team="speech", role=Role.ADMIN)
    assert people.people.authenticate(secret)


def test_a_token_for_every_team_ends_with_the_right_to_it(people: Store):
    _, secret = people.people.create_token("ada", team=None, role=Role.ADMIN)
    principal = people.people.authenticate(secret)
    assert principal is not None
    assert principal.runs_the_service
    people.people.put_user("ben", admin=True)
    people.people.put_user("ada", admin=False)
    assert people.people.authenticate(secret) is None


@pytest.mark.parametrize("lifetime", [0, -1, 1e12])
def test_a_lifetime_out_of_range_is_refused(people: Store, lifetime: float):
    with pytest.raises(InvalidValue, match="lifetime"):
        people.people.create_token("ada", team=None, role=Role.VIEWER, lifetime=lifetime)


def test_a_team_is_deleted_once_nothing_belongs_to_it(people: Store):
    record, _ = people.people.create_token("ada", team="vision", role=Role.VIEWER)
    with pytest.raises(IllegalTransition, match=r"1 member, 1 token"):
        people.people.delete_team("vision")
    people.people.remove_member("vision", "ben")
    with pytest.raises(IllegalTransition, match=r"in use \(1 token\)"):
        people.people.delete_team("vision")
    people.people.revoke_token(record.id)
    people.people.delete_team("vision", by=ROOT)
    assert [team.name for team in people.people.teams()] == ["speech"]


def test_no_token_outlives_its_member(people: Store):
    def make(_: int) -> str | None:
        try:
            return people.people.create_token("ben", team="vision", role=Role.VIEWER)[1]
        except InvalidValue:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = pool.map(make, range(12))
        people.people.remove_member("vision", "ben")
        secrets = [secret for secret in made if secret is not None]
    assert not [secret for secret in secrets if people.people.authenticate(secret)]


def test_nobody_joins_a_team_that_is_deleted_meanwhile(people: Store):
    def join(user: str) -> bool:
        try:
            people.people.put_member("robots", user, Role.VIEWER)
        except NotFound:
            return False
        return True

    def leave() -> bool:
        try:
            people.people.delete_team("robots")
        except IllegalTransition:
            return False
        return True

    for _ in range(5):
        people.people.put_team("robots", TeamSettings())
        with ThreadPoolExecutor(3) as pool:
            joined, left = pool.map(join, ("ben", "cleo")), pool.submit(leave)
            assert any(joined) is not left.result()
        for user in ("ben", "cleo") if not left.result() else ():
            people.people.remove_member("robots", user)


def test_a_team_with_jobs_is_not_deleted(people: Store):
    people.people.put_team("robots", TeamSettings())
    people.jobs.submit(spec(team="robots"))
    with pytest.raises(IllegalTransition, match="1 job"):
        people.people.delete_team("robots")


def test_the_first_admin_is_made_once(store: Store):
    with ThreadPoolExecutor(4) as pool:
        secrets = [secret for secret in pool.map(lambda _: store.people.first_admin(), range(4)) if secret]
    assert len(secrets) == 1
    principal = store.people.authenticate(secrets[0])
    assert principal is not None
    assert principal.runs_the_service
    assert store.people.first_admin() is None


def test_there_is_no_first_admin_where_somebody_is(people: Store):
    assert people.people.first_admin() is None


def test_an_admin_is_rescued_on_the_machine(people: Store):
    def admin() -> bool:
        principal = people.people.authenticate(people.people.recover_admin())
        return principal is not None and principal.runs_the_service

    assert admin()
    people.people.put_user("admin", disabled=True)
    people.people.put_user("admin", admin=False)
    assert admin()
    assert people.audit.page(actor="local", action="token.create").items


def test_every_change_is_in_the_audit_log_with_who_made_it(people: Store):
    record, _ = people.people.create_token("ben", team="vision", role=Role.VIEWER, by=ROOT)
    people.people.revoke_token(record.id, by=ROOT)
    page = people.audit.page()
    assert [entry.action for entry in page.items] == [
        "token.revoke",
        "token.create",
        "member.put",
        "member.put",
        "user.create",
        "user.create",
        "user.create",
        "team.create",
        "team.create",
    ]
    assert page.next_cursor is None
    assert {(entry.actor, entry.token_id, entry.request_id) for entry in page.items} == {("root", "t0", "r0")}
    assert page.items[0].target == record.id


def test_the_audit_log_is_read_in_pages_and_parts(people: Store):
    first = people.audit.page(limit=4)
    rest = people.audit.page(limit=4, cursor=first.next_cursor)
    whole = people.audit.page(limit=7)
    assert first.items + rest.items == whole.items
    assert {entry.team for entry in people.audit.page(team="vision").items} == {"vision"}
    assert len(people.audit.page(action="user").items) == 3
    assert people.audit.page(action="use").items == ()
    assert people.audit.page(actor="nobody").items == ()
    for wrong in ("x", "-1", "1" * 19, "²"):
        with pytest.raises(InvalidValue, match="cursor"):
            people.audit.page(cursor=wrong)
    with pytest.raises(InvalidValue, match="limit"):
        people.audit.page(limit=0)
