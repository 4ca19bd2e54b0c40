"""Every refusal names the field, its value and the allowed values; every error is a problem with a page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from tests.integration.service.world import World
from tuner.errors import DatabaseUnavailable
from tuner.store import Store
from tuner_service.json_body import StrictRoute
from tuner_service.problems.catalog import CATALOG

SPACE = {
    "peak_lr": {"low": 0.01, "high": 0.1, "log": True},
    "warmup": [0.0],
    "floor": [0.0],
    "families": [{"name": "linear"}],
}
REFUSED_JOBS: dict[str, tuple[dict[str, Any], str, Any, str]] = {
    "unknown workload": ({"workload": "digit"}, "workload", "digit", "digits-mlp"),
    "no workload": ({}, "workload", None, "given"),
    "empty workload": ({"workload": ""}, "workload", "", "at least 1"),
    "misspelled field": ({"workload": "digits-mlp", "prioritty": 1}, "prioritty", 1, "priority"),
    "unknown class": ({"workload": "digits-mlp", "priority": "urgent"}, "priority", "urgent", "'low', 'normal'"),
    "number for a class": ({"workload": "digits-mlp", "priority": 1}, "priority", 1, "'low', 'normal'"),
    "truth for a number": (
        {"workload": "digits-mlp", "search": {"trials": True}},
        "search.trials",
        True,
        "a whole number",
    ),
    "no device so large": (
        {"workload": "digits-mlp", "resources": {"devices": 65}},
        "resources.devices",
        65,
        "at most 64",
    ),
    "limit of nothing": ({"workload": "digits-mlp", "limits": {"patience": 0}}, "limits.patience", 0, "at least 1"),
    "text for a number": (
        {"workload": "digits-mlp", "search": {"trials": "3"}},
        "search.trials",
        "3",
        "a whole number",
    ),
    "fraction for a count": (
        {"workload": "digits-mlp", "search": {"trials": 3.5}},
        "search.trials",
        3.5,
        "a whole number",
    ),
    "too few trials": ({"workload": "digits-mlp", "search": {"trials": 0}}, "search.trials", 0, "at least 1"),
    "a field of no search": ({"workload": "digits-mlp", "search": {"rungs": 3}}, "search.rungs", 3, "budget"),
    "unknown name of a budget": (
        {"workload": "digits-mlp", "search": {"budget": "cheap"}},
        "search.budget",
        "cheap",
        "quick (3)",
    ),
    "horizon too short": (
        {"workload": "digits-mlp", "search": {"total_steps": 3}},
        "search.total_steps",
        3,
        "at least 10",
    ),
    "less than a full run": ({"workload": "digits-mlp", "search": {"budget": 0.5}}, "search.budget", 0.5, "at least 1"),
    "unknown option": ({"workload": "digits-mlp", "options": {"widht": 3}}, "options.widht", 3, "width"),
    "option out of range": ({"workload": "digits-mlp", "options": {"width": 0}}, "options.width", 0, "at least 1"),
    "option at an open end": ({"workload": "digits-mlp", "options": {"dropout": 1}}, "options.dropout", 1, "below 1"),
    "option of another type": (
        {"workload": "digits-mlp", "options": {"width": "wide"}},
        "options.width",
        "wide",
        "a whole number",
    ),
    "truth for an option's number": (
        {"workload": "digits-mlp", "options": {"width": True}},
        "options.width",
        True,
        "a whole number",
    ),
    "option not among its values": (
        {"workload": "digits-mlp", "options": {"optimizer": "lion"}},
        "options.optimizer",
        "lion",
        "'sgd', 'adam'",
    ),
    "unknown family": (
        {"workload": "digits-mlp", "search": {"space": SPACE | {"families": [{"name": "linnear"}]}}},
        "search.space.families.0.name",
        "linnear",
        "linear",
    ),
    "space turned round": (
        {"workload": "digits-mlp", "search": {"space": SPACE | {"peak_lr": {"low": 1.0, "high": 0.1}}}},
        "search.space.peak_lr.high",
        0.1,
        "at least",
    ),
    "text that no database stores": ({"workload": "digits-mlp", "name": "a\0b"}, "name", "'a\\x00b'", "without NUL"),
    "half a character": ({"workload": "digits-mlp", "name": "\ud800"}, "name", "'\\ud800'", "without NUL"),
}
REFUSED_PREVIEWS: dict[str, tuple[dict[str, Any], str, Any, str]] = {
    "unknown family": (
        {"schedule": {"peak_lr": 0.1, "family": {"name": "wsdd"}}, "total_steps": 10},
        "schedule.family.name",
        "wsdd",
        "'wsd'",
    ),
    "peak below zero": (
        {"schedule": {"peak_lr": -1, "family": {"name": "linear"}}, "total_steps": 10},
        "schedule.peak_lr",
        -1,
        "above 0",
    ),
    "cooldown above the whole": (
        {"schedule": {"peak_lr": 0.1, "family": {"name": "wsd", "cooldown": 2}}, "total_steps": 10},
        "schedule.family.cooldown",
        2,
        "in [0, 1]",
    ),
    "misspelled parameter": (
        {"schedule": {"peak_lr": 0.1, "family": {"name": "wsd", "cooldwn": 0.4}}, "total_steps": 10},
        "schedule.family.cooldwn",
        0.4,
        "cooldown",
    ),
    "no updates": (
        {"schedule": {"peak_lr": 0.1, "family": {"name": "linear"}}, "total_steps": 0},
        "total_steps",
        0,
        "1",
    ),
}


def body_of(answer: Any) -> dict[str, Any]:
    """The problem, checked for what every problem has."""
    told: dict[str, Any] = answer.json()
    kind = CATALOG[told["type"].removeprefix("/problems/")]
    assert answer.headers["content-type"] == "application/problem+json"
    assert (told["status"], told["title"]) == (answer.status_code, kind.title) == (kind.status, kind.title)
    assert told["instance"] == f"urn:uuid:{answer.headers['X-Request-ID']}"
    assert set(kind.members) <= told.keys()
    assert told["detail"]
    return told


@pytest.mark.parametrize("case", REFUSED_JOBS)
def test_a_refused_job_names_field_value_and_what_is_allowed(still: TestClient, case: str):
    body, field, value, allowed = REFUSED_JOBS[case]
    content = json.dumps(body)  # in ASCII, which can spell what UTF-8 cannot
    told = body_of(still.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"}))
    assert told["status"] == 422
    assert (told["field"], told["value"]) == (field, value)
    assert allowed in told["allowed"]
    assert field in told["detail"]
    assert told["errors"][0]["field"] == field
    assert still.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize("case", REFUSED_PREVIEWS)
def test_a_refused_schedule_names_field_value_and_what_is_allowed(still: TestClient, case: str):
    body, field, value, allowed = REFUSED_PREVIEWS[case]
    told = body_of(still.post("/v1/schedules/preview", json=body))
    assert (told["status"], told["field"], told["value"]) == (422, field, value)
    assert allowed in told["allowed"]


def test_all_refusals_of_a_body_are_reported_at_once(still: TestClient):
    told = body_of(still.post("/v1/jobs", json={"workload": 1, "priority": "urgent", "search": {"keep": 0}}))
    assert {error["field"] for error in told["errors"]} == {"workload", "priority", "search.keep"}
    assert "2 more" in told["detail"]


def test_without_a_worker_the_refusal_says_what_to_start(api: TestClient):
    told = body_of(api.post("/v1/jobs", json={"workload": "digits-mlp"}))
    assert "tuner up" in told["hint"]


def test_curls_default_content_type_is_refused_with_the_header_to_add(still: TestClient):
    told = body_of(still.post("/v1/jobs", content=b"{}", headers={"Content-Type": "application/x-www-form-urlencoded"}))
    assert told["status"] == 415
    assert "Content-Type: application/json" in told["detail"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{nope", "is not JSON"), (b"", "missing"), (b"[" * 100 + b"]" * 100, "nested"), (b'"text"', "JSON object")],
)
def test_bodies_that_are_no_requests_are_refused(still: TestClient, content: bytes, words: str):
    told = body_of(still.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"}))
    assert told["status"] == 422
    assert words in told["detail"]


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        (b'{"workload": "digits-mlp",}', "request", "is not JSON: "),
        (b'{"workload": "a\nb"}', "request", "is not JSON: Invalid control character at line 1, column 16"),
        (b'{"workload":\n "digits-mlp" "a"}', "request", "Expecting ',' delimiter at line 2, column 15"),
        (b'{"workload": "caf\xe9"}', "request", "is not JSON: byte 17 (0xe9) is no UTF-8"),
        (b"[" * 100_000, "request", "nested at most 32 deep"),
        (b'{"seed": ' + b"1" * 5_000 + b"}", "request", 'numbers of at most a few hundred digits, got "111'),
        (b'{"workload": "a", "workload": "digits-mlp"}', "workload", "workload must be given once, got"),
        (b'{"workload": "digits-mlp", "search": {"trials": 1, "trials": 9}}', "search.trials", "given once, got 9"),
        (b'{"a": [1, {"b": 1, "b": 1}]}', "a.1.b", "given once"),
        (b'{"workload": "digits-mlp", "search": {"trials": 1e999}}', "search.trials", "a finite number"),
        (b'{"workload": "digits-mlp", "search": {"trials": NaN}}', "search.trials", "a finite number"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/preview", "/v1/schedules/preview", "/v1/tokens"])
def test_a_body_that_cannot_be_read_names_the_field_or_the_place(still, path, content, field, words):
    told = body_of(still.post(path, content=content, headers={"Content-Type": "application/json"}))
    assert (told["status"], told["field"]) == (422, field)
    assert words in told["detail"]


def test_every_route_with_a_body_reads_it_strictly(still: TestClient):
    app: Any = still.app
    routes: list[Any] = [context.original_route for context in iter_route_contexts(app.routes)]
    reading = [route for route in routes if getattr(route, "body_field", None) is not None]
    assert len(reading) > 10
    assert [route.path for route in reading if not isinstance(route, StrictRoute)] == []


def test_a_body_above_the_limit_is_refused(still: TestClient):
    content = b'{"workload": "' + b"x" * 2**20 + b'"}'
    told = body_of(still.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"}))
    assert told["status"] == 413


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/v1/jobs?limit=0", "limit", "0"),
        ("/v1/jobs?state=done", "state.0", "done"),
        ("/v1/jobs?cursor=zz", "cursor", "zz"),
        ("/v1/jobs?stat=running", "stat", "running"),
        ("/v1/workers?alive=1", "alive", "1"),
        ("/v1/jobs?limit=1&Limit=2", "Limit", "2"),
    ],
)
def test_refused_queries_name_the_parameter(still: TestClient, path: str, field: str, value: str):
    told = body_of(still.get(path))
    assert (told["status"], told["field"], told["value"]) == (422, field, value)


@pytest.mark.parametrize(
    "body",
    [
        {f"unknown{number}": 0 for number in range(30_000)},
        {"schedule": {"peak_lr": 1, "family": {"name": "piecewise_linear", "knots": [{"at": "x"}] * 30_000}}},
        [[0] * 100] * 1000,
    ],
    ids=["fields", "knots", "lists"],
)
def test_a_body_of_very_many_values_is_refused_before_each_of_them_is_checked(still: TestClient, body: Any):
    told = body_of(still.post("/v1/schedules/preview", json=body))
    assert (told["status"], told["field"], len(told["errors"])) == (422, "request", 1)
    assert told["detail"] == 'request must be made of at most 10,000 values, got "more".'


def test_a_misspelled_parameter_is_refused_with_the_known_ones(still: TestClient):
    told = body_of(still.get("/v1/jobs?stat=running"))
    assert "state, team, workload, owner, text, sort, view, cursor, limit" in told["allowed"]
    assert told["hint"] == "Did you mean 'state'?"


def test_a_parameter_that_is_no_list_is_refused_when_it_is_repeated(still: TestClient):
    refused = body_of(still.get("/v1/jobs?limit=1&limit=2"))
    assert (refused["status"], refused["field"], refused["value"]) == (422, "limit", ["1", "2"])
    assert refused["allowed"] == "given once"
    assert still.get("/v1/jobs?state=running&state=queued").status_code == 200


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/jobs/nope", "job"),
        ("/v1/runs/nope", "run"),
        ("/v1/workloads/nope", "workload"),
        ("/v1/workers/nope", "worker"),
        ("/v2", "path"),
    ],
)
def test_a_missing_object_is_named_with_how_to_list_them(still: TestClient, path: str, kind: str):
    told = body_of(still.get(path))
    assert (told["status"], told["kind"]) == (404, kind)
    assert told["hint"]


def test_a_wrong_method_is_refused_with_the_allowed_ones(still: TestClient):
    answer = still.put("/v1/jobs")
    assert body_of(answer)["allowed"] == ["GET", "POST"]
    assert answer.headers["Allow"] == "GET, POST"


def test_the_document_allows_get_alone(still: TestClient):
    assert "GET" in body_of(still.post("/openapi.json"))["allowed"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8642", "", "10.0.0.1"])
def test_another_host_name_is_refused(still: TestClient, host: str):
    assert body_of(still.get("/v1/jobs", headers={"Host": host}))["type"] == "/problems/unknown-host"


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1:1234", "[::1]:1234"])
def test_any_name_of_this_machine_is_accepted(still: TestClient, host: str):
    assert still.get("/v1/jobs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "http://[bad"])
def test_a_page_of_another_origin_cannot_write(still: TestClient, origin: str):
    headers = {"Origin": origin, "Host": "localhost:8642"}
    told = body_of(still.post("/v1/jobs", json={"workload": "digits-mlp"}, headers=headers))
    assert told["type"] == "/problems/foreign-origin"


def test_our_own_pages_may_write(api: TestClient, world: World):
    headers = {"Origin": "http://localhost:8642", "Host": "localhost:8642"}
    assert api.post("/v1/jobs", json={"workload": "digits-mlp"}, headers=headers).status_code == 201


def test_a_database_that_is_away_is_a_passing_problem(api: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch):
    def away(**_: object) -> None:
        raise DatabaseUnavailable("the database does not answer: connection refused")

    monkeypatch.setattr(store.workers, "workers", away)
    monkeypatch.setattr(store, "now", away)
    answer, ready = api.get("/v1/workers"), api.get("/readyz")
    assert body_of(answer)["type"] == "/problems/database-unavailable"
    assert body_of(ready)["type"] == "/problems/not-ready"
    assert "the service's log has the reason" in ready.json()["checks"]["database"]
    assert "connection refused" not in answer.text + ready.text  # what a driver says names hosts
    assert answer.headers["Retry-After"] == ready.headers["Retry-After"] == "5"


def test_an_internal_error_reveals_no_details(api: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch):
    def broken(**_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(store.workers, "workers", broken)
    answer = api.get("/v1/workers")
    assert body_of(answer)["type"] == "/problems/internal-error"
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("slug", CATALOG)
def test_every_problem_has_a_page_for_people(still: TestClient, slug: str):
    answer = still.get(f"/problems/{slug}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert CATALOG[slug].title in answer.text
    assert all(name in answer.text for name in CATALOG[slug].members)


def test_of_thousands_of_refusals_the_first_are_listed(still: TestClient):
    wrong = {f"field{number}": number for number in range(5_000)}
    problem = still.post("/v1/jobs", json={"workload": "digits-mlp"} | wrong).json()
    assert [one["field"] for one in problem["errors"]] == [f"field{number}" for number in range(50)]
    assert problem["detail"].endswith(" (4999 more)")
