import json
import re
import signal

import pytest

from tests.integration.store.builders import announce
from tuner.jobs.records import Level, WorkloadInfo
from tuner.search.space import OptimizerKind

TINY = WorkloadInfo(
    name="tiny",
    version="1",
    level=Level.DECLARED,
    description="A workload that nobody trains here.",
    options_schema={
        "type": "object",
        "properties": {
            "width": {"type": "integer", "default": 8, "minimum": 1, "maximum": 64, "description": "Units."},
            "optimizer": {"enum": ["sgd", "adam"], "default": "sgd", "description": "Which one."},
        },
    },
    optimizer_option="optimizer",
    optimizer=OptimizerKind.SGD,
    default_steps=900,
    peak_lr={},
)


@pytest.fixture(scope="module", autouse=True)
def announced(store):
    announce(store, "far-away", device="cuda:0", workloads=[TINY])


def submitted(cli):
    done = cli("submit", "tiny", "--name", "mine", "--budget", "8", "-o", "width=16")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def job_id(cli):
    return submitted(cli)


class TestSubmit:
    def test_the_id_alone_goes_to_standard_output(self, cli):
        done = cli("submit", "tiny")
        assert re.fullmatch(r"[0-9a-f-]{36}\n", done.stdout)
        assert f"tuner watch {done.stdout[:8]}" in done.stderr

    def test_it_says_when_no_worker_can_run_it(self, cli):
        done = cli("submit", "tiny", "--memory-gib", "9999")
        assert done.returncode == 0
        assert "no live worker that offers tiny has 1 device with 9999 GiB" in done.stderr

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (("--device", "cpu"), "no live worker that offers tiny has 1 cpu device"),
            (("--memory-gib", "9999"), "no live worker that offers tiny has 1 device with 9999 GiB"),
        ],
    )
    def test_a_dry_run_says_that_it_would_wait(self, cli, options, reason):
        done = cli("submit", "tiny", *options, "--dry-run")
        assert done.returncode == 0
        assert f"It would wait: {reason}" in " ".join(done.stdout.split())

    @pytest.mark.parametrize("dry", [(), ("--dry-run",)])
    def test_a_team_is_refused_where_no_team_exists(self, cli, dry):
        done = cli("submit", "tiny", "--team", "typo", *dry)
        assert done.returncode != 0
        assert "there are no teams" in " ".join(done.stderr.split())

    def test_what_cannot_be_built_in_its_updates_is_refused(self, cli):
        done = cli("submit", "tiny", "--total-steps", "10", "--warmup", "0,96%", "--dry-run")
        assert done.returncode != 0
        assert "--warmup must be a length that leaves an update after the warm-up" in " ".join(done.stderr.split())

    def test_given_values_are_sent_and_the_service_fills_in_the_rest(self, cli):
        spec = json.dumps({"workload": "tiny", "options": {"width": 4}, "search": {"seeds": 2, "seed": 5}})
        job = cli.json("submit", "--spec", "-", "-o", "optimizer=adam", "--seed", "7", "--priority", "low", stdin=spec)
        assert job["spec"]["options"] == {"width": 4, "optimizer": "adam"}
        assert job["spec"]["priority"] == "low"
        assert [job["spec"]["search"][name] for name in ("seeds", "seed", "total_steps")] == [2, 7, 900]

    def test_the_space_of_the_search_is_set_by_options_and_the_rest_is_the_default(self, cli):
        job = cli.json(
            "submit", "tiny", "--peak-lr", "1e-3..0.1", "--family", "wsd", "--warmup", "0,5%", "--seeds", "3"
        )
        search = job["spec"]["search"]
        space = search["space"]
        assert (space["peak_lr"]["low"], space["peak_lr"]["high"], space["peak_lr"]["log"]) == (1e-3, 0.1, True)
        assert [family["name"] for family in space["families"]] == ["wsd"]
        assert set(space["families"][0]["params"]) == {"cooldown", "shape"}
        assert (space["warmup"], space["floor"], search["seeds"]) == ([0.0, 0.05], [0.0, 0.01, 0.1], 3)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("tinny",), ("WORKLOAD must be one of tiny", '"tinny"', "Did you mean 'tiny'?")),
            (("tiny", "-o", "width=0"), ("--option width must be at least 1", "0")),
            (("tiny", "-o", "widht=3"), ("--option widht", "width, optimizer", "Did you mean 'width'?")),
            (("tiny", "-o", "lr=0.1"), ("--option lr is not one of", "It is set by `--peak-lr`.")),
            (("tiny", "--vary", "warmup=0,0.1"), ("--vary warmup is not one of", "It is set by `--warmup`.")),
            (("tiny", "--trials", "0", "--seeds", "0"), ("--trials must be", "--seeds must be")),
            (("tiny", "--trials", "0"), ("--trials must be at least 1", "0")),
            (("tiny", "--budget", "cheap"), ("--budget must be a number of full runs from 1", "quick (3)")),
        ],
    )
    def test_a_refusal_names_the_field_the_value_and_what_is_allowed(self, cli, arguments, words):
        done = cli("submit", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr
        assert all(word in done.stderr for word in words), done.stderr


class TestReads:
    def test_jobs_are_listed_the_latest_first(self, cli):
        older, job_id = (submitted(cli) for _ in range(2))
        found = cli.json("jobs", "--limit", "2")
        assert [job["id"] for job in found] == [job_id, older]
        lines = cli("jobs").stdout.splitlines()
        headings = ["ID", "STATE", "PROGRESS", "RECOMMENDED", "AGE", "WORKLOAD", "TEAM", "OWNER", "NAME"]
        assert lines[0].split("\t") == headings
        row = dict(zip(headings, lines[1].split("\t"), strict=True))
        assert re.fullmatch(r"\d+ s", row.pop("AGE"))
        assert list(row.values()) == [job_id, "queued", "0 % of 8 runs", "", "tiny", "default", "local", "mine"]

    def test_jobs_can_be_picked_by_state(self, cli, job_id):
        assert job_id in {job["id"] for job in cli.json("jobs", "--state", "queued", "--state", "running")}
        done = cli("jobs", "--state", "failed")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "No such jobs. `tuner submit` adds one.\n")

    @pytest.mark.parametrize("name", [lambda job_id: job_id, lambda job_id: job_id[:12], lambda _: "latest"])
    def test_a_job_is_found_by_its_id_the_start_of_it_and_as_the_latest(self, cli, job_id, name):
        shown = cli.json("show", name(job_id))
        assert shown["job"]["id"] == job_id
        assert (shown["trials"], shown["runs"]) == ([], [])

    def test_a_start_that_may_fit_several_jobs_is_refused(self, cli, job_id):
        for text in ("", job_id[:3]):
            done = cli("show", text)
            assert done.returncode == 2
            assert "JOB must be an id, or at least its first 4 characters, or latest" in done.stderr

    @pytest.mark.parametrize("name", ["0000", "00000000-0000-0000-0000-000000000000"])
    def test_a_job_that_is_not_there_is_refused(self, cli, name):
        done = cli("show", name)
        assert done.returncode == 2
        assert f"there is no job '{name}'" in done.stderr

    def test_show_says_how_far_the_job_is(self, cli, job_id):
        text = cli("show", job_id).stdout
        assert re.search(rf"^Dashboard: http://\S+/v1/jobs/{job_id}/dashboard$", text, re.MULTILINE)
        assert text.startswith(f"tiny (mine)  job {job_id[:8]}  queued, time left unknown yet\n")
        assert "0 of 8 full runs" in text
        assert "0 opened (at most 8)" in text
        assert "Recommended so far  none yet" in text

    def test_without_a_run_at_the_horizon_there_is_no_report_and_the_command_says_why(self, cli, job_id):
        done = cli("report", job_id)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("The job is queued; no run has reached the horizon yet")

    def test_two_formats_of_a_report_at_once_are_refused(self, cli, job_id):
        done = cli("report", job_id, "--json", "--format", "html")
        assert (done.returncode, done.stdout) == (2, "")
        assert "--format must be json, or absent, with --json" in done.stderr

    def test_workloads_are_listed_and_described(self, cli):
        assert [info["name"] for info in cli.json("workloads")] == ["tiny"]
        assert cli("workloads").stdout.splitlines()[1].startswith("tiny\t900\tA workload")
        text = cli("workloads", "tiny").stdout
        assert re.search(r"^width\t8\ta whole number, at least 1, at most 64\tUnits\.$", text, flags=re.MULTILINE)
        assert re.search(r"^optimizer\tsgd\tone of 'sgd', 'adam'\tWhich one\.$", text, flags=re.MULTILINE)
        assert cli.json("workloads", "tiny")["default_steps"] == 900

    def test_an_unknown_workload_is_refused_with_those_offered(self, cli):
        done = cli("workloads", "huge")
        assert done.returncode == 2
        assert "there is no workload 'huge'. Offered: tiny" in done.stderr

    def test_workers_are_listed(self, cli):
        assert [worker["name"] for worker in cli.json("workers")] == ["far-away"]
        row = cli("workers").stdout.splitlines()[1].split()
        assert row[:2] == ["far-away", "cuda:0"]
        assert "alive" in row


