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
from optuna_dashboard import get_note, wsgi

from tests.digits import SCHEDULES
from tests.integration.service.world import World
from tuner.errors import TunerError
from tuner.jobs.records import JobRecord, NewRun
from tuner.jobs.states import JobState, TrialState
from tuner.people.permissions import Principal, Role
from tuner.search.decision.decisions import TrialStatus
from tuner.search.decision.seeds import run_seed
from tuner.search.optuna.study import Study, StudyTrial
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


def test_the_learning_rates_of_the_best_trials_are_a_figure(page: TestClient, job: JobRecord, store: Store) -> None:
    (figure,) = detail(page, job)["plotly_graph_objects"]
    assert figure["id"] == "learning_rates"
    assert figure["graph_object"].count('"type": "scatter"') == 3
    drawn = json.loads(figure["graph_object"])
    trials = {trial.number: trial for trial in store.planning.load(job.id).trials}
    for line in drawn["data"]:
        trial = trials[int(line["name"].partition(":")[0])]
        assert len(line["name"]) < 30, "the legend leaves room for the plot"
        assert line["hovertemplate"].startswith(trial.configuration.label)
    assert drawn["layout"]["legend"]["orientation"] == "h"


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


def trained(store: Store) -> JobRecord:
    """A job of three trials: of two, the one with the lower first loss is the worse one over all seeds."""
    world = World(store)
    job = world.job()
    lock = world.started(job)
    study = Study.open(store.optuna_storage(), name=job.id, settings=job.spec.search, metric=job.metric)
    for trial, loss in zip(store.trials.list(job.id).items, (0.9, 0.50, 0.49), strict=True):
        world.train(loss=loss)
        store.planning.close_trial(lock, number=trial.number, state=TrialState.COMPLETED, reason="at the horizon")
        number = study.ask(trial.configuration, number=trial.number, role=trial.role)
        status, losses = TrialStatus.COMPLETED, ((90, loss),)
        study.sync([StudyTrial(optuna_number=number, status=status, losses=losses, loss=loss, diverged_at=None)])
    for number, place, loss in ((1, 1, 0.50), (1, 2, 0.50), (2, 1, 0.60), (2, 2, 0.62)):
        seed = run_seed(job.spec.search.seed, place=place)
        run = NewRun(seed=seed, total_steps=90, schedule=SCHEDULES[number], reason="again")
        store.planning.add_run(lock, trial_number=number, run=run)
        world.train(loss=loss)
    world.compared(job, lock=lock)
    return store.jobs.get(job.id)


def test_its_best_trial_is_the_one_that_the_job_recommends(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with closing(Store.open(settings.database)) as store:
        job = trained(store)
        assert job.best is not None
        assert job.best.trial == 1
        assert optuna.load_study(study_name=job.id, storage=store.optuna_storage()).best_trial.number == 2
        app = create_app(settings, store=store)
        with TestClient(app, base_url="http://127.0.0.1:8642", follow_redirects=False) as page:
            told = detail(page, job)
    assert [trial["number"] for trial in told["best_trials"]] == [1]
    assert "Recommended so far" in told["note"]["body"]
    assert "are those of first runs alone" in told["note"]["body"]


@pytest.mark.filterwarnings("ignore:Some regimes")  # Optuna's, of a study of three trials
def test_every_page_and_every_datum_that_it_serves_responds(page: TestClient, job: JobRecord, store: Store) -> None:
    """All GET routes of the dashboard itself, asked for at the service: none fails, and what is closed says why."""
    study = study_path(page, job).rpartition("/")[2]
    fill = {
        "<:re:(/.*)?>": "",
        "<study_id:int>": study,
        "<trial_id:int>": "1",
        "<artifact_id>": "x",
        "<filename:path>": "bundle.js",
    }
    plots = ("contour", "slice", "rank", "edf", "timeline", "parallel_coordinate", "pareto_front", "nonsense")
    asked, open_paths = 0, set()
    for route in wsgi(store.study_view()).routes:
        if route.method != "GET":
            continue
        path = route.rule
        for placeholder, value in fill.items():
            path = path.replace(placeholder, value)
        for one in [path.replace("<plot_type>", plot) for plot in plots] if "<plot_type>" in path else [path]:
            answer = page.get(one)
            asked += 1
            assert answer.status_code < 500, (one, answer.text)
            if answer.status_code == 404 and one != "/":
                assert answer.json()["type"] == "/problems/not-found"
                assert answer.json()["hint"]
            elif answer.status_code == 200:
                open_paths.add(one.replace(study, "N"))
    assert asked > 15
    served = {"/dashboard", "/api/meta", "/api/studies", "/api/studies/N", "/csv/N", "/favicon.ico"}
    assert served <= open_paths
    assert "in the browser" in page.get(f"/api/studies/{study}/plot/slice").json()["hint"]


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
