"""What is another team's and not shared is nowhere to be seen: every route of the application is asked for it.

A route that this test does not know fails it: say in `routes.ROUTES` what it may show to whom.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Route

from tests.digits import DIGITS, REQUEST
from tests.integration.service.routes import ROUTES, Shows
from tests.integration.service.team import SPEECH, VISION, Team, as_user, settle
from tests.integration.service.world import World
from tuner.devices import Device
from tuner.jobs.records import CurvePoint, JobRecord, LeasedRun, StudyLock, WorkerOffer
from tuner.jobs.webhooks import NewWebhook
from tuner.orchestrator import run_planning_step
from tuner.people.permissions import Actor, Role
from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.settings import Settings

SECRET = "kept-among-us"
SHOWN = "shown-to-all"
OFFER = WorkerOffer.of("w1", device=Device(name="cpu", torch_name="cpu"), workloads=[DIGITS])


STUDY_PATHS = (
    "/api/studies/{study}",
    "/api/studies/{study}/param_importances",
    "/api/studies/{study}/plot/optimization_history",
    "/csv/{study}",
)
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/jobs/preview": REQUEST,
    "PUT /v1/teams/{team}/members/{user}": {"role": "admin"},
    "PATCH /v1/jobs/{job_id}": {"shared": True},
    "PATCH /v1/workers/{name}": {"draining": True},
    "PATCH /v1/webhooks/{webhook_id}": {"enabled": False},
    "POST /v1/tokens": {"user": "cleo", "team": VISION},
    "POST /v1/webhooks": {"url": "https://hooks.example/x", "team": VISION},
}
QUERIES = ("", f"?team={VISION}", f"?text={SECRET}", "?owner=cleo", "?state=running")


class StopsSoon(threading.Event):
    """Ends every stream at its third poll, and never the service."""

    def __init__(self) -> None:
        super().__init__()
        self._answers = itertools.cycle((False, False, True))

    def is_set(self) -> bool:
        return next(self._answers)


@dataclass(frozen=True)
class Scene:
    """Teams at work; vision has secrets."""

    app: FastAPI
    client: TestClient
    store: Store
    team: Team
    outsiders: dict[Role, str]
    """Of speech: a token by role."""
    private: tuple[JobRecord, ...]
    """Of vision: completed, running, queued."""
    webhook_id: str

    def ask(self, secret: str, method: str, path: str, **given: Any) -> Any:
        headers = as_user(secret) | {"Last-Event-ID": "0"}
        body = {"json": given.get("json", {})} if method in {"POST", "PUT", "PATCH"} else {}
        return self.client.request(method, path, headers=headers, follow_redirects=False, **body)

    def names(self) -> dict[str, list[str]]:
        """What a placeholder of a path may stand for, of vision's."""
        runs = [run.id for job in self.private for run in self.store.planning.load(job.id).runs]
        studies = [study for job in self.private if (study := self.store.study_view().id_of(job.id)) is not None]
        return {
            "job_id": [job.id for job in self.private],
            "run_id": runs,
            "webhook_id": [self.webhook_id],
            "token_id": [token.id for token in self.store.people.tokens(team=VISION)],
            "study": [str(study) for study in studies],
        }

    def traces(self) -> set[str]:
        """Texts that no response to an outsider may contain."""
        trials = {trial.id for job in self.private for trial in self.store.planning.load(job.id).trials}
        names = self.names()
        return {SECRET, *names["job_id"], *names["run_id"], *names["webhook_id"], *names["token_id"], *trials}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("visibility")
    (folder / "tuner.db").write_bytes(empty_database.read_bytes())
    settings = Settings(
        data_dir=folder, auth="on", event_poll_interval=timedelta(milliseconds=5), reap_interval=timedelta(hours=1)
    )
    with closing(Store.open(settings.database)) as store:
        team, world = settle(store), World(store)
        private = tuple(
            world.job(team=VISION, name=f"{SECRET} {number}", notes=SECRET, by=Actor(user="cleo"))
            for number in range(3)
        )
        completed, running, _ = private
        work_off(store, completed)
        leave_half_done(store, running)
        world.job(team=VISION, name=SHOWN, shared=True, by=Actor(user="cleo"))
        webhook = store.webhooks.create(NewWebhook(team=VISION, url=f"https://{SECRET}.example"), by=Actor(user="ben"))
        outsiders = {role: outsider(store, role) for role in Role}
        app = create_app(settings, store=store, closing=StopsSoon())
        with TestClient(app, base_url="http://127.0.0.1:8642") as client:
            yield Scene(
                app=app,
                client=client,
                store=store,
                team=team,
                outsiders=outsiders,
                private=tuple(store.jobs.get(job.id) for job in private),
                webhook_id=webhook.id,
            )


