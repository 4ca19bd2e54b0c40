import json
from pathlib import Path
from typing import Any

import pytest

from tuner.cli.jobs.incumbent import read_incumbent
from tuner.errors import InvalidValue
from tuner.schedules import Cosine, Schedule, Warmup, Wsd

NOWHERE = "http://127.0.0.1:1"


def read(text: str) -> Schedule:
    return Schedule.model_validate(read_incumbent(text, url=NOWHERE, total_steps=None))


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("cosine,peak-lr=3e-4", Schedule(peak_lr=3e-4, family=Cosine())),
        (
            "cosine, peak-lr=3e-4, warmup=5%, floor=0.1",
            Schedule(peak_lr=3e-4, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.05), floor=0.1),
        ),
        (
            "wsd,peak-lr=0.1,warmup=500,cooldown=0.3,shape=1-sqrt",
            Schedule(peak_lr=0.1, family=Wsd(cooldown=0.3, shape="1-sqrt"), warmup=Warmup(shape="linear", updates=500)),
        ),
    ],
)
def test_a_schedule_in_words_has_the_options_of_the_preview(text: str, schedule: Schedule):
    assert read(text) == schedule


def test_a_file_holds_its_json(tmp_path: Path):
    schedule = Schedule(peak_lr=2e-5, family=Cosine())
    file = tmp_path / "today.json"
    file.write_text(schedule.model_dump_json())
    assert read(str(file)) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "cosine",
        "cosine,warmup=5%",
        "cosine,peak-lr",
        "cosine,peak-lr=0",
        "cosine,peak-lr=1,warmup=long",
        "nowhere.json",
    ],
)
def test_what_names_no_schedule_is_refused(text: str):
    with pytest.raises(InvalidValue):
        read(text)


def test_a_job_stands_for_the_schedule_that_it_recommends(monkeypatch: pytest.MonkeyPatch):
    schedule = Schedule(peak_lr=0.3, family=Cosine())

    class Client:
        def jobs(self, text: str | None = None) -> Any:
            return iter([type("Job", (), {"id": "3f2a1c9e"})])

        def export(self, job_id: str, *, total_steps: int | None) -> Schedule:
            assert (job_id, total_steps) == ("3f2a1c9e", 700)
            return schedule

    monkeypatch.setattr("tuner.cli.jobs.incumbent.request", lambda call, *, url: call(Client()))
    for text in ("latest", "3f2a"):
        found = read_incumbent(text, url=NOWHERE, total_steps=700)
        assert Schedule.model_validate_json(json.dumps(found)) == schedule
