"""Schedules over HTTP: previews, exports and conversions equal what the library computes."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.digits import SCHEDULES
from tuner.exports import EXPORTERS, ExportFormat, TargetRun, export
from tuner.schedules import ReduceOnPlateau, Schedule, Updates, Warmup, Wsd
from tuner.schedules.scaling import ScalingRule, scaled_to_batch

SCHEDULE = Schedule(
    peak_lr=0.1, family=Wsd(cooldown=Updates(updates=600)), warmup=Warmup(shape="linear", updates=300), floor=0.1
)


def plain(schedule: Schedule) -> Any:
    return schedule.model_dump(mode="json", exclude_none=True)


def test_compression_is_the_librarys(still: TestClient):
    body = {"schedule": plain(SCHEDULE), "from_steps": 3000, "to_steps": 1000, "min_warmup": 150}
    answer = still.post("/v1/schedules/compress", json=body)
    assert Schedule.model_validate(answer.json()) == SCHEDULE.compressed(1000, from_steps=3000, min_warmup=150)


@pytest.mark.parametrize("rule", ScalingRule)
def test_scaling_is_the_librarys(still: TestClient, rule: ScalingRule):
    body = {"schedule": plain(SCHEDULE), "rule": rule, "from_batch": 64, "to_batch": 256, "optimizer": "adam"}
    told = still.post("/v1/schedules/scale", json=body).json()
    scaled = scaled_to_batch(SCHEDULE, rule=rule, from_batch=64, to_batch=256, optimizer="adam")
    assert Schedule.model_validate(told["schedule"]) == scaled.schedule
    assert (told["factor"], told["caveats"]) == (scaled.factor, list(scaled.caveats))


@pytest.mark.parametrize("name", ExportFormat)
def test_a_schedule_is_written_in_each_format(still: TestClient, name: ExportFormat):
    run = TargetRun(total_steps=100, batch_size=64, optimizer="adam")
    body = {"schedule": plain(SCHEDULES[1]), "total_steps": 100, "format": name, "batch_size": 64, "optimizer": "adam"}
    answer = still.post("/v1/schedules/export", json=body)
    exporter = EXPORTERS[name]
    assert answer.text == "".join(export(SCHEDULES[1], format=name, run=run).chunks)
    assert answer.headers["content-type"].startswith(exporter.media_type)
    assert answer.headers["content-disposition"].endswith(f'-100.{exporter.extension}"')


@pytest.mark.parametrize(
    ("path", "changes", "field"),
    [
        ("compress", {"from_steps": 200, "to_steps": 100}, "warmup.updates"),
        ("compress", {"from_steps": 3000, "to_steps": 0}, "to_steps"),
        ("export", {"total_steps": 100}, "warmup.updates"),
        ("export", {"total_steps": 3000, "format": "xml"}, "format"),
        ("export", {"total_steps": 3000, "format": "torch", "optimizer": "sgd\nimport os"}, "optimizer"),
        ("scale", {"rule": "cubic", "from_batch": 1, "to_batch": 2}, "rule"),
        ("scale", {"rule": "sqrt", "from_batch": 0, "to_batch": 2}, "from_batch"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(still: TestClient, path: str, changes: dict[str, Any], field: str):
    answer = still.post(f"/v1/schedules/{path}", json={"schedule": plain(SCHEDULE)} | changes)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("preview", {"total_steps": 20}),
        ("export", {"total_steps": 20, "format": "csv"}),
        ("compress", {"from_steps": 1000, "to_steps": 20}),
    ],
)
@pytest.mark.parametrize("name", ["cyclic", "sgdr"])
def test_more_cycles_than_the_run_can_show_are_refused(
    still: TestClient, path: str, changes: dict[str, Any], name: str
):
    schedule = {"peak_lr": 0.1, "family": {"name": name, "cycles": 20}}
    answer = still.post(f"/v1/schedules/{path}", json={"schedule": schedule} | changes)
    problem = answer.json()
    assert (answer.status_code, problem["field"], problem["value"]) == (422, "family.cycles", 20)
    assert problem["allowed"].startswith("at most 10, ")


FOLLOWS = Schedule(peak_lr=0.1, family=ReduceOnPlateau(factor=0.5, patience=0))
LOSSES = [(100, 0.9), (200, 0.9), (300, 0.8), (400, 0.8)]


def test_a_schedule_that_follows_the_loss_is_previewed_on_a_curve(still: TestClient):
    body = {"schedule": plain(FOLLOWS), "total_steps": 500, "points": 500}
    curve = [{"step": step, "loss": loss} for step, loss in LOSSES]
    for losses, more in (((), {}), (LOSSES, {"losses": curve})):
        told = still.post("/v1/schedules/preview", json=body | more).json()
        assert [point["lr"] for point in told["points"]] == FOLLOWS.lrs(500, losses=losses).tolist()


@pytest.mark.parametrize(
    ("schedule", "losses", "allowed"),
    [
        (SCHEDULE, [{"step": 1, "loss": 1.0}], "absent: the rates of wsd follow no loss"),
        (FOLLOWS, [{"step": 2, "loss": 1.0}, {"step": 1, "loss": 1.0}], "at ascending updates"),
    ],
)
def test_losses_that_are_no_curve_of_it_are_refused(
    still: TestClient, schedule: Schedule, losses: list[Any], allowed: str
):
    body = {"schedule": plain(schedule), "total_steps": 3000, "losses": losses}
    answer = still.post("/v1/schedules/preview", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["field"], problem["allowed"]) == (422, "losses", allowed)
