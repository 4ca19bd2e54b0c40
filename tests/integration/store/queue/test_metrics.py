"""What Prometheus is told, counted by both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.store.builders import Bench, spec
from tuner.errors import DatabaseUnavailable
from tuner.jobs.states import TrialState
from tuner.jobs.webhooks import NewWebhook
from tuner.store import Store
from tuner.store.queue.metrics import WORKER_STATES, worker_state
from tuner_service.metrics.collector import QueueCollector

Sql = Callable[..., list[Any]]
Labels = frozenset[tuple[str, str]]


class Scraper:
    """Reads what a service tells, as Prometheus does."""

    def __init__(self, store: Store, **changes: Any) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(QueueCollector(store, **{"max_age": timedelta(0)} | changes))

    def __call__(self) -> dict[str, dict[Labels, float]]:
        """Values by name and labels."""
        told: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(generate_latest(self._registry).decode()):
            for sample in family.samples:
                told.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
        return told


@pytest.fixture
def scrape(store: Store) -> Scraper:
    """One that has looked once: it counts from here on."""
    scraper = Scraper(store)
    scraper()
    return scraper


def by(**labels: str) -> Labels:
    return frozenset(labels.items())


def test_an_empty_queue_says_so(scrape: Scraper):
    told = scrape()
    assert told["tuner_database_up"] == {by(): 1}
    assert told["tuner_workers"] == {by(state=state): float(state == "idle") for state in WORKER_STATES}
    assert "tuner_jobs" not in told
    assert "tuner_runs" not in told


def test_jobs_and_runs_are_counted_by_team_and_state(scrape: Scraper, store: Store, bench: Bench):
    bench.running_job(runs=3, team="vision")
    bench.claim()
    store.jobs.submit(spec(team="vision"))
    store.jobs.submit(spec(team="speech"))
    told = scrape()
    assert told["tuner_jobs"] == {
        by(team="vision", state="running"): 1,
        by(team="vision", state="queued"): 1,
        by(team="speech", state="queued"): 1,
    }
    assert told["tuner_runs"] == {by(team="vision", state="queued"): 2, by(team="vision", state="leased"): 1}


def test_the_oldest_that_waits_is_told_by_team(scrape: Scraper, store: Store, bench: Bench, sql: Sql):
    bench.running_job(runs=2, team="vision")
    store.jobs.submit(spec(team="speech"))
    sql("UPDATE tuner_runs SET queued_at = queued_at - 500 WHERE trial_number = 1")
    sql("UPDATE tuner_jobs SET created_at = created_at - 900 WHERE team = 'speech'")
    told = scrape()["tuner_queue_oldest_waiting_seconds"]
    assert 500 <= told[by(team="vision")] < 600
    assert 900 <= told[by(team="speech")] < 1_000


def test_a_paused_job_waits_for_nothing(scrape: Scraper, bench: Bench, sql: Sql):
    bench.running_job(runs=1)
    sql("UPDATE tuner_jobs SET state = 'paused'")
    assert "tuner_queue_oldest_waiting_seconds" not in scrape()


def test_how_long_runs_waited_is_a_histogram_by_team(scrape: Scraper, bench: Bench, sql: Sql):
    bench.running_job(runs=3, team="vision")
    sql("UPDATE tuner_runs SET queued_at = queued_at - 10 WHERE trial_number = 0")
    sql("UPDATE tuner_runs SET queued_at = queued_at - 400 WHERE trial_number = 1")
    for _ in range(3):
        bench.claim()
    for _ in range(2):  # nothing is counted twice
        told = scrape()
        buckets = {
            dict(labels)["le"]: count
            for labels, count in told["tuner_queue_wait_seconds_bucket"].items()
            if ("team", "vision") in labels
        }
        assert (buckets["5.0"], buckets["15.0"], buckets["300.0"], buckets["900.0"], buckets["+Inf"]) == (1, 2, 2, 3, 3)
        assert told["tuner_queue_wait_seconds_count"] == {by(team="vision"): 3}
        assert 410 <= told["tuner_queue_wait_seconds_sum"][by(team="vision")] < 500


def test_leases_that_expire_are_counted_and_those_given_back_are_not(
    scrape: Scraper, store: Store, bench: Bench, expire: Callable[[str], None]
):
    given_back = bench.running_job(runs=1, team="speech")
    store.leases.release(bench.claim())
    store.jobs.cancel(given_back.id, reason="enough")
    bench.running_job(runs=1, team="vision")
    for _ in range(3):  # the third time the run has failed
        expire(bench.claim().run_id)
        store.reaper.reap()
    assert scrape()["tuner_lease_expiries_total"] == {by(team="vision"): 3}
    assert scrape()["tuner_lease_expiries_total"] == {by(team="vision"): 3}


def test_pruned_trials_are_counted_by_the_family_of_their_schedule(scrape: Scraper, store: Store, bench: Bench):
    store.jobs.submit(spec())
    lock = bench.lock()
    store.planning.start_job(lock)
    for number in range(3):
        bench.add_trial(lock, number)
    for number in range(2):
        store.planning.close_trial(lock, number=number, state=TrialState.PRUNED, reason="worse than its peers")
    store.planning.close_trial(lock, number=2, state=TrialState.COMPLETED, reason="at the horizon")
    assert scrape()["tuner_prunes_total"] == {by(family="cosine"): 2}


def test_what_happened_before_the_first_look_is_not_counted(store: Store, bench: Bench):
    bench.running_job(runs=1)
    bench.claim()
    told = Scraper(store)()
    assert "tuner_queue_wait_seconds_count" not in told


def test_what_teams_have_used_is_summed_over_users_and_hours_and_never_falls(scrape: Scraper, sql: Sql):
    for team, owner in (("vision", "ada"), ("vision", "bob"), ("speech", "cyd")):
        sql("INSERT INTO tuner_accounts (team, owner) VALUES (:team, :owner)", team=team, owner=owner)
    rows = [("vision", "ada", 1, 10.5, 100), ("vision", "ada", 2, 1.0, 10), ("vision", "bob", 2, 0.5, 5)]
    for team, owner, hour, seconds, updates in [*rows, ("speech", "cyd", 2, 7.0, 70)]:
        sql(
            "INSERT INTO tuner_usage (team, owner, hour, device_seconds, updates) VALUES (:t, :o, :h, :s, :u)",
            **{"t": team, "o": owner, "h": hour, "s": seconds, "u": updates},
        )
    told = scrape()
    assert told["tuner_device_seconds_total"] == {by(team="vision"): 12.0, by(team="speech"): 7.0}
    assert told["tuner_updates_total"] == {by(team="vision"): 115, by(team="speech"): 70}


def test_workers_are_counted_by_what_they_do(scrape: Scraper, store: Store, bench: Bench, sql: Sql):
    assert scrape()["tuner_workers"][by(state="idle")] == 1
    bench.running_job(runs=1)
    bench.claim()
    assert scrape()["tuner_workers"][by(state="training")] == 1
    sql("UPDATE tuner_workers SET draining = true")
    assert scrape()["tuner_workers"][by(state="draining")] == 1
    sql("UPDATE tuner_workers SET heartbeat_at = 1.0")
    assert scrape()["tuner_workers"][by(state="lost")] == 1
    store.workers.retire("w1")
    assert set(scrape()["tuner_workers"].values()) == {0}


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("draining", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_a_worker_is_in_one_of_the_states_that_there_are(alive: bool, draining: bool, training: bool):
    assert worker_state(alive=alive, draining=draining, training=training) in WORKER_STATES


def test_deliveries_to_webhooks_are_counted_by_state(scrape: Scraper, store: Store):
    store.webhooks.create(NewWebhook.model_validate({"url": "https://example.org/", "events": ["job.submitted"]}))
    for _ in range(2):
        store.jobs.submit(spec())
    store.deliveries.enqueue()
    store.deliveries.claim(hold_seconds=60)
    assert scrape()["tuner_webhook_deliveries"] == {by(state="pending"): 1, by(state="sending"): 1}


def test_while_the_database_is_away_only_that_is_told_and_nothing_is_lost(
    scrape: Scraper, store: Store, bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    bench.running_job(runs=1, team="vision")
    bench.claim()

    def away() -> None:
        raise DatabaseUnavailable("connection refused")

    with monkeypatch.context() as patched, structlog.testing.capture_logs():
        patched.setattr(store.metrics, "gauges", away)
        assert scrape() == {"tuner_database_up": {by(): 0}}
    told = scrape()
    assert told["tuner_database_up"] == {by(): 1}
    assert told["tuner_queue_wait_seconds_count"] == {by(team="vision"): 1}


def test_figures_are_told_again_while_they_are_fresh(store: Store):
    now = 0.0
    scraper = Scraper(store, max_age=timedelta(seconds=5), clock=lambda: now)
    scraper()
    store.jobs.submit(spec())
    now = 4.9
    assert "tuner_jobs" not in scraper()
    now = 5.0
    assert scraper()["tuner_jobs"] == {by(team="default", state="queued"): 1}
