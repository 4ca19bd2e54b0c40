"""The published document: it is complete, and every operation keeps to it for any request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from schemathesis.core.errors import InvalidSchema
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.contract.conftest import Service
from tests.integration.service.team import VISION
from tuner_service.openapi import OPEN_PATHS
from tuner_service.openapi import operations as operations_of

BASE_URL = "http://127.0.0.1:8642"
EXAMPLES = 6
GIVEN_UP = 5
"""Attempts at requests that a schema forbids, each from other random numbers."""
OPERATIONS = {
    "DELETE /v1/jobs/{job_id}",
    "DELETE /v1/teams/{team}",
    "DELETE /v1/teams/{team}/members/{user}",
    "DELETE /v1/tokens/{token_id}",
    "DELETE /v1/webhooks/{webhook_id}",
    "DELETE /v1/workers/{name}",
    "GET /healthz",
    "GET /metrics",
    "GET /problems/{slug}",
    "GET /readyz",
    "GET /v1/audit",
    "GET /v1/events",
    "GET /v1/jobs",
    "GET /v1/jobs/{job_id}",
    "GET /v1/jobs/{job_id}/curves",
    "GET /v1/jobs/{job_id}/dashboard",
    "GET /v1/jobs/{job_id}/events",
    "GET /v1/jobs/{job_id}/export",
    "GET /v1/jobs/{job_id}/range-test",
    "GET /v1/jobs/{job_id}/report",
    "GET /v1/jobs/{job_id}/runs",
    "GET /v1/jobs/{job_id}/schedules",
    "GET /v1/jobs/{job_id}/standing",
    "GET /v1/jobs/{job_id}/trials",
    "GET /v1/jobs/{job_id}/trials/{number}/schedule.svg",
    "GET /v1/me",
    "GET /v1/queue",
    "GET /v1/queue/shares",
    "GET /v1/runs",
    "GET /v1/runs/{run_id}",
    "GET /v1/runs/{run_id}/curve",
    "GET /v1/runs/{run_id}/log",
    "GET /v1/schedules/families",
    "GET /v1/schedules/formats",
    "GET /v1/teams",
    "GET /v1/teams/{team}",
    "GET /v1/teams/{team}/members",
    "GET /v1/tokens",
    "GET /v1/users",
    "GET /v1/users/{user}",
    "GET /v1/webhooks",
    "GET /v1/webhooks/{webhook_id}",
    "GET /v1/webhooks/{webhook_id}/deliveries",
    "GET /v1/workers",
    "GET /v1/workers/{name}",
    "GET /v1/workloads",
    "GET /v1/workloads/{name}",
    "PATCH /v1/jobs/{job_id}",
    "PATCH /v1/webhooks/{webhook_id}",
    "PATCH /v1/workers/{name}",
    "POST /v1/jobs",
    "POST /v1/jobs/preview",
    "POST /v1/jobs/{job_id}/cancel",
    "POST /v1/jobs/{job_id}/clone",
    "POST /v1/jobs/{job_id}/pause",
    "POST /v1/jobs/{job_id}/resume",
    "POST /v1/jobs/{job_id}/retry",
    "POST /v1/schedules/compress",
    "POST /v1/schedules/export",
    "POST /v1/schedules/import",
    "POST /v1/schedules/preview",
    "POST /v1/schedules/scale",
    "POST /v1/tokens",
    "POST /v1/webhooks",
    "POST /v1/webhooks/{webhook_id}/rotate-key",
    "POST /v1/webhooks/{webhook_id}/test",
    "PUT /v1/teams/{team}",
    "PUT /v1/teams/{team}/members/{user}",
    "PUT /v1/users/{user}",
}
ENDLESS = {"GET /v1/events", "GET /v1/jobs/{job_id}/events"}
"""Their streams have tests of their own."""
REAL = re.compile(r"/v1/jobs|\{(run_id|name)\}")
"""Operations that are about jobs, runs, workers or workloads."""
CALLERS = ("admin", "submitter", "nobody")


@pytest.fixture(scope="session")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def test_the_api_is_the_documented_one(document: dict[str, Any]):
    assert {f"{method.upper()} {path}" for path, method, _ in operations_of(document)} == OPERATIONS


def test_every_operation_says_what_it_does(document: dict[str, Any]):
    for path, method, operation in operations_of(document):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert operation["tags"], (method, path)


def test_operation_ids_are_plain_names_and_unique(document: dict[str, Any]):
    ids = [operation["operationId"] for _, _, operation in operations_of(document)]
    assert len(set(ids)) == len(ids)
    assert {"list_jobs", "submit_job", "pause_job", "get_report"} <= set(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) and "v1" not in name for name in ids)


def test_the_schedulers_bookkeeping_is_no_part_of_the_contract(document: dict[str, Any]):
    schemas = document["components"]["schemas"]
    for name in ("JobView", "JobDetail", "TrialView", "RunView"):
        assert not {"plan_due", "optuna_number", "stop_reason"} & schemas[name]["properties"].keys()


def test_every_operation_declares_its_errors_as_problems(document: dict[str, Any]):
    for path, method, operation in operations_of(document):
        errors = {status: said for status, said in operation["responses"].items() if int(status) >= 400}
        wanted = {"421", "500", "503"}
        wanted |= {"401", "422", "429"} if path not in OPEN_PATHS else set()
        wanted |= {"403"} if method != "get" else set()
        wanted |= {"413", "415", "422"} if "requestBody" in operation else set()
        if (
            "{" in path
            and (method, path) != ("put", "/v1/users/{user}")
            and (method, path) != ("put", "/v1/teams/{team}")
        ):
            wanted |= {"404"}
        assert wanted <= errors.keys(), (method, path, wanted - errors.keys())
        for status, said in errors.items():
            assert said["description"], (method, path, status)
            assert said["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_what_is_behind_the_login_says_so(document: dict[str, Any]):
    for path, method, operation in operations_of(document):
        assert ("security" in operation) == (path not in OPEN_PATHS), (method, path)


def test_every_problem_that_a_description_names_exists(app: FastAPI, document: dict[str, Any]):
    named = {
        part.split(")")[0]
        for _, _, operation in operations_of(document)
        for said in operation["responses"].values()
        for part in said["description"].split("](")[1:]
    }
    client = TestClient(app, base_url=BASE_URL)
    assert named
    assert all(client.get(path).status_code == 200 for path in named)


def examples_of(content: dict[str, Any]) -> Iterator[Any]:
    if "example" in content:
        yield content["example"]
    yield from (example["value"] for example in content.get("examples", {}).values())


def test_every_operation_has_examples_that_its_schemas_allow(document: dict[str, Any]):
    for path, method, operation in operations_of(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        successes = [said for status, said in operation["responses"].items() if int(status) < 300 and status != "204"]
        for said in bodies + successes:
            found = 0
            for kind, content in said["content"].items():
                schema = {"$ref": "#/schema", "schema": content.get("schema", {}), "components": document["components"]}
                for example in examples_of(content):
                    found += 1
                    if kind == "application/json":
                        Draft202012Validator(schema).validate(example)
            assert found, (method, path)


def test_no_recorded_example_is_left_over(document: dict[str, Any]):
    recorded = json.loads(files("tuner_service").joinpath("examples.json").read_text())
    operations = json.dumps(document["paths"])
    for name in recorded["requests"].keys() | recorded["responses"].keys():
        assert f'#/components/schemas/{name}"' in operations, name
    for media_type in recorded["media_types"]:
        assert f'"{media_type}": {{' in operations, media_type


def without_nulls(value: Any) -> Any:
    """A value as an export writes it: null and absent are the same."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def test_response_examples_have_exactly_the_fields_of_their_types(app: FastAPI, document: dict[str, Any]):
    routes = [context.original_route for context in iter_route_contexts(app.routes)]
    models = {route.name: route.response_model for route in routes if isinstance(route, APIRoute)}
    compared = 0
    for _, _, operation in operations_of(document):
        for content in (
            said.get("content", {}).get("application/json", {}) for said in operation["responses"].values()
        ):
            kind = models[operation["operationId"]]
            if kind is not None and "example" in content:
                adapter = TypeAdapter(kind)
                value = adapter.validate_python(content["example"])
                dumped = adapter.dump_python(value, mode="json")
                assert without_nulls(dumped) == without_nulls(content["example"]), operation["operationId"]
                compared += 1
    assert compared > 40