class TestCancel:
    def test_a_cancelled_job_keeps_its_reason(self, cli, job_id):
        assert cli("cancel", job_id, "--reason", "wrong data").returncode == 0
        job = cli.json("show", job_id)["job"]
        assert (job["state"], job["error"]) == ("cancelled", "wrong data")


class TestWithoutAWorker:
    @pytest.fixture(autouse=True)
    def left(self, store, job_id):
        store.workers.retire("far-away")
        yield
        announce(store, "far-away", device="cuda:0", workloads=[TINY])

    NOTICE = "No worker is alive: start one with `tuner worker`.\n"

    def test_submitting_says_that_the_job_waits(self, cli):
        assert cli("submit", "tiny").stderr.endswith(self.NOTICE)

    def test_showing_a_job_says_that_it_waits_unless_it_has_ended(self, cli, job_id):
        assert cli("show", job_id).stderr == self.NOTICE
        cli("cancel", job_id)
        assert cli("show", job_id).stderr == ""

    def test_watching_says_that_the_job_waits_and_when_it_does_no_more(self, cli, store, world, job_id):
        watching = world.start("watch", job_id, "--url", cli.url)
        world.until(lambda: self.NOTICE in world.said_by(watching), what="the notice")
        announce(store, "far-away", device="cuda:0", workloads=[TINY])
        world.until(lambda: "a worker are back" in world.said_by(watching), what="the end of the notice")

    def test_listing_the_workers_says_that_none_is_alive(self, cli):
        assert cli("workers").stderr == self.NOTICE


class TestWatch:
    def test_watching_a_cancelled_job_prints_its_events_and_fails(self, cli, job_id):
        cli("cancel", job_id, "--reason", "wrong data")
        done = cli("watch", job_id)
        assert done.returncode == 1
        assert [line for line in done.stdout.splitlines() if "%" not in line] == [
            "job submitted",
            "job cancelled: wrong data",
        ]
        assert done.stderr == "The job is cancelled: wrong data\n"

    def test_with_json_each_event_is_a_line(self, cli, job_id):
        cli("cancel", job_id)
        kinds = [json.loads(line)["kind"] for line in cli("watch", job_id, "--json").stdout.splitlines()]
        assert kinds == ["job.submitted", "job.cancelled"]

    def test_an_interrupt_leaves_the_job_running_and_says_how_to_come_back(self, cli, world, job_id):
        watching = world.start("watch", job_id, "--url", cli.url)
        world.until(lambda: "job submitted" in world.said_by(watching), what="the first event")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=60) == 130
        assert f"`tuner watch {job_id[:8]} --url {cli.url}` follows it again" in world.said_by(watching)
        assert cli.json("show", job_id)["job"]["state"] == "queued"
