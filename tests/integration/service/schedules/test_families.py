"""What a schedule may be, and what a job searches, without a job."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from tests.digits import DIGITS
from tests.integration.store.builders import announce
from tuner.exports import EXPORTERS
from tuner.schedules import FAMILIES
from tuner.store import Store


@pytest.fixture(scope="module")
def families(still: TestClient) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in still.get("/v1/schedules/families").raise_for_status().json()}


def test_every_family_is_listed_with_a_sentence_and_every_parameter(families: dict[str, dict[str, Any]]):
    assert list(families) == list(FAMILIES)
    for name, family in families.items():
        assert family["description"].endswith(".")
        parameters = [parameter["name"] for parameter in family["parameters"]]
        assert parameters == [field for field in FAMILIES[name].model_fields if field != "name"]


def test_parameters_have_their_bounds_and_defaults(families: dict[str, dict[str, Any]]):
    (power,) = families["polynomial"]["parameters"]
    assert (power["name"], power["default"], power["required"]) == ("power", 2.0, False)
    assert {"type": "number", "exclusiveMinimum": 0, "maximum": 100}.items() <= power["schema"].items()
    (knots,) = families["piecewise_linear"]["parameters"]
    assert (knots["required"], knots["default"]) == (True, None)
    assert (knots["schema"]["minItems"], knots["schema"]["maxItems"]) == (2, 100)


def test_a_schema_stands_alone_and_allows_the_example(families: dict[str, dict[str, Any]]):
    for family in families.values():
        for parameter in family["parameters"]:
            assert "$ref" not in str(parameter["schema"])
            if parameter["name"] in family["example"]:
                Draft202012Validator(parameter["schema"]).validate(family["example"][parameter["name"]])


def test_the_example_is_the_schedule_of_the_picture(still: TestClient, families: dict[str, dict[str, Any]]):
    for family in families.values():
        if family["follows_loss"]:
            assert family["curve"][-1] < 0.5  # of a usual run: without losses it would be a constant rate
            continue
        body = {"schedule": {"peak_lr": 1.0, "family": family["example"]}, "total_steps": 100, "points": 100}
        points = still.post("/v1/schedules/preview", json=body).raise_for_status().json()["points"]
        assert [point["lr"] for point in points] == pytest.approx(family["curve"][:100])


def test_families_that_rise_by_themselves_take_no_warmup(still: TestClient, families: dict[str, dict[str, Any]]):
    assert [name for name, family in families.items() if not family["takes_warmup"]] == ["one_cycle", "cyclic"]
    for family in families.values():
        warmup = {"shape": "linear", "fraction": 0.1}
        body = {"schedule": {"peak_lr": 1.0, "family": family["example"], "warmup": warmup}, "total_steps": 100}
        accepted = still.post("/v1/schedules/preview", json=body).status_code == 200
        assert accepted == family["takes_warmup"]


def test_every_format_is_listed(still: TestClient):
    formats = {one["name"]: one for one in still.get("/v1/schedules/formats").json()}
    assert list(formats) == list(EXPORTERS)
    assert formats["csv"] == {
        "name": "csv",
        "description": EXPORTERS[next(iter(name for name in EXPORTERS if name == "csv"))].description,
        "native": formats["csv"]["native"],
        "requires": "",
        "media_type": "text/csv",
        "extension": "csv",
    }
    assert formats["torch-builtin"]["requires"] == "torch"


def test_the_default_search_of_a_workload_is_that_of_a_job_that_names_none(still: TestClient):
    body = {"workload": "digits-mlp", "search": {"seed": 3}}
    spec = still.post("/v1/jobs/preview", json=body).json()["spec"]
    search = still.get("/v1/workloads/digits-mlp").json()["default_search"]
    assert search == spec["search"] | {"seed": None}
    assert still.get("/v1/workloads").json()[0]["default_search"] == search


def test_the_default_search_can_be_sent_back(still: TestClient):
    search = still.get("/v1/workloads/digits-mlp").json()["default_search"]
    preview = still.post("/v1/jobs/preview", json={"workload": "digits-mlp", "search": search}).json()
    assert preview["refusals"] == []


def test_a_workload_whose_own_defaults_are_refused_is_listed_without_a_default_search(api: TestClient, store: Store):
    impossible = replace(DIGITS, name="impossible", default_steps=1)
    announce(store, "w1", device="cpu", workloads=[DIGITS, impossible])
    listed = {one["name"]: one["default_search"] for one in api.get("/v1/workloads").raise_for_status().json()}
    assert listed["impossible"] is None
    assert listed["digits-mlp"]["total_steps"] == DIGITS.default_steps