def test_the_examples_of_a_preview_and_of_a_larger_batch_are_what_the_service_responds(
    service: Service, document: dict[str, Any]
):
    client = TestClient(service.app, base_url=BASE_URL, headers=service.headers["submitter"])
    for path, request in (("/v1/schedules/preview", "cosine"), ("/v1/schedules/scale", "adam")):
        operation = document["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]["examples"][request]["value"]
        shown = operation["responses"]["200"]["content"]["application/json"]["example"]
        points = {"points": len(shown["points"])} if "points" in shown else {}
        assert client.post(path, json=body | points).json() == shown


def test_the_examples_of_a_job_and_of_schedules_are_accepted(service: Service, document: dict[str, Any]):
    client = TestClient(service.app, base_url=BASE_URL, headers=service.headers["submitter"])
    asked = ("/v1/jobs", "/v1/jobs/preview", "/v1/schedules/preview", "/v1/schedules/export")
    for path in (*asked, "/v1/schedules/compress", "/v1/schedules/scale"):
        body = document["paths"][path]["post"]["requestBody"]
        for example in examples_of(body["content"]["application/json"]):
            answer = client.post(path, json=example)
            assert answer.status_code in {200, 201}, answer.text


def hammer(
    service: Service, operation: str, *, caller: str, mode: schemathesis.GenerationMode, real: bool = False
) -> None:
    """Send an operation requests that its schemas allow, or forbid, and compare the responses with the document.

    Args:
        service: The service.
        operation: Method and path.
        caller: Sends the requests.
        mode: Whether the requests fit the schemas.
        real: Whether they are about existing objects, which random data would not name.
    """
    method, path = operation.split()
    promised = schemathesis.openapi.from_dict(service.app.openapi())[path][method]
    # Whether valid data are accepted depends on the stored objects and on the caller, not on a schema. That a token is
    # required has a test of its own, with fewer requests.
    excluded = [positive_data_acceptance, ignored_auth]
    there = service.real_things(lasting=method != "DELETE") if real else {}

    closed = caller == "nobody" and path not in OPEN_PATHS  # refused before anything of the request is read

    @settings(max_examples=1 if closed else EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(case=promised.as_strategy(generation_mode=mode), data=st.data())
    def ask(case: schemathesis.Case, data: st.DataObject) -> None:
        for name in case.path_parameters.keys() & there.keys():
            case.path_parameters[name] = data.draw(st.sampled_from(there[name]))
        if real and isinstance(case.body, dict) and "workload" in case.body:
            case.body |= {"workload": "digits-mlp", "options": {}, "team": VISION}
        answer = case.call_and_validate(
            base_url=service.address, headers=service.headers[caller], excluded_checks=excluded, allow_redirects=False
        )
        if closed:
            assert answer.status_code == 401

    for attempt in range(GIVEN_UP):
        try:
            return seed(attempt)(ask)() if attempt else ask()
        except InvalidSchema:  # the generator has made a schema impossible while it looked for what it forbids
            if mode is schemathesis.GenerationMode.POSITIVE or attempt + 1 == GIVEN_UP:
                raise
    raise AssertionError("no attempt was made")


@pytest.mark.parametrize("operation", sorted(OPERATIONS - ENDLESS))
@pytest.mark.parametrize("caller", CALLERS)
def test_every_response_is_one_that_the_document_declares(service: Service, caller: str, operation: str):
    hammer(service, operation, caller=caller, mode=schemathesis.GenerationMode.POSITIVE)


@pytest.mark.parametrize("operation", sorted(operation for operation in OPERATIONS - ENDLESS if REAL.search(operation)))
@pytest.mark.parametrize("caller", ["admin", "submitter"])
def test_so_is_every_response_about_existing_objects(service: Service, caller: str, operation: str):
    hammer(service, operation, caller=caller, mode=schemathesis.GenerationMode.POSITIVE, real=True)


@pytest.mark.parametrize("operation", sorted(OPERATIONS - ENDLESS - {"GET /healthz", "GET /readyz"}))
@pytest.mark.parametrize("caller", ["admin", "submitter"])
def test_requests_that_the_document_forbids_are_refused(service: Service, caller: str, operation: str):
    hammer(service, operation, caller=caller, mode=schemathesis.GenerationMode.NEGATIVE)
