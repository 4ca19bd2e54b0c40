"""Webhooks in the store: created, changed, disabled, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.store.webhooks.builders import ADA, SUBMITTED, TAKEN, claim, new, record, submit
from tuner.errors import LimitReached, NotFound
from tuner.jobs.webhooks import (
    WebhookChange,
    WebhookFormat,
)
from tuner.people.permissions import Visibility
from tuner.store import Store
from tuner.store.webhooks.webhooks import MAX_WEBHOOKS

Sql = Callable[..., list[Any]]


class TestWebhooks:
    def test_what_was_asked_for_is_kept(self, store: Store):
        made = store.webhooks.create(new(format="slack"), by=ADA)
        assert store.webhooks.get(made.id) == made
        assert store.webhooks.list() == (made,)
        assert (made.team, made.format, made.events, made.enabled) == (None, WebhookFormat.SLACK, SUBMITTED, True)
        assert (made.key_version, made.created_by) == (1, "ada")

    def test_a_change_leaves_the_rest_as_it_is(self, store: Store):
        made = store.webhooks.create(new())
        changed = store.webhooks.change(made.id, WebhookChange(url="https://example.org/other"))
        assert changed.url == "https://example.org/other"
        assert (changed.events, changed.format, changed.enabled) == (made.events, made.format, True)

    def test_teams_see_their_own_and_only_those(self, store: Store, add_team: Callable[[str], None]):
        add_team("vision")
        add_team("speech")
        own = store.webhooks.create(new(team="vision"))
        store.webhooks.create(new(team="speech"))
        store.webhooks.create(new())
        assert store.webhooks.list(visibility=Visibility(teams=frozenset({"vision"}))) == (own,)
        assert len(store.webhooks.list()) == 3

    def test_a_team_that_is_none_is_refused(self, store: Store):
        with pytest.raises(NotFound, match="team 'nobody'"):
            store.webhooks.create(new(team="nobody"))

    def test_there_can_be_so_many_and_no_more(self, store: Store):
        for _ in range(MAX_WEBHOOKS):
            store.webhooks.create(new())
        with pytest.raises(LimitReached, match="webhooks of the service"):
            store.webhooks.create(new())

    def test_whatever_names_a_webhook_that_is_none_is_refused(self, store: Store):
        for call in (
            lambda: store.webhooks.get("x"),
            lambda: store.webhooks.change("x", WebhookChange()),
            lambda: store.webhooks.rotate_key("x"),
            lambda: store.webhooks.delete("x"),
        ):
            with pytest.raises(NotFound, match="webhook 'x'"):
                call()

    def test_a_removed_one_takes_its_deliveries_with_it(self, store: Store):
        made = store.webhooks.create(new())
        submit(store, 2)
        store.deliveries.enqueue()
        due = claim(store)
        store.webhooks.delete(made.id)
        assert store.webhooks.list() == ()
        assert not record(store, due, TAKEN)
        assert store.deliveries.claim(hold_seconds=60) is None

    def test_who_did_what_is_noted_without_the_secret_part_of_the_url(self, store: Store, sql: Sql):
        made = store.webhooks.create(new(url="https://hooks.example.org/T0/secret"), by=ADA)
        store.webhooks.change(made.id, WebhookChange(url="https://hooks.example.org/other-secret"), by=ADA)
        store.webhooks.rotate_key(made.id, by=ADA)
        store.webhooks.delete(made.id, by=ADA)
        rows = sql("SELECT actor, action, target, data FROM tuner_audit ORDER BY id")
        assert [(actor, action, target) for actor, action, target, _ in rows] == [
            ("ada", f"webhook.{what}", made.id) for what in ("create", "change", "rotate-key", "delete")
        ]
        assert "secret" not in str([data for *_, data in rows])
