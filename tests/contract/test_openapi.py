"""The published document: complete, and kept by every operation against whatever a client may send."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

HTTP_METHODS = {"get", "post", "put", "delete", "patch"}
HOST = "127.0.0.1:8642"
BASE_URL = f"http://{HOST}"
EXAMPLES = 10
OPERATIONS = {
    "GET /healthz",
    "GET /problems/{slug}",
    "GET /readyz",
    "GET /v1/jobs",
    "GET /v1/jobs/{job_id}",
    "GET /v1/jobs/{job_id}/events",
    "GET /v1/jobs/{job_id}/export",
    "GET /v1/jobs/{job_id}/report",
    "GET /v1/jobs/{job_id}/runs",
    "GET /v1/jobs/{job_id}/trials",
    "GET /v1/runs/{run_id}",
    "GET /v1/runs/{run_id}/curve",
    "GET /v1/workers",
    "GET /v1/workloads",
    "GET /v1/workloads/{name}",
    "POST /v1/jobs",
    "POST /v1/jobs/{job_id}/cancel",
    "POST /v1/schedules/preview",
}

ENDLESS = {"GET /v1/jobs/{job_id}/events"}
DEPENDS_ON_MORE = {"GET /v1/jobs", "POST /v1/jobs", "POST /v1/schedules/preview"}
"""Whether these are accepted depends on what is stored, or on several fields together: no schema can tell."""
TAKES_ANYTHING = {"GET /healthz", "GET /readyz", "GET /v1/workers", "GET /v1/workloads", "GET /v1/workloads/{name}"}


@pytest.fixture(scope="session")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in HTTP_METHODS
    ]


def test_the_api_is_the_documented_one(document: dict[str, Any]):
    assert {f"{method.upper()} {path}" for path, method, _ in operations(document)} == OPERATIONS


def test_every_operation_says_what_it_does(document: dict[str, Any]):
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert operation["tags"], (method, path)


def test_every_operation_declares_its_errors_as_problems(document: dict[str, Any]):
    for path, method, operation in operations(document):
        errors = {status: said for status, said in operation["responses"].items() if int(status) >= 400}
        wanted = {"421", "500", "503"} | ({"404"} if "{" in path else set()) | ({"403"} if method == "post" else set())
        wanted |= {"413", "415", "422"} if "requestBody" in operation else set()
        assert wanted <= errors.keys(), (method, path)
        for status, said in errors.items():
            assert said["description"], (method, path, status)
            assert said["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_every_problem_that_a_description_names_exists(app: FastAPI, document: dict[str, Any]):
    named = {
        part.split(")")[0]
        for _, _, operation in operations(document)
        for said in operation["responses"].values()
        for part in said["description"].split("](")[1:]
    }
    client = TestClient(app, base_url=BASE_URL)
    assert named
    assert all(client.get(path).status_code == 200 for path in named)


def test_the_examples_are_taken(app: FastAPI, document: dict[str, Any]):
    client = TestClient(app, base_url=BASE_URL)
    for path, expected in (("/v1/jobs", 201), ("/v1/schedules/preview", 200)):
        body = document["paths"][path]["post"]["requestBody"]
        examples = body["content"]["application/json"]["examples"].values()
        assert examples
        for example in examples:
            answer = client.post(path, json=example["value"])
            assert answer.status_code == expected, answer.text


def hammer(
    promised: Any, *, mode: schemathesis.GenerationMode, address: str, excluded: list[schemathesis.CheckFunction]
) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(case=promised.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=address, excluded_checks=excluded)

    ask()


@pytest.mark.parametrize("operation", sorted(OPERATIONS - ENDLESS))
def test_every_answer_is_one_that_the_document_promises(document: dict[str, Any], address: str, operation: str):
    method, path = operation.split()
    promised = schemathesis.openapi.from_dict(document)[path][method]
    excluded = [positive_data_acceptance] if operation in DEPENDS_ON_MORE else []
    hammer(promised, mode=schemathesis.GenerationMode.POSITIVE, address=address, excluded=excluded)


@pytest.mark.parametrize("operation", sorted(OPERATIONS - ENDLESS - TAKES_ANYTHING))
def test_what_the_document_forbids_is_refused(document: dict[str, Any], address: str, operation: str):
    method, path = operation.split()
    promised = schemathesis.openapi.from_dict(document)[path][method]
    hammer(promised, mode=schemathesis.GenerationMode.NEGATIVE, address=address, excluded=[])
