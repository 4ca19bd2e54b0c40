import re
from dataclasses import replace

import pytest
from rich.console import Console
from tuner.search.decision.rungs import price

from tuner.api.jobs import JobDetail
from tuner.cli.jobs.live import format_clock, progress_line, screen
from tuner.jobs.progress import BestSoFar, Progress, RunCounts, TrialCounts
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.metric import DEFAULT_METRIC
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space


def job(
    *, state: JobState = JobState.RUNNING, best: bool = True, error: str | None = None, saved: int = 0
) -> JobDetail:
    search = SearchSettings(total_steps=900, trials=24, space=default_space(OptimizerKind.SGD))
    progress = Progress(
        trials=TrialCounts(planned=24, opened=18, pruned=9, completed=2, failed=0),
        rungs=(
            RunCounts(updates=100, done=12, running=1, queued=5, total=24),
            RunCounts(updates=300, done=4, running=0, queued=0, total=8),
        ),
        audits=RunCounts(updates=900, done=1, running=1, queued=0, total=3),
        confirmations=RunCounts(updates=900, done=0, running=0, queued=0, total=25),
        best=BestSoFar(trial=7, label="linear, peak 1.0e-01", value=0.12345, rung=1, updates=300) if best else None,
        updates_spent=4_200,
        updates_expected=10_000,
        fraction=0.42,
        seconds_left=75.0 if best else None,
    )
    return JobDetail(
        id="3f2a1c9e-0000-4000-8000-000000000000",
        state=state,
        spec=JobSpec(workload="digits-mlp", search=search),
        metric=DEFAULT_METRIC,
        owner="ada",
        origin=None,
        created_at=0.0,
        started_at=1.0,
        finished_at=None,
        error=error,
        updates_spent=4_200,
        updates_saved=saved,
        device_seconds=0.0,
        limit_reached=None,
        progress=progress,
        price=price(search),
        links={},
    )


def drawn(*arguments, **options) -> str:
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        console.print(screen(*arguments, **options))
    return capture.get()


class TestScreen:
    def test_it_shows_trials_rungs_the_best_so_far_and_the_time_left(self):
        text = drawn(job(), elapsed=62.0)
        assert text.startswith("digits-mlp  job 3f2a1c9e  running, 1:02 so far, about 1:15 left\n")
        for part in (
            "42% 4,200 of at most 10,000 updates",
            "18 of 24 opened, 9 pruned, 2 completed",
            "100 updates   12 of 24 done, 1 running, 5 queued",
            "300 updates    4 of 8 done ",
            "900 updates    0 of 25 done",
            "validation loss 0.1235 after 300 updates: trial 7, linear, peak 1.0e-01",
        ):
            assert part in text

    def test_it_shows_the_latest_events_and_that_the_service_is_unreachable(self):
        lines = drawn(job(), events=["trial 3 pruned", "trial 4 pruned"], notice="waiting").splitlines()
        assert lines[-3:] == ["  trial 3 pruned", "  trial 4 pruned", "waiting"]

    def test_it_shows_the_updates_that_sharing_saved_once_there_are_any(self):
        assert "1,234 updates, which runs did not have to repeat" in drawn(job(saved=1_234))
        assert "Shared" not in drawn(job())

    def test_it_shows_audits_where_any_are_planned(self):
        planned, none = job(), job()
        none = replace(none, progress=replace(none.progress, audits=replace(none.progress.audits, done=0, total=0)))
        assert re.search(r"^Audit +900 updates +1 of 3 done, 1 running", drawn(planned), re.MULTILINE)
        assert "Audit" not in drawn(none)

    def test_before_the_first_result_it_says_so(self):
        text = drawn(job(best=False))
        assert "time left unknown yet" in text
        assert "none yet" in text

    def test_an_ended_job_shows_its_error_and_no_time_left(self):
        text = drawn(job(state=JobState.FAILED, error="every schedule diverged\nat once"))
        assert "failed\n" in text
        assert "failed: every schedule diverged\n" in text
        assert "left" not in text

    def test_a_cancelled_job_shows_why(self):
        assert "cancelled: wrong data\n" in drawn(job(state=JobState.CANCELLED, error="wrong data"))

    @pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
    def test_a_finished_job_shows_results_and_no_upper_bounds(self, state):
        text = drawn(job(state=state))
        assert "42% 4,200 updates" in text
        assert "18 opened, 9 pruned" in text
        assert "300 updates    4 done" in text
        assert not any(word in text for word in (" of ", "queued", "so far"))
        assert "trials 18," in progress_line(job(state=state))

    def test_it_fits_into_few_columns(self):
        console = Console(width=40)
        with console.capture() as capture:
            console.print(screen(job(), events=["x" * 100]))
        assert max(map(len, capture.get().splitlines())) <= 40


def test_a_line_of_progress_holds_the_same_in_short():
    assert progress_line(job()) == (
        " 42%, trials 18/24, updates 4,200, "
        "best validation loss 0.1235 after 300 updates: trial 7, linear, peak 1.0e-01, about 1:15 left"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3_725, "1:02:05"), (-3, "0:00")]
)
def test_durations_read_as_on_a_clock(seconds, text):
    assert format_clock(seconds) == text
