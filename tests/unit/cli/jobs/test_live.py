import pytest
from rich.console import Console

from tuner.api.jobs import JobDetail
from tuner.cli.jobs.live import format_clock, progress_line, screen
from tuner.jobs.forecasts import BestTrial
from tuner.jobs.progress import Progress, RunCounts, TrialCounts
from tuner.jobs.spec import JobSpec
from tuner.jobs.states import JobState
from tuner.metric import DEFAULT_METRIC
from tuner.search.decision.budget import price
from tuner.search.settings import SearchSettings
from tuner.search.space import OptimizerKind, default_space

BEST = BestTrial(
    trial=7, label="linear, peak 1.0e-01", value=0.12345, std=0.001, low=0.121, high=0.126, runs=3, margin=0.001
)


def job(
    *, state: JobState = JobState.RUNNING, best: bool = True, error: str | None = None, saved: int = 0
) -> JobDetail:
    search = SearchSettings(total_steps=1000, space=default_space(OptimizerKind.SGD))
    progress = Progress(
        budget=10.0,
        full_runs_spent=4.2,
        trials=TrialCounts(opened=7, pruned=2, completed=4, failed=0, most=10),
        runs=RunCounts(ended=8, running=1, queued=2),
        best=BEST if best else None,
        updates_spent=4_200,
        updates_most=10_000,
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
        failed_attempts=0,
        lost_attempts=0,
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
    def test_it_shows_full_runs_trials_the_best_so_far_and_the_time_left(self):
        text = drawn(job(), elapsed=62.0)
        assert text.startswith("digits-mlp  job 3f2a1c9e  running, 1:02 so far, about 1:15 left\n")
        for part in (
            "42% 4.2 of 10 full runs (4,200 updates)",
            "7 opened (at most 10), 4 completed, 2 pruned",
            "8 ended, 1 running, 2 queued",
            "validation loss 0.1235 (0.1210 to 0.1260), trial 7, linear, peak 1.0e-01",
        ):
            assert part in text

    def test_it_shows_the_latest_events_and_that_the_service_is_unreachable(self):
        lines = drawn(job(), events=["trial 3 pruned", "trial 4 pruned"], notice="waiting").splitlines()
        assert lines[-3:] == ["  trial 3 pruned", "  trial 4 pruned", "waiting"]

    def test_it_shows_the_updates_that_sharing_saved_once_there_are_any(self):
        assert "1,234 updates, which runs did not have to repeat" in drawn(job(saved=1_234))
        assert "Shared" not in drawn(job())

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
        assert "4.2 of 10 full runs" in text
        assert "7 opened, 4 completed" in text
        assert not any(word in text for word in ("at most", "queued", "so far", "left"))
        assert "left" not in progress_line(job(state=state))

    def test_it_fits_into_few_columns(self):
        console = Console(width=40)
        with console.capture() as capture:
            console.print(screen(job(), events=["x" * 100]))
        assert max(map(len, capture.get().splitlines())) <= 40


def test_a_line_of_progress_holds_the_same_in_short():
    assert progress_line(job()) == (
        " 42%, 4.2 of 10 full runs, 7 trials, "
        "recommended so far validation loss 0.1235 (0.1210 to 0.1260), trial 7, linear, peak 1.0e-01, about 1:15 left"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3_725, "1:02:05"), (-3, "0:00")]
)
def test_durations_read_as_on_a_clock(seconds, text):
    assert format_clock(seconds) == text
