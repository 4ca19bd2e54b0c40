"""The real Optuna dashboard, behind the access control of the service."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from fastapi.testclient import TestClient
from optuna_dashboard import get_note

from tests.integration.service.world import World
from tuner.errors import TunerError
from tuner.jobs.records import JobRecord
from tuner.jobs.states import JobState
from tuner.people.permissions import Principal, Role
from tuner.store import Store
from tuner.store.optuna.study_scope import StudyScope, use_scope
from tuner.store.optuna.study_view import ReadOnlyStudies
from tuner_service.app import create_app
from tuner_service.dashboard import notes
from tuner_service.dashboard.spreadsheets import without_formulas
from tuner_service.settings import Settings

OTHER = Principal(user="eve", team="others", role=Role.SUBMITTER, token_id=None)
NAME = "a <b>job</b> [x](javascript:alert(1)) \u2265 \u732b"
BROKEN_NAME = NAME.replace(" [x]", "\n\n# Not a heading\r\n[x]")
NOTES = "tried *again*\n# no heading\n- no list\n1. nor this\n<img src=x>"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Store, JobRecord]]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("dashboard"))
    with closing(Store.open(settings.database)) as store:
        world = World(store)
        job = world.worked_off(world.job(name=BROKEN_NAME, notes=NOTES))
        assert job.state is JobState.COMPLETED
        world.job(name="not planned yet")
        yield settings, store, job


@pytest.fixture
def job(database: tuple[Settings, Store, JobRecord]) -> JobRecord:
    return database[2]


@pytest.fixture
def store(database: tuple[Settings, Store, JobRecord]) -> Store:
    return database[1]


@pytest.fixture
def page(database: tuple[Settings, Store, JobRecord]) -> Iterator[TestClient]:
    app = create_app(database[0], store=database[1])
    with TestClient(app, base_url="http://127.0.0.1:8642", follow_redirects=False) as client:
        yield client


@pytest.fixture
def as_another_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner_service.dashboard.gateway._principal", lambda _: OTHER)


def study_path(page: TestClient, job: JobRecord) -> str:
    answer = page.get(f"/v1/jobs/{job.id}/dashboard")
    assert answer.status_code == 307, answer.text
    return str(answer.headers["location"])


def detail(page: TestClient, job: JobRecord) -> dict[str, Any]:
    answer = page.get("/api" + study_path(page, job).removeprefix("/dashboard"))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    told["union_search_space"].sort(key=lambda parameter: parameter["name"])  # the page draws them from sets
    for parameter in told["union_search_space"]:
        parameter["distribution"].get("choices", []).sort(key=lambda choice: choice["value"])
    return told


def test_a_job_leads_to_its_study_and_the_page_and_its_script_are_served(page: TestClient, job: JobRecord) -> None:
    answer = page.get(study_path(page, job))
    assert answer.status_code == 200
    assert "/static/bundle.js" in answer.text
    assert page.get("/static/bundle.js").status_code == 200
    assert page.get("/api/meta").json()["allow_unsafe"] is False


def test_a_job_that_was_not_planned_has_no_study_yet(page: TestClient, store: Store) -> None:
    (waiting,) = store.jobs.list(states=[JobState.QUEUED]).items
    answer = page.get(f"/v1/jobs/{waiting.id}/dashboard")
    assert answer.status_code == 404
    assert "has not been planned yet" in answer.json()["detail"]


def test_the_list_calls_studies_by_the_names_of_their_jobs(page: TestClient, job: JobRecord) -> None:
    (study,) = page.get("/api/studies").json()["study_summaries"]
    assert study["study_name"] == f"{' '.join(BROKEN_NAME.split())} ({job.id[:8]})"


def test_the_notes_contain_the_result_and_each_trials_schedule(page: TestClient, job: JobRecord, store: Store) -> None:
    told = detail(page, job)
    report = store.jobs.report(job.id)
    assert report is not None
    assert notes.plain(report["finding"]) in told["note"]["body"]
    assert report["recommended"]["schedule"]["family"]["name"] in told["note"]["body"]
    trials = store.planning.load(job.id).trials
    assert len(told["trials"]) == len(trials) == 3
    for trial, shown in zip(trials, told["trials"], strict=True):
        assert notes.plain(trial.schedule.label) in shown["note"]["body"]
        picture = f"/v1/jobs/{job.id}/trials/{trial.number}/schedule.svg"
        assert picture in shown["note"]["body"]
        drawn = page.get(picture)
        assert drawn.headers["content-type"] == "image/svg+xml"
        assert trial.schedule.label in drawn.text
        attributes = {one["key"]: one["value"] for one in shown["user_attrs"]}
        assert attributes["label"] == f'"{trial.schedule.label}"' or attributes["label"] == trial.schedule.label


def test_what_people_write_does_nothing_in_a_note(page: TestClient, job: JobRecord) -> None:
    body = detail(page, job)["note"]["body"]
    assert "<b>" not in body
    assert "](javascript" not in body
    assert "tried \\*again\\*" in body


def test_a_line_break_in_a_name_or_a_note_begins_nothing_of_its_own(page: TestClient, job: JobRecord) -> None:
    lines = detail(page, job)["note"]["body"].splitlines()
    assert lines[0].startswith("## a &lt;b&gt;job&lt;/b&gt; \\# Not a heading \\[x\\]")
    assert [line for line in lines[1:] if line.startswith("#")] == []
    assert "> \\# no heading\n> \\- no list\n> 1\\. nor this\n> &lt;img src=x&gt;" in "\n".join(lines)


def test_the_table_for_a_spreadsheet_runs_nothing(page: TestClient, job: JobRecord) -> None:
    path = f"/csv{study_path(page, job).removeprefix('/dashboard/studies')}"
    answer = page.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.text
    header, *rows = csv.reader(answer.text.splitlines())
    assert header[:3] == ["Number", "State", "Value"]
    assert len(rows) == 3
    assert all(float(row[2]) > 0 for row in rows)
    assert page.head(path).status_code == 200


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"),
        ("+1+1", "'+1+1"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("-0.5", "-0.5"),
        ("+1e-3", "+1e-3"),
        ("-inf", "-inf"),
        ("wsd = linear", "wsd = linear"),
        ("", ""),
    ],
)
def test_a_cell_that_begins_like_a_formula_is_text(cell: str, shown: str) -> None:
    made = io.StringIO()
    csv.writer(made).writerow(["Number", cell, "a, b\nc"])
    (row,) = csv.reader(io.StringIO(without_formulas(made.getvalue()), newline=""))
    assert row == ["Number", shown, "a, b\nc"]


def test_the_learning_rates_of_the_best_trials_are_a_figure(page: TestClient, job: JobRecord) -> None:
    (figure,) = detail(page, job)["plotly_graph_objects"]
    assert figure["id"] == "learning_rates"
    assert figure["graph_object"].count('"type": "scatter"') == 3


def test_the_dashboards_own_reader_finds_the_notes(store: Store, job: JobRecord) -> None:
    view = store.study_view()
    record = store.planning.load(job.id)
    study_id = view.id_of(job.id)
    assert study_id is not None
    ids = {trial.number: trial._trial_id for trial in view.get_all_trials(study_id)}
    study = optuna.create_study()
    for key, value in notes.attributes(record, report=None, trial_ids=ids).items():
        study._storage.set_study_system_attr(study._study_id, key, value)
    assert get_note(study) == notes.study_note(record, report=None)


@pytest.mark.parametrize("path", ["", "/param_importances", "/plot/slice"])
def test_another_team_sees_no_study(page: TestClient, job: JobRecord, as_another_team: None, path: str) -> None:
    study = page.get(f"/v1/jobs/{job.id}/dashboard").headers["location"].rsplit("/", 1)[1]
    assert page.get("/api/studies").json() == {"study_summaries": []}
    assert page.get(f"/api/studies/{study}{path}").status_code == 404
    assert page.get(f"/csv/{study}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/studies/999",
        "/api/studies/99999999999999999999",
        "/api/llm/x",
        "/api/studies/1/plot/contour",
        "/artifacts/1/2",
    ],
)
def test_what_is_not_the_dashboards_is_not_there(page: TestClient, job: JobRecord, path: str) -> None:
    assert page.get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies"),
        ("POST", "/api/studies/1/rename"),
        ("PUT", "/api/studies/1/note"),
        ("POST", "/api/trials/1/tell"),
    ],
)
def test_nothing_can_be_changed_through_it(page: TestClient, job: JobRecord, method: str, path: str) -> None:
    before = detail(page, job)
    answer = page.request(method, path, json={"study_name": "x", "directions": ["minimize"], "state": "Fail"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert detail(page, job) == before


def test_the_view_refuses_every_write_itself(store: Store, job: JobRecord) -> None:
    view = store.study_view()
    study_id = view.id_of(job.id)
    assert study_id is not None
    with use_scope(StudyScope(titles={})), pytest.raises(ReadOnlyStudies):
        view.delete_study(study_id)
    with pytest.raises(TunerError, match="read-only"):
        view.set_study_system_attr(study_id, "a", 1)


def test_optunas_own_reader_and_command_line_find_the_study(
    database: tuple[Settings, Store, JobRecord], job: JobRecord
) -> None:
    url = database[0].database
    study = optuna.load_study(study_name=job.id, storage=url)
    assert len(study.trials) == 3
    assert study.best_trial.user_attrs["label"]
    assert job.id in optuna_says("studies", "--storage", url)
    best = optuna_says("best-trial", "--storage", url, "--study-name", job.id, "-f", "json")
    assert json.loads(best)["number"] == study.best_trial.number


def optuna_says(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("optuna")), *arguments]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
