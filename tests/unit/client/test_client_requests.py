"""The client against the published document: its operations exist, and it reads their examples."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

from tuner.client import Client
from tuner.errors import MISSING
from tuner.jobs.admission.change import JobChange
from tuner.jobs.spec import Limits
from tuner.jobs.states import JobState, RunState
from tuner.jobs.webhooks import DeliveryState
from tuner.people.permissions import Role
from tuner.people.records import TeamSettings
from tuner.report.pages.formats import ReportFormat
from tuner.schedules import Constant, Schedule

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
ID = "0f9b9a3c-1d2e-4f50-8a6b-7c8d9e0f1a2b"
SCHEDULE = Schedule(peak_lr=0.1, family=Constant())
NOT_OF_THE_CLIENT = {"/v1/jobs/{job_id}/dashboard", "/v1/jobs/{job_id}/trials/{number}/schedule.svg"}
"""For browsers."""

CALLS: dict[str, Callable[[Client], Any]] = {
    "POST /v1/jobs": lambda client: client.submit({"workload": "digits-mlp"}, idempotency_key="k"),
    "POST /v1/jobs/preview": lambda client: client.preview_job({"workload": "digits-mlp"}),
    "GET /v1/jobs": lambda client: next(
        client.jobs(states=[JobState.PAUSED], team="vision", workload="w", owner="ada", text="first")
    ),
    "GET /v1/jobs/{job_id}": lambda client: client.job(ID),
    "PATCH /v1/jobs/{job_id}": lambda client: client.change(ID, JobChange(budget=9, limits=Limits(patience=None))),
    "DELETE /v1/jobs/{job_id}": lambda client: client.delete(ID),
    "POST /v1/jobs/{job_id}/clone": lambda client: client.clone(ID, change={"name": "again"}),
    "POST /v1/jobs/{job_id}/pause": lambda client: client.pause(ID),
    "POST /v1/jobs/{job_id}/resume": lambda client: client.resume(ID),
    "POST /v1/jobs/{job_id}/cancel": lambda client: client.cancel(ID, reason="wrong data"),
    "POST /v1/jobs/{job_id}/retry": lambda client: client.retry(ID),
    "GET /v1/jobs/{job_id}/trials": lambda client: client.trials(ID),
    "GET /v1/jobs/{job_id}/runs": lambda client: client.runs(ID, trial=1, state=RunState.DIVERGED),
    "GET /v1/jobs/{job_id}/range-test": lambda client: client.range_test(ID),
    "GET /v1/jobs/{job_id}/schedules": lambda client: next(client.rates(ID, points=50)),
    "GET /v1/jobs/{job_id}/curves": lambda client: next(client.curves(ID, points=50, trial=1)),
    "GET /v1/jobs/{job_id}/standing": lambda client: client.standing(ID),
    "GET /v1/schedules/families": lambda client: client.families(),
    "GET /v1/schedules/formats": lambda client: client.formats(),
    "GET /v1/jobs/{job_id}/report": lambda client: client.report_page(ID, format=ReportFormat.HTML),
    "GET /v1/jobs/{job_id}/export": lambda client: client.export(ID, trial=1, total_steps=90),
    "GET /v1/jobs/{job_id}/events": lambda client: next(client.events(ID, after=3)),
    "GET /v1/events": lambda client: next(client.events(after=3)),
    "GET /v1/runs": lambda client: client.find_runs("3f2a"),
    "GET /v1/runs/{run_id}": lambda client: client.run(ID),
    "GET /v1/runs/{run_id}/curve": lambda client: client.curve(ID, points=50),
    "GET /v1/runs/{run_id}/log": lambda client: list(client.log_chunks(ID)),
    "GET /v1/queue": lambda client: client.queue(),
    "GET /v1/queue/shares": lambda client: client.shares(),
    "GET /v1/workloads": lambda client: client.workloads(),
    "GET /v1/workloads/{name}": lambda client: client.workload("digits-mlp"),
    "GET /v1/workers": lambda client: client.workers(),
    "GET /v1/workers/{name}": lambda client: client.worker("gpu-1"),
    "PATCH /v1/workers/{name}": lambda client: client.set_worker("gpu-1", draining=True, reserved_for=None),
    "DELETE /v1/workers/{name}": lambda client: client.forget_worker("gpu-1"),
    "POST /v1/schedules/import": lambda client: client.import_schedule("lr_scheduler_type: cosine", total_steps=90),
    "POST /v1/schedules/preview": lambda client: client.preview(SCHEDULE, total_steps=90),
    "POST /v1/schedules/export": lambda client: client.export_schedule(SCHEDULE, total_steps=90, format="torch"),
    "POST /v1/schedules/compress": lambda client: client.compress(SCHEDULE, from_steps=90, to_steps=30),
    "POST /v1/schedules/scale": lambda client: client.scale(
        SCHEDULE, rule="sqrt", from_batch=64, to_batch=256, optimizer="adam"
    ),
    "GET /v1/me": lambda client: client.people.me(),
    "GET /v1/users": lambda client: client.people.users(),
    "GET /v1/users/{user}": lambda client: client.people.user("ada"),
    "PUT /v1/users/{user}": lambda client: client.people.put_user("ada", disabled=True),
    "GET /v1/teams": lambda client: client.people.teams(),
    "GET /v1/teams/{team}": lambda client: client.people.team("vision"),
    "PUT /v1/teams/{team}": lambda client: client.people.put_team("vision", TeamSettings(weight=2)),
    "DELETE /v1/teams/{team}": lambda client: client.people.delete_team("vision"),
    "GET /v1/teams/{team}/members": lambda client: client.people.members("vision"),
    "PUT /v1/teams/{team}/members/{user}": lambda client: client.people.put_member("vision", "ada", role=Role.VIEWER),
    "DELETE /v1/teams/{team}/members/{user}": lambda client: client.people.remove_member("vision", "ada"),
    "GET /v1/tokens": lambda client: client.people.tokens(team="vision", user="ada", valid=True),
    "POST /v1/tokens": lambda client: client.people.create_token(role=Role.VIEWER, label="l", lifetime_days=None),
    "DELETE /v1/tokens/{token_id}": lambda client: client.people.revoke_token(ID),
    "GET /v1/audit": lambda client: list(client.people.audit(team="vision", actor="ada", action="job.cancel")),
    "GET /v1/webhooks": lambda client: client.webhooks.list(),
    "POST /v1/webhooks": lambda client: client.webhooks.create({"url": "https://ci.example.org/hook"}),
    "GET /v1/webhooks/{webhook_id}": lambda client: client.webhooks.get(ID),
    "PATCH /v1/webhooks/{webhook_id}": lambda client: client.webhooks.change(ID, {"enabled": False}),
    "DELETE /v1/webhooks/{webhook_id}": lambda client: client.webhooks.delete(ID),
    "POST /v1/webhooks/{webhook_id}/test": lambda client: client.webhooks.test(ID),
    "POST /v1/webhooks/{webhook_id}/rotate-key": lambda client: client.webhooks.rotate_key(ID),
    "GET /v1/webhooks/{webhook_id}/deliveries": lambda client: list(
        client.webhooks.deliveries(ID, state=DeliveryState.FAILED)
    ),
}


class Service:
    """Answers each request with the example of its operation, and refuses what the operation does not declare."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = self._path(request)
        operation = DOCUMENT["paths"][path][request.method.lower()]
        self.asked.append(f"{request.method} {path}")
        declared = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
        assert set(request.url.params) <= declared
        if request.content:
            self._check_body(operation, json.loads(request.content))
        status, answer = next((int(code), told) for code, told in operation["responses"].items() if code < "300")
        if "content" not in answer:
            return httpx2.Response(status)
        kind, content = next(iter(answer["content"].items()))
        example = content["example"]
        text = example if isinstance(example, str) else json.dumps(example)
        return httpx2.Response(status, content=text.encode(), headers={"Content-Type": kind})

    @staticmethod
    def _path(request: httpx2.Request) -> str:
        """The most exact of the declared paths that the request fits."""
        fits = [path for path in DOCUMENT["paths"] if re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", path), request.url.path)]
        return min(fits, key=lambda path: path.count("{"))

    @staticmethod
    def _check_body(operation: dict[str, Any], body: Any) -> None:
        if body == {} and "requestBody" not in operation:
            return
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(body)


@pytest.mark.parametrize("operation", CALLS)
def test_a_call_requests_its_operation_as_declared_and_reads_the_response(operation: str):
    service = Service()
    with Client("http://tuner.example", transport=httpx2.MockTransport(service)) as client:
        CALLS[operation](client)
    assert service.asked == [operation]


def test_every_operation_has_a_method():
    operations = {
        f"{method.upper()} {path}"
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if path.startswith("/v1/") and path not in NOT_OF_THE_CLIENT
    }
    assert set(CALLS) == operations


def sent(call: Callable[[Client], Any], *, answer: Any, token: str | None = None) -> list[httpx2.Request]:
    """The requests that a call makes when everything is answered so."""
    requests: list[httpx2.Request] = []

    def service(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(200, json=answer)

    with Client("http://tuner.example/below", token=token, transport=httpx2.MockTransport(service)) as client:
        call(client)
    return requests


def test_a_token_goes_along_with_every_request_and_none_does_without():
    (request,) = sent(lambda client: client.queue(), answer={"items": []}, token="stt_x")
    assert request.headers["Authorization"] == "Bearer stt_x"
    (request,) = sent(lambda client: client.queue(), answer={"items": []})
    assert "Authorization" not in request.headers


def test_a_service_below_a_path_gets_requests_below_it():
    (request,) = sent(lambda client: client.queue(), answer={"items": []})
    assert str(request.url) == "http://tuner.example/below/v1/queue"


def test_names_are_escaped_in_paths():
    (request,) = sent(lambda client: client.forget_worker("gpu/../1"), answer=None)
    assert request.url.raw_path == b"/below/v1/workers/gpu%2F..%2F1"


def test_absent_parameters_are_not_sent():
    worker = DOCUMENT["paths"]["/v1/workers/{name}"]["patch"]["responses"]["200"]["content"]["application/json"]
    cases: tuple[Any, ...] = (
        ({"draining": False}, {"draining": False}),
        ({"reserved_for": None}, {"reserved_for": None}),
        ({"reserved_for": MISSING}, {}),
    )
    for arguments, body in cases:
        (request,) = sent(functools.partial(Client.set_worker, name="w", **arguments), answer=worker["example"])
        assert json.loads(request.content) == body


def test_pages_are_requested_until_the_last_one():
    page = DOCUMENT["paths"]["/v1/audit"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    cursors = iter(["2", None])
    seen: list[str | None] = []

    def service(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.params.get("cursor"))
        return httpx2.Response(200, json={**page, "next_cursor": next(cursors)})

    with Client("http://tuner.example", transport=httpx2.MockTransport(service)) as client:
        assert len(list(client.people.audit())) == 2 * len(page["items"])
    assert seen == [None, "2"]