def outsider(store: Store, role: Role) -> str:
    """A token of speech's."""
    user = f"outsider-{role.value}"
    store.people.put_user(user)
    store.people.put_member(SPEECH, user, role)
    return store.people.create_token(user, team=SPEECH, role=role)[1]


def work_off(store: Store, job: JobRecord) -> None:
    """Let a worker that trains nothing bring a job to its end."""
    while (taken := store.queue.claim(OFFER, lease_seconds=600, lock_seconds=600, job_id=job.id)) is not None:
        if isinstance(taken, StudyLock):
            run_planning_step(store, lock=taken)
        else:
            show_signs(store, taken)
            store.leases.finish(taken, loss=0.3 + taken.schedule.peak_lr, step=taken.total_steps, updates=1)


def leave_half_done(store: Store, job: JobRecord) -> None:
    """Let a worker hold a run of a job."""
    while isinstance(taken := store.queue.claim(OFFER, lease_seconds=600, lock_seconds=600, job_id=job.id), StudyLock):
        run_planning_step(store, lock=taken)
    assert taken is not None
    show_signs(store, taken)


def show_signs(store: Store, lease: LeasedRun) -> None:
    point = CurvePoint(step=10, lr=0.1, train_loss=1.0, val_loss=0.9)
    store.leases.heartbeat(lease, points=[point], updates=10, lease_seconds=600)
    store.leases.append_log(lease, SECRET)


def operations(app: FastAPI) -> Iterator[str]:
    """Every method and path of the application, documented or not."""
    for route in app.routes:
        parts = route.effective_route_contexts() if hasattr(route, "effective_route_contexts") else [route]
        for part in parts:
            known: Any = part if isinstance(part, Route) else (getattr(part, "starlette_route", None) or part)
            for method in sorted((known.methods or {"ANY"}) - {"HEAD"}):
                yield f"{method} {known.path_format}"


def filled(path: str, **names: str) -> str:
    """A path without placeholders."""
    defaults = {
        "number": "0",
        "name": "w1" if "workers" in path else "digits-mlp",
        "user": "cleo",
        "team": VISION,
        "slug": "forbidden",
        "rest": "",
        "file": "x.js",
    }
    for placeholder, value in (defaults | names).items():
        path = path.replace("{" + placeholder + "}", value)
    return path


def told(answer: Any) -> str:
    """The content of a response without the parts that repeat the request."""
    return f"{answer.headers} {answer.text}"


def concrete(scene: Scene, path: str) -> Iterator[tuple[str, str]]:
    """Paths to what is vision's, each with the same path to what is not there."""
    nowhere = {"study": "999999"}
    for placeholder, values in scene.names().items():
        if "{" + placeholder + "}" in path:
            for value in values:
                missing = nowhere.get(placeholder, str(uuid.uuid4()))
                yield filled(path, **{placeholder: value}), filled(path, **{placeholder: missing})


def by_kind(*kinds: Shows) -> list[str]:
    return [operation for operation, shows in ROUTES.items() if shows in kinds]


def test_every_route_is_known(scene: Scene):
    documented = {f"{method.upper()} {path}" for path, item in scene.app.openapi()["paths"].items() for method in item}
    assert documented <= set(operations(scene.app))
    assert set(operations(scene.app)) == ROUTES.keys()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("operation", by_kind(Shows.ONE))
def test_objects_of_other_teams_lead_to_the_same_404_as_missing_ones(scene: Scene, operation: str, role: Role):
    method, template = operation.replace("ANY", "GET").split(" ")
    body, secret = BODIES.get(operation, {}), scene.outsiders[role]
    pairs = list(concrete(scene, template))
    assert pairs
    for path, nowhere in pairs[:12]:
        answer = scene.ask(secret, method, path, json=body)
        absent = scene.ask(secret, method, nowhere, json=body)
        assert answer.status_code in {403, 404}, (path, answer.text)
        assert (answer.status_code, answer.json()["type"]) == (absent.status_code, absent.json()["type"])
        asked = {part for part in path.split("/") if part}
        assert not {trace for trace in scene.traces() - asked if trace in told(answer)}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("path", STUDY_PATHS)
