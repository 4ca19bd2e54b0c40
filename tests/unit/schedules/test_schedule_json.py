from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from tests.unit.schedules.strategies import EXAMPLES, FOLLOWING, Case, cases, example
from tuner.errors import InvalidValue
from tuner.schedules import FAMILIES, Family, Linear, Schedule, Step, Updates, Warmup, Wsd

_GOLDEN = Path(__file__).with_name("digests_v1.json")


@given(case=cases())
def test_json_restores_an_equal_schedule_with_the_same_hash_and_digest(case: Case):
    again = Schedule.from_json(case.schedule.to_json())
    assert again == case.schedule
    assert hash(again) == hash(case.schedule)
    assert (again.digest, again.to_json()) == (case.schedule.digest, case.schedule.to_json())


@given(case=cases())
def test_the_plain_model_dump_restores_an_equal_schedule_too(case: Case):
    assert Schedule.model_validate(case.schedule.model_dump(mode="json")) == case.schedule


def test_the_json_of_the_contract_is_read():
    text = (
        '{"version":1,"peak_lr":0.01,"family":{"name":"wsd","cooldown":0.4,"shape":"1-sqrt"},'
        '"warmup":{"shape":"linear","fraction":0.05},"floor":0.0}'
    )
    assert Schedule.from_json(text) == Schedule(
        peak_lr=0.01, family=Wsd(cooldown=0.4, shape="1-sqrt"), warmup=Warmup(shape="linear", fraction=0.05)
    )


def test_equal_numbers_written_differently_have_one_digest():
    ways = [
        Schedule(peak_lr=1, family=Step(every=Updates(updates=10)), floor=-0.0),
        Schedule(peak_lr=1.0, family=Step(every=Updates(updates=10.0)), floor=0.0),
        Schedule.from_json('{"peak_lr":1e0,"family":{"every":{"updates":10},"name":"step"}}'),
    ]
    assert len({way.digest for way in ways}) == 1
    assert len(set(ways)) == 1


def test_different_schedules_have_different_digests():
    schedules = [example(name, floor=floor) for name in EXAMPLES for floor in (0.0, 0.1)]
    assert len({schedule.digest for schedule in schedules}) == len(schedules)


@pytest.mark.parametrize("name", [*EXAMPLES, *FOLLOWING])
def test_the_digests_of_version_1_never_change(name: str):
    golden = json.loads(_GOLDEN.read_text())
    schedule = example(name, floor=0.05)
    assert golden[name] == {"json": schedule.to_json(), "digest": schedule.digest}
    assert Schedule.from_json(golden[name]["json"]) == schedule


def test_every_family_is_in_the_golden_file():
    golden = json.loads(_GOLDEN.read_text())
    assert {json.loads(entry["json"])["family"]["name"] for entry in golden.values()} == set(FAMILIES)


def test_a_schedule_cannot_be_changed():
    schedule = example("cosine")
    with pytest.raises(ValidationError, match="frozen"):
        schedule.peak_lr = 1.0  # type: ignore[misc]


def test_families_are_known_by_the_name_in_their_json():
    adapter = TypeAdapter(Family)
    for name, family in FAMILIES.items():
        assert family.model_fields["name"].default == name
    assert adapter.validate_json('{"name":"linear"}') == Linear()


def test_the_schema_of_a_schedule_can_be_published():
    schema = Schedule.model_json_schema()
    assert set(schema["properties"]["family"]["discriminator"]["mapping"]) == set(FAMILIES)


@pytest.mark.parametrize(
    ("schedule", "label"),
    [
        (
            Schedule(peak_lr=0.01, family=Wsd(cooldown=0.4), warmup=Warmup(shape="linear", fraction=0.05)),
            "wsd 1-sqrt cooldown 40 %, peak 1.0e-02, warm-up 5 %",
        ),
        (
            Schedule(
                peak_lr=3e-4,
                family=Step(gamma=0.5, every=Updates(updates=100)),
                warmup=Warmup(shape="cosine", updates=20),
                floor=0.1,
            ),
            "step x 0.5 every 100 updates, peak 3.0e-04, cosine warm-up 20 updates, floor 10 %",
        ),
    ],
)
def test_the_label_describes_the_schedule(schedule: Schedule, label: str):
    assert schedule.label == label


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_family_has_a_label_of_its_own(name: str):
    assert name.split()[0].split("_")[0] in EXAMPLES[name].label


def test_a_key_that_stands_twice_is_refused():
    with pytest.raises(InvalidValue, match=r"peak_lr must be given once, got 0\.2"):
        Schedule.from_json('{"peak_lr": 0.1, "family": {"name": "linear"}, "peak_lr": 0.2}')
