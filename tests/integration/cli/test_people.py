"""The command line of a team, with logins and roles."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.cli.conftest import HOST, Cli
from tests.integration.cli.test_jobs import TINY
from tests.integration.store.builders import announce
from tuner.cli.stack.stack import Stack, database_in, free_port, wait_until_ready
from tuner.cli.stack.supervisor import Supervisor
from tuner.store import Store


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service that requires a login, with a worker that offers something."""
    stack = Stack(data_dir=tmp_path_factory.mktemp("data"), host=HOST, port=free_port(HOST), auth="on")
    with Supervisor(say=lambda _: None) as supervisor:
        supervisor.add(stack.service())
        wait_until_ready(stack.url, supervisor=supervisor)
        store = Store.open(database_in(stack.data_dir))
        announce(store, "far-away", device="cuda:0", workloads=[TINY])
        store.close()
        yield stack


@pytest.fixture(scope="module")
def stranger(guarded: Stack, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Somebody who has not logged in."""
    return Cli(guarded.url, tmp_path_factory.mktemp("stranger"))


def logged_in(stranger: Cli, *, folder: Path, token: str) -> Cli:
    cli = replace(stranger, logins=folder)
    done = cli("login", stranger.url, stdin=f"{token}\n")
    assert done.returncode == 0, done.stderr
    assert token not in done.stdout + done.stderr
    return cli


@pytest.fixture(scope="module")
def admin(guarded: Stack, stranger: Cli, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Who runs the service, by the token that its first start left."""
    token = guarded.admin_token_file.read_text().strip()
    return logged_in(stranger, folder=tmp_path_factory.mktemp("admin"), token=token)


@pytest.fixture(scope="module")
def ada(admin: Cli, stranger: Cli, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A submitter of team vision."""
    for words in (
        ("team", "set", "vision", "--weight", "2", "--max-open-jobs", "50"),
        ("user", "set", "ada"),
        ("member", "set", "vision", "ada", "--role", "submitter"),
    ):
        done = admin("admin", *words)
        assert done.returncode == 0, done.stderr
    made = admin("admin", "token", "create", "--user", "ada", "--team", "vision", "--role", "submitter")
    assert re.fullmatch(r"stt_\S+\n", made.stdout), made.stderr
    return logged_in(stranger, folder=tmp_path_factory.mktemp("ada"), token=made.stdout.strip())


@pytest.fixture
def job_id(ada: Cli) -> str:
    done = ada("submit", "tiny", "--name", "mine", "--budget", "8", "--notes", "look here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestLogin:
    def test_without_a_login_the_error_names_the_command(self, stranger):
        done = stranger("jobs")
        assert done.returncode == 2
        assert done.stderr == (
            f"Error: {stranger.url} requires a login. `tuner login {stranger.url}` stores a token for it; "
            "TUNER_TOKEN sets one, too\n"
        )

    def test_a_token_that_is_none_is_refused_and_not_stored(self, stranger):
        done = stranger("login", stranger.url, stdin="stt_guessed\n")
        assert done.returncode == 2
        assert "does not accept the token" in done.stderr
        assert not list(stranger.logins.iterdir())

    def test_whoami_shows_user_and_role(self, admin, ada):
        assert admin("whoami").stdout == f"admin, admin of the whole service at {admin.url}\n"
        assert ada("whoami").stdout == f"ada, submitter in team vision at {ada.url}\n"
        assert ada.json("whoami")["memberships"] == [{"team": "vision", "user": "ada", "role": "submitter"}]

    def test_after_a_logout_the_token_is_gone_and_after_a_revocation_useless(self, ada, stranger, tmp_path):
        secret = ada("admin", "token", "create", "--label", "short", "--days", "1").stdout.strip()
        cli = logged_in(stranger, folder=tmp_path, token=secret)
        assert cli("logout", "--revoke").stderr == f"The token for {cli.url} is revoked and deleted.\n"
        assert cli("jobs").returncode == 2
        assert cli("logout").stderr == f"No token is stored for {cli.url}.\n"
        assert cli("login", stdin=f"{secret}\n").returncode == 2

    def test_a_service_without_a_login_says_so(self, cli, tmp_path):
        done = replace(cli, logins=tmp_path)("login", cli.url)
        assert (done.returncode, done.stderr) == (0, f"{cli.url} needs no login.\n")
        assert not list(tmp_path.iterdir())


class TestActions:
    def test_a_job_is_paused_resumed_changed_cancelled_and_tried_again(self, ada, job_id):
        assert ada("pause", job_id).stderr == f"Paused job {job_id}.\n"
        assert ada.json("show", job_id)["job"]["state"] == "paused"
        assert ada.json("resume", job_id)["state"] in {"queued", "running"}
        words = ("--name", "other", "--shared", "--priority", "low", "--trials", "9", "--patience", "3")
        changed = ada.json("set", job_id, *words, "--budget", "quick")["spec"]
        assert [changed[name] for name in ("name", "shared", "priority")] == ["other", True, "low"]
        assert [changed["search"][name] for name in ("trials", "budget")] == [9, 3]
        assert changed["limits"]["patience"] == 3
        assert ada.json("set", job_id, "--trials", "none")["spec"]["search"]["trials"] is None
        assert ada.json("set", job_id, "--patience", "none")["spec"]["limits"]["patience"] is None
        assert ada("cancel", job_id).returncode == 0
        assert ada("retry", job_id).stderr == f"Retried job {job_id}.\n"

    def test_a_change_of_nothing_is_refused(self, ada, job_id):
        assert "must be given by at least one option" in ada("set", job_id).stderr

    def test_a_clone_is_a_job_of_its_own(self, ada, job_id):
        clone = ada("clone", job_id, "--name", "again").stdout.strip()
        shown = ada("show", clone).stdout
        assert f"Cloned from job {job_id}" in shown
        assert "Owner ada, team vision; priority normal; 0 s of device time" in shown
        assert "Notes: look here" in shown

    def test_delete_asks_first_and_needs_a_finished_job(self, ada, job_id):
        done = ada("delete", job_id)
        assert (done.returncode, "--yes must be given where standard input is no terminal" in done.stderr) == (2, True)
        assert ada("delete", job_id, "--yes").returncode == 2
        ada("cancel", job_id)
        assert ada("delete", job_id, "--yes").stderr == f"Deleted job {job_id}.\n"
        assert "there is no job" in ada("show", job_id).stderr

    def test_a_job_is_priced_without_being_submitted(self, ada):
        before = [job["id"] for job in ada.json("jobs")]
        done = ada("submit", "tiny", "--budget", "8", "--dry-run")
        assert done.returncode == 0, done.stderr
        assert "Device time: unknown" in done.stdout
        assert done.stdout.startswith("At most 8 full runs")
        refused = ada("submit", "tiny", "--priority", "high", "--dry-run")
        assert (refused.returncode, "It would be refused: --priority" in refused.stderr) == (2, True)
        assert [job["id"] for job in ada.json("jobs")] == before


class TestLooking:
    def test_jobs_can_be_picked_by_owner_team_workload_and_text(self, ada, job_id):
        def found(*words):
            return job_id in {job["id"] for job in ada.json("jobs", "--limit", "200", *words)}

        assert found("--owner", "ada", "--team", "vision", "--workload", "tiny", "--text", "mine")
        assert not any(found(*words) for words in (("--owner", "ben"), ("--workload", "other"), ("--text", "zzz")))

    def test_the_queue_shows_the_position_and_the_reason(self, ada, job_id):
        assert ada("queue").stdout.split("\n", 1)[0].split()[:3] == ["POSITION", "JOB", "STATE"]
        (entry,) = (entry for entry in ada.json("queue") if entry["job_id"] == job_id)
        assert entry["reason"]
        assert ada.json("shares")[0]["team"] == "vision"
        assert ada("shares").stdout.splitlines()[0].startswith("TEAM")

    def test_a_job_without_trials_says_so(self, ada, job_id):
        assert ada("trials", job_id).stderr == "No trials yet.\n"
        assert ada("runs", job_id, "--trial", "0", "--state", "queued").stderr == "No such runs.\n"
        assert "there is no run" in ada("logs", "00000000-0000-0000-0000-000000000000").stderr

    def test_events_of_a_job_are_listed_to_their_end(self, ada, job_id):
        ada("cancel", job_id)
        lines = ada("events", "--job", job_id, "--json").stdout.splitlines()
        assert [json.loads(line)["kind"] for line in lines] == ["job.submitted", "job.cancelled"]
        assert "job cancelled" in ada("events", "--job", job_id, "--follow").stdout.splitlines()[1]

    def test_events_of_all_jobs_end_when_nothing_new_comes(self, ada, job_id):
        assert f"job {job_id[:8]}  job submitted" in ada("events").stdout


class TestAdministration:
    def test_a_submitter_may_not(self, ada):
        for words in (("admin", "audit"), ("admin", "user", "list"), ("workers", "drain", "far-away")):
            done = ada(*words)
            assert (done.returncode, done.stderr.startswith("Error: ")) == (2, True)

    def test_a_team_is_made_changed_and_deleted(self, admin):
        admin("admin", "team", "set", "nlp", "--max-running-runs", "4", "--weight", "3")
        admin("admin", "team", "set", "nlp", "--max-running-runs", "none")
        settings = admin.json("admin", "team", "show", "nlp")["settings"]
        assert (settings["weight"], settings["max_running_runs"]) == (3.0, None)
        assert "no limit" in admin("admin", "team", "show", "nlp").stdout
        assert "nlp" in admin("admin", "team", "list").stdout
        assert admin("admin", "team", "delete", "nlp", "--yes").returncode == 0
        assert admin("admin", "team", "delete", "nlp", "--yes").returncode == 2

    def test_people_and_tokens_are_listed_without_secrets(self, admin, ada):
        assert "ada" in admin("admin", "member", "list", "vision").stdout
        assert "vision (submitter)" in admin("admin", "user", "list").stdout
        tokens = admin("admin", "token", "list").stdout
        assert "vision" in tokens
        assert "stt_" not in tokens

    def test_the_audit_log_shows_who_did_what(self, admin, ada, job_id):
        ada("cancel", job_id)
        (entry,) = (
            one
            for one in admin.json("admin", "audit", "--actor", "ada")
            if one["target"] == job_id and one["action"] == "job.cancel"
        )
        assert entry["team"] == "vision"
        assert "job.cancel" in admin("admin", "audit").stdout

    def test_a_worker_is_drained_reserved_and_shown(self, admin, ada):
        admin("workers", "drain", "far-away")
        admin("workers", "reserve", "far-away", "vision")
        row = admin("workers").stdout.splitlines()[1]
        assert "draining" in row
        assert "vision" in row
        admin("workers", "undrain", "far-away")
        admin("workers", "reserve", "far-away")
        (worker,) = admin.json("workers")
        assert (worker["draining"], worker["reserved_for"]) == (False, None)
        assert admin("workers", "forget", "far-away").returncode == 2

    def test_a_webhook_lives_through_its_commands(self, admin, ada):
        made = admin("webhook", "add", "https://ci.example.org/hook", "--team", "vision", "--event", "job.failed")
        assert made.returncode == 0, made.stderr
        (webhook,) = admin.json("webhook", "list")
        assert webhook["events"] == ["job.failed"]
        start = webhook["id"][:8]
        assert admin("webhook", "set", start, "--disabled").returncode == 0
        assert "disabled" in admin("webhook", "list").stdout
        assert admin("webhook", "rotate-key", start).stdout != made.stdout
        assert admin("webhook", "deliveries", start).stderr == "No deliveries.\n"
        done = admin("webhook", "remove", start, "--yes")
        assert (done.returncode, f"It stands for {webhook['id']}" in done.stderr) == (2, True)
        assert admin("webhook", "remove", webhook["id"], "--yes").returncode == 0
        assert admin("webhook", "list").stderr == "No webhooks. `tuner webhook add` adds one.\n"