def test_studies_of_others_are_not_in_the_dashboard(scene: Scene, path: str, role: Role):
    for there, nowhere in concrete(scene, path):
        answer, absent = (scene.ask(scene.outsiders[role], "GET", one) for one in (there, nowhere))
        assert answer.status_code == absent.status_code == 404
        assert not {trace for trace in scene.traces() if trace in told(answer)}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("operation", by_kind(Shows.MANY, Shows.NOTHING))
def test_nothing_of_other_teams_is_in_other_responses(scene: Scene, operation: str, role: Role):
    method, template = operation.split(" ")
    traces = scene.traces()
    for verb in ("GET", "POST", "PUT", "DELETE") if method == "ANY" else (method,):
        for query in QUERIES if verb == "GET" else ("",):
            path = filled(template, **({"rest": "studies"} if "/api/" in template else {})) + query
            answer = scene.ask(scene.outsiders[role], verb, path, json=BODIES.get(operation, {}))
            assert answer.status_code < 500, (path, answer.text)
            spoken = told(answer).replace(f"text={SECRET}", "")
            if answer.status_code == 422 or answer.status_code == 404:
                spoken = spoken.replace(SECRET, "", 2)  # the refused value, told back
            assert not {trace for trace in traces if trace in spoken}, path


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/queue", "/v1/events", "/api/studies"])
def test_lists_leave_out_what_is_anothers_and_nothing_else(scene: Scene, path: str, query: str):
    if query and path != "/v1/jobs":
        return
    own, foreign = (scene.ask(secret, "GET", path + query).text for secret in (scene.team.cleo, scene.team.eve))
    kept = {trace for trace in (job.id for job in scene.private) if trace in own}
    assert kept or path == "/api/studies"
    assert not {job.id for job in scene.private if job.id in foreign}
    assert SECRET not in foreign


def test_runs_of_others_are_not_found_by_the_start_of_their_id(scene: Scene):
    for run_id in scene.names()["run_id"]:
        path = f"/v1/runs?id={run_id[:8]}"
        assert run_id in {run["id"] for run in scene.ask(scene.team.ben, "GET", path).json()}
        for secret in scene.outsiders.values():
            assert scene.ask(secret, "GET", path).json() == []


@pytest.mark.parametrize("role", Role)
def test_what_is_shared_is_seen_by_all(scene: Scene, role: Role):
    for path in ("/v1/jobs", "/v1/queue"):
        assert SHOWN in scene.ask(scene.outsiders[role], "GET", path).text


@pytest.mark.parametrize("operation", [one for one in by_kind(Shows.ONE) if one.startswith(("GET", "ANY"))])
def test_whose_it_is_sees_it(scene: Scene, operation: str):
    template = operation.split(" ")[1]
    answers = [scene.ask(scene.team.ben, "GET", path) for path, _ in concrete(scene, template)]
    # The job has no range test: whose it is learns that, instead of a 404.
    seen = {409} if template.endswith("/range-test") else {200, 307}
    assert any(answer.status_code in seen for answer in answers), [answer.text for answer in answers]
    assert all(scene.ask(scene.team.ben, "GET", nowhere).status_code == 404 for _, nowhere in concrete(scene, template))


def test_users_outside_a_team_cannot_submit_for_it(scene: Scene):
    for secret in scene.outsiders.values():
        answer = scene.ask(secret, "POST", "/v1/jobs", json=REQUEST | {"team": VISION})
        assert answer.status_code in {403, 404}, answer.text
    viewer = scene.ask(scene.outsiders[Role.VIEWER], "POST", "/v1/jobs", json=REQUEST)
    assert viewer.status_code == 403


def test_what_is_shared_is_not_to_be_changed(scene: Scene):
    shared = next(job for job in scene.store.jobs.list().items if job.spec.name == SHOWN)
    for operation in by_kind(Shows.ONE):
        method, template = operation.split(" ")
        if method not in {"GET", "ANY"} and "{job_id}" in template and not template.endswith("/clone"):
            for secret in (*scene.outsiders.values(), scene.team.dan):
                answer = scene.ask(secret, method, filled(template, job_id=shared.id), json=BODIES.get(operation, {}))
                assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden"), operation
    assert scene.store.jobs.get(shared.id) == shared


def test_nothing_has_been_changed_by_all_this(scene: Scene):
    for job in scene.private:
        assert scene.store.jobs.get(job.id) == job
    assert scene.store.webhooks.get(scene.webhook_id).enabled
    assert {token.revoked_at for token in scene.store.people.tokens(team=VISION)} == {None}
