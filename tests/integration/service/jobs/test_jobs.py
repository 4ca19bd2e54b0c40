"""Jobs over HTTP, with a database as workers leave it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import DIGITS, REQUEST, SCHEDULES
from tests.integration.service.world import World
from tuner.report.report import Report
from tuner.schedules import Schedule


class TestSubmit:
    def test_a_submitted_job_leaves_nothing_open(self, api: TestClient, world: World):
        answer = api.post("/v1/jobs", json={"workload": "digits-mlp"})
        job = answer.json()
        assert answer.status_code == 201
        assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
        assert job["state"] == "queued"
        assert job["spec"]["options"] == {"width": 64, "dropout": 0.0, "optimizer": "sgd"}
        assert job["spec"]["search"]["total_steps"] == DIGITS.default_steps
        assert job["spec"]["search"]["space"]["peak_lr"]["low"] == 0.01
        assert job["progress"]["fraction"] == 0
        assert job["spec"]["search"]["budget"] == 10
        assert job["price"]["full_runs"] == 10

    def test_every_job_gets_a_seed_of_its_own_unless_it_names_one(self, api: TestClient, world: World):
        def seed(search: dict[str, Any]) -> int:
            return api.post("/v1/jobs", json={"workload": "digits-mlp", "search": search}).json()["spec"]["search"][
                "seed"
            ]

        assert len({seed({}) for _ in range(5)}) == 5
        assert seed({"seed": 4}) == 4

    def test_a_budget_may_be_named(self, api: TestClient, world: World):
        body = {"workload": "digits-mlp", "search": {"budget": "quick"}}
        assert api.post("/v1/jobs", json=body).json()["spec"]["search"]["budget"] == 3

    def test_the_same_key_and_body_give_the_same_job(self, api: TestClient, world: World):
        first, second = (api.post("/v1/jobs", json=REQUEST, headers={"Idempotency-Key": "k-1"}) for _ in range(2))
        assert first.json()["id"] == second.json()["id"]
        assert len(api.get("/v1/jobs").json()["items"]) == 1

    def test_the_same_key_with_another_body_is_a_conflict(self, api: TestClient, world: World):
        job = api.post("/v1/jobs", json=REQUEST, headers={"Idempotency-Key": "k-1"}).json()
        answer = api.post("/v1/jobs", json=REQUEST | {"name": "other"}, headers={"Idempotency-Key": "k-1"})
        assert answer.status_code == 409
        assert answer.json()["type"] == "/problems/idempotency-conflict"
        assert answer.json()["job_id"] == job["id"]


class TestList:
    def test_pages_hold_every_job_once_newest_first(self, api: TestClient, world: World):
        made = [world.job().id for _ in range(5)]
        seen, cursor = [], {}
        while True:
            page = api.get("/v1/jobs", params={"limit": 2, **cursor}).json()
            seen += [job["id"] for job in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == made[::-1]

    def test_states_filter(self, api: TestClient, world: World):
        kept, cancelled = world.job(), world.job()
        api.post(f"/v1/jobs/{cancelled.id}/cancel")
        for state, job in (("queued", kept), ("cancelled", cancelled)):
            found = api.get("/v1/jobs", params={"state": state}).json()["items"]
            assert [one["id"] for one in found] == [job.id]
        both = api.get("/v1/jobs", params={"state": ["queued", "cancelled"]}).json()["items"]
        assert len(both) == 2


class TestCancel:
    def test_the_reason_is_stored_and_the_body_may_be_absent(self, api: TestClient, world: World):
        with_reason = api.post(f"/v1/jobs/{world.job().id}/cancel", json={"reason": "wrong data"})
        without = api.post(f"/v1/jobs/{world.job().id}/cancel")
        assert (with_reason.status_code, without.status_code) == (200, 200)
        assert with_reason.json()["state"] == "cancelled"
        assert "wrong data" in with_reason.json()["error"]

    def test_a_completed_job_cannot_be_cancelled(self, api: TestClient, world: World):
        job = world.completed()
        answer = api.post(f"/v1/jobs/{job.id}/cancel")
        assert answer.status_code == 409
        assert answer.json()["type"] == "/problems/state-conflict"
        assert {
            "kind": "job",
            "key": job.id,
            "state": "completed",
            "wanted": "cancelled",
        }.items() <= answer.json().items()


class TestProgress:
    def test_it_counts_what_the_workers_did(self, api: TestClient, world: World):
        job = world.job()
        world.started(job)
        world.train(loss=0.5)
        world.train(loss=None)
        world.claim()
        progress = api.get(f"/v1/jobs/{job.id}").json()["progress"]
        assert progress["trials"] == {"opened": 3, "pruned": 0, "completed": 0, "failed": 0, "most": 3}
        assert progress["runs"] == {"ended": 2, "running": 1, "queued": 0}
        assert progress["best"] is None
        assert progress["full_runs_spent"] == (90 + 20) / 90
        assert 0 < progress["fraction"] < 1

    def test_the_best_is_what_the_report_recommends(self, api: TestClient, world: World):
        job = world.completed()
        best = api.get(f"/v1/jobs/{job.id}").json()["progress"]["best"]
        recommended = api.get(f"/v1/jobs/{job.id}/report").json()["recommended"]
        assert (best["trial"], best["label"]) == (recommended["trial"], recommended["label"])
        assert best["value"] == pytest.approx(recommended["expected"])
        assert (best["low"], best["high"]) == pytest.approx((recommended["low"], recommended["high"]))

    def test_the_event_of_its_end_says_why_the_study_ended(self, api: TestClient, world: World):
        job = world.worked_off(world.job(search=REQUEST["search"] | {"budget": 2}))
        report = api.get(f"/v1/jobs/{job.id}/report").json()
        last = world.store.events.after(0, job_id=job.id)[-1]
        assert (last.kind, last.data["reason"]) == ("job.completed", report["end_reason"])
        assert api.get(f"/v1/jobs/{job.id}").json()["error"] is None

    def test_trials_runs_and_curves_can_be_read(self, api: TestClient, world: World):
        job = world.job()
        world.started(job)
        lease = world.train(loss=0.5)
        trials = api.get(f"/v1/jobs/{job.id}/trials").json()["items"]
        runs = api.get(f"/v1/jobs/{job.id}/runs").json()["items"]
        assert [trial["number"] for trial in trials] == [0, 1, 2]
        assert Schedule.model_validate(trials[2]["schedule"]) == SCHEDULES[2]
        assert [run["id"] for run in runs if run["state"] == "succeeded"] == [lease.run_id]
        assert api.get(f"/v1/runs/{lease.run_id}").json()["value"] == 0.5
        assert api.get(f"/v1/runs/{lease.run_id}/curve").json() == [
            {"step": 10, "lr": 0.1, "train_loss": 1.0, "value": 0.9}
        ]


class TestAnswer:
    def test_the_report_is_the_stored_one(self, api: TestClient, world: World):
        job = world.completed()
        report = Report.model_validate(api.get(f"/v1/jobs/{job.id}/report").json())
        assert report.job_id == job.id
        assert report.recommended.trial == 2

    def test_the_report_comes_as_a_page_that_may_do_nothing_but_be_read(self, api: TestClient, world: World):
        job = world.completed(name="<b>bold</b>")
        html = api.get(f"/v1/jobs/{job.id}/report", params={"format": "html"})
        assert html.headers["content-type"] == "text/html; charset=utf-8"
        assert html.headers["content-security-policy"].startswith("default-src 'none';")
        assert "&lt;b&gt;bold&lt;/b&gt;" in html.text
        assert "<b>" not in html.text
        markdown = api.get(f"/v1/jobs/{job.id}/report", params={"format": "markdown"})
        assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
        assert markdown.text.startswith("# Schedule report: &lt;b&gt;bold&lt;/b&gt;\n")

    def test_a_report_in_a_format_that_there_is_not_is_refused_with_those_there_are(
        self, api: TestClient, world: World
    ):
        answer = api.get(f"/v1/jobs/{world.completed().id}/report", params={"format": "pdf"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert "one of 'json', 'markdown', 'html'" in answer.text

    def test_before_the_end_the_refusal_says_what_can_be_had(self, api: TestClient, world: World):
        job = world.job()
        waiting = api.get(f"/v1/jobs/{job.id}/report").json()
        lock = world.started(job)
        world.train(loss=0.5)
        world.compared(job, lock=lock)
        answer = api.get(f"/v1/jobs/{job.id}/export")
        assert waiting["status"] == answer.status_code == 409
        assert answer.json()["type"] == "/problems/report-not-ready"
        assert answer.json()["state"] == "running"
        assert f"/v1/jobs/{job.id}/export?trial=0" in answer.json()["detail"]
        assert "/events" in waiting["detail"]

    def test_the_exported_schedule_reads_back(self, api: TestClient, world: World):
        job = world.completed()
        recommended = Report.model_validate(api.get(f"/v1/jobs/{job.id}/report").json()).recommended.schedule
        assert Schedule.from_json(api.get(f"/v1/jobs/{job.id}/export").text) == recommended
        by_number = api.get(f"/v1/jobs/{job.id}/export", params={"trial": 1, "format": "json"})
        assert Schedule.from_json(by_number.text) == SCHEDULES[1]

    def test_the_csv_is_dense_and_exact(self, api: TestClient, world: World):
        job = world.completed()
        answer = api.get(f"/v1/jobs/{job.id}/export", params={"trial": 2, "format": "csv", "total_steps": 20_000})
        head, *rows = answer.text.splitlines()
        lrs = SCHEDULES[2].compressed(20_000, from_steps=90).lrs(20_000)
        assert answer.headers["content-type"].startswith("text/csv")
        assert head == "update,lr"
        assert [row.split(",")[0] for row in rows] == [str(update) for update in range(20_000)]
        assert [float(row.split(",")[1]) for row in rows] == lrs.tolist()

    def test_code_for_another_length_says_what_it_was_fitted_from_and_what_trains(self, api: TestClient, world: World):
        job = world.completed()
        query: dict[str, Any] = {"trial": 2, "format": "python", "total_steps": 900}
        code = api.get(f"/v1/jobs/{job.id}/export", params=query).text
        names: dict[str, Any] = {}
        exec(code, names)
        lrs = [names["lr"](update) for update in range(900)]
        assert lrs == pytest.approx(SCHEDULES[2].compressed(900, from_steps=90).lrs(900).tolist(), rel=1e-9)
        assert "# Effective batch size: not known here. Optimizer: sgd.\n" in code
        assert "Fitted from 90 updates to 900." in code

    @pytest.mark.parametrize(("query", "kind"), [({"trial": 99}, "trial"), ({}, "job")])
    def test_what_does_not_exist_is_named(self, api: TestClient, world: World, query: dict[str, int], kind: str):
        job_id = world.completed().id if kind == "trial" else str(uuid.uuid4())
        answer = api.get(f"/v1/jobs/{job_id}/export", params=query)
        assert answer.status_code == 404
        assert answer.json()["kind"] == kind
        assert answer.json()["hint"]


class TestFleet:
    def test_workloads_and_workers_are_listed(self, api: TestClient, world: World):
        assert [one["name"] for one in api.get("/v1/workloads").json()] == ["digits-mlp"]
        assert api.get("/v1/workloads/digits-mlp").json()["options_schema"] == DIGITS.options_schema
        workers = api.get("/v1/workers").json()
        assert [(worker["name"], worker["alive"]) for worker in workers] == [("w1", True)]


class TestPreview:
    def test_points_are_spread_from_the_first_to_the_last_update(self, api: TestClient):
        schedule = SCHEDULES[2]
        body = {"schedule": schedule.model_dump(mode="json", exclude_none=True), "total_steps": 1000, "points": 11}
        preview = api.post("/v1/schedules/preview", json=body).json()
        lrs = schedule.lrs(1000)
        assert (preview["label"], preview["digest"]) == (schedule.label, schedule.digest)
        assert [point["update"] for point in preview["points"]] == [0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999]
        assert all(point["lr"] == lrs[point["update"]] for point in preview["points"])

    def test_a_run_with_fewer_points_has_its_whole_curve(self, api: TestClient):
        body = {"schedule": {"peak_lr": 0.1, "family": {"name": "linear"}}, "total_steps": 3}
        preview = api.post("/v1/schedules/preview", json=body).json()
        assert [point["update"] for point in preview["points"]] == [0, 1, 2]
