"""A schedule that a script uses today, read over HTTP, and spaces by name in a job's request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import DIGITS
from tests.integration.service.world import World
from tuner import import_schedule
from tuner.schedules import Schedule
from tuner.search.space import SearchSpace, default_space

ARGUMENTS = {"learning_rate": 2e-5, "lr_scheduler_type": "linear", "warmup_steps": 100}


def test_the_text_of_a_script_becomes_its_schedule(api: TestClient, world: World) -> None:
    response = api.post("/v1/schedules/import", json={"text": json.dumps(ARGUMENTS), "total_steps": 1000})
    assert response.status_code == 200
    assert Schedule.model_validate(response.json()) == import_schedule(ARGUMENTS, total_steps=1000)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"text": "lr_scheduler: rex\nbase_model: m", "total_steps": 100}, "axolotl's own rex"),
        ({"text": json.dumps(ARGUMENTS)}, "Give total_steps"),
        ({"text": "a: &a [1]\nb: *a", "total_steps": 100}, "aliases are not read"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused_with_the_reason(
    api: TestClient, world: World, body: dict[str, Any], words: str
) -> None:
    response = api.post("/v1/schedules/import", json=body)
    assert response.status_code == 422
    assert words in response.text


def test_a_job_names_its_space_and_the_updates_of_an_epoch(api: TestClient, world: World) -> None:
    search = {
        "steps_per_epoch": 5,
        "space": {"preset": "wide", "warmup": [0, {"epochs": 2}]},
        "incumbent": {"peak_lr": 0.1, "family": {"name": "step", "every": {"epochs": 10}}},
    }
    response = api.post("/v1/jobs", json={"workload": DIGITS.name, "search": search})
    assert response.status_code == 201, response.text
    stored = response.json()["spec"]["search"]
    assert stored["incumbent"]["family"]["every"] == {"epochs": 10.0, "updates_per_epoch": 5}
    space = SearchSpace.model_validate(stored["space"])
    assert space.keys == default_space(DIGITS.optimizer, preset="wide").keys
    assert space.parameters("step")["warmup"].corners == (0.0, "2 epochs")
