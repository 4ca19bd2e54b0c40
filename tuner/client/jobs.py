"""Job operations: submit, read, update, pause, cancel, retry, delete; events and results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tuner.api.jobs import (
    JobDetail,
    JobListView,
    JobPage,
    JobPreview,
    JobSummary,
    JobSummaryPage,
    JobView,
    TrialPage,
    TrialView,
)
from tuner.api.runs import CurvePage, RatesPage, RunCurve, RunPage, RunView, TrialRates
from tuner.client.transport import Transport, path_segment, read, without_none
from tuner.jobs.progress import JobSort
from tuner.jobs.records import EventRecord
from tuner.jobs.states import JobState, RunState
from tuner.schedules import Schedule
from tuner.validation import choice

if TYPE_CHECKING:
    from tuner.api.standing import Standing
    from tuner.report.pages.formats import ReportFormat
    from tuner.report.report import Report
    from tuner.search.range_test.result import RangeTest


class JobsApi:
    """Requests about jobs; part of `tuner.client.Client`."""

    _http: Transport

    def submit(self, request: BaseModel | Mapping[str, Any], *, idempotency_key: str | None = None) -> JobDetail:
        """Submit a job.

        Args:
            request: The body of ``POST /v1/jobs``: at least ``{"workload": name}``.
            idempotency_key: The same key with the same request returns the same job, however often it is sent.
        """
        headers = without_none({"Idempotency-Key": idempotency_key})
        return read(JobDetail, self._http.request("POST", "/v1/jobs", json=_plain(request), headers=headers))

    def preview_job(self, request: BaseModel | Mapping[str, Any]) -> JobPreview:
        """Validation errors, cost and queue position of a job. Nothing is stored.

        Args:
            request: As for `submit`.
        """
        return self._http.send(JobPreview, "POST", "/v1/jobs/preview", body=_plain(request))

    def job(self, job_id: str) -> JobDetail:
        """One job, its progress, and the upper bound of its cost."""
        return self._http.get(JobDetail, f"/v1/jobs/{path_segment(job_id)}")

    def jobs(
        self,
        *,
        states: Collection[JobState] = (),
        team: str | None = None,
        workload: str | None = None,
        owner: str | None = None,
        text: str | None = None,
        sort: JobSort = JobSort.NEWEST,
    ) -> Iterator[JobView]:
        """The jobs that the caller may see. Pages are requested when they are needed.

        Args:
            states: Only jobs in these states; all when empty.
            team: Only jobs of this team.
            workload: Only jobs of this workload.
            owner: Only jobs that this user submitted.
            text: Only jobs with this text in the name, the notes or the workload, or at the start of the id.
            sort: Their order.
        """
        filters = {"team": team, "workload": workload, "owner": owner, "text": text}
        return self._http.pages(JobPage, "/v1/jobs", params=_filters(states, sort=sort, filters=filters))

    def job_summaries(
        self,
        *,
        states: Collection[JobState] = (),
        team: str | None = None,
        workload: str | None = None,
        owner: str | None = None,
        text: str | None = None,
        sort: JobSort = JobSort.NEWEST,
    ) -> Iterator[JobSummary]:
        """The jobs that the caller may see, each with its progress and result so far. Arguments as for `jobs`."""
        filters = {"team": team, "workload": workload, "owner": owner, "text": text, "view": JobListView.SUMMARY.value}
        return self._http.pages(JobSummaryPage, "/v1/jobs", params=_filters(states, sort=sort, filters=filters))

    def change(self, job_id: str, change: BaseModel | Mapping[str, Any]) -> JobDetail:
        """Update a job.

        Args:
            job_id: The job.
            change: The body of ``PATCH /v1/jobs/{id}``: any of ``name``, ``notes``, ``shared``, ``priority``,
                ``limits``, ``budget``, ``trials``. Absent fields stay as they are.
        """
        return self._http.send(JobDetail, "PATCH", f"/v1/jobs/{path_segment(job_id)}", body=change)

    def pause(self, job_id: str) -> JobDetail:
        """Pause a job. Its runs stop at their next evaluation, with a snapshot."""
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{path_segment(job_id)}/pause")

    def resume(self, job_id: str) -> JobDetail:
        """Resume a paused job."""
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{path_segment(job_id)}/resume")

    def cancel(self, job_id: str, *, reason: str = "") -> JobDetail:
        """Cancel a job. The results so far stay.

        Args:
            job_id: The job.
            reason: Shown with the job.
        """
        body = {"reason": reason} if reason else {}
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{path_segment(job_id)}/cancel", body=body)

    def retry(self, job_id: str) -> JobDetail:
        """Continue a failed or cancelled job."""
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{path_segment(job_id)}/retry")

    def clone(self, job_id: str, *, change: Mapping[str, Any] | None = None) -> JobDetail:
        """Submit a copy of a job.

        Args:
            job_id: The job to copy.
            change: The fields that differ, as in the body of ``POST /v1/jobs/{id}/clone``.
        """
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{path_segment(job_id)}/clone", body=change)

    def delete(self, job_id: str) -> None:
        """Delete a job that has ended, with its results."""
        self._http.request("DELETE", f"/v1/jobs/{path_segment(job_id)}")

    def trials(self, job_id: str) -> tuple[TrialView, ...]:
        """A job's trials, by number."""
        return tuple(self._http.pages(TrialPage, f"/v1/jobs/{path_segment(job_id)}/trials"))

    def runs(self, job_id: str, *, trial: int | None = None, state: RunState | None = None) -> tuple[RunView, ...]:
        """A job's runs, in the order in which they were planned.

        Args:
            job_id: The job.
            trial: Only runs of the trial with this number.
            state: Only runs in this state.
        """
        filters = without_none({"trial": trial, "state": state})
        return tuple(self._http.pages(RunPage, f"/v1/jobs/{path_segment(job_id)}/runs", params=filters))

    def events(
        self,
        job_id: str | None = None,
        *,
        after: int | None = None,
        patience: float = 60.0,
        quiet: float | None = None,
    ) -> Iterator[EventRecord]:
        """Events as they happen. The stream survives a restart of the service: no event is lost or repeated.

        Args:
            job_id: The job, whose events are streamed from the first one to its end. When absent: all jobs that the
                caller may see, without an end.
            after: Id of the last event received; 0 for all.
            patience: Seconds without a service after which to give up.
            quiet: Seconds without an event after which to stop; without it the stream goes on to its end.

        Raises:
            ServiceUnreachable: No service responded for so long.
        """
        path = "/v1/events" if job_id is None else f"/v1/jobs/{path_segment(job_id)}/events"
        return self._http.events(path, after=after, patience=patience, quiet=quiet)

    def report(self, job_id: str) -> Report:
        """The report of a completed job."""
        from tuner.report.report import Report

        return Report.model_validate_json(self._http.request("GET", f"/v1/jobs/{path_segment(job_id)}/report").content)

    def range_test(self, job_id: str) -> RangeTest:
        """The result of a job's LR range test, of its runs so far."""
        from tuner.search.range_test.result import RangeTest

        return self._http.get(RangeTest, f"/v1/jobs/{path_segment(job_id)}/range-test")

    def rates(self, job_id: str, *, points: int = 100) -> Iterator[TrialRates]:
        """The learning rates of a job's trials over the full horizon, by number.

        Args:
            job_id: The job.
            points: At most this many updates of each, evenly spaced.
        """
        return self._http.pages(RatesPage, f"/v1/jobs/{path_segment(job_id)}/schedules", params={"points": points})

    def curves(self, job_id: str, *, points: int = 100, trial: int | None = None) -> Iterator[RunCurve]:
        """The learning curves of a job's runs so far, in the order in which they were planned.

        Args:
            job_id: The job.
            points: At most this many points of each.
            trial: Only runs of the trial with this number.
        """
        query = without_none({"points": points, "trial": trial, "limit": 100})
        return self._http.pages(CurvePage, f"/v1/jobs/{path_segment(job_id)}/curves", params=query)

    def standing(self, job_id: str) -> Standing:
        """What the report would say if the search ended now, for a job in any state."""
        from tuner.api.standing import Standing

        return self._http.get(Standing, f"/v1/jobs/{path_segment(job_id)}/standing")

    def report_page(self, job_id: str, *, format: ReportFormat) -> str:
        """The report of a completed job as a page.

        Args:
            job_id: The job.
            format: ``"markdown"`` or ``"html"``; ``"json"`` for the text that `report` parses.
        """
        return self._http.request("GET", f"/v1/jobs/{path_segment(job_id)}/report", params={"format": format}).text

    def export(self, job_id: str, *, trial: int | None = None, total_steps: int | None = None) -> Schedule:
        """A schedule to train with.

        Args:
            job_id: The job.
            trial: Number of the trial; the one that the report recommends when absent.
            total_steps: Scale it to a run of this many updates; the job's horizon when absent.
        """
        text = self.export_as(job_id, format="json", trial=trial, total_steps=total_steps)
        return Schedule.from_json(text)

    def export_as(self, job_id: str, *, format: str, trial: int | None = None, total_steps: int | None = None) -> str:
        """A schedule as text: data, or code for a library to train with it.

        Args:
            job_id: The job.
            format: A name of `tuner.exports.ExportFormat`, as ``"csv"`` for the rate of every update.
            trial: Number of the trial; the one that the report recommends when absent.
            total_steps: Scale it to a run of this many updates; the job's horizon when absent.
        """
        query = without_none({"format": format, "trial": trial, "total_steps": total_steps})
        return self._http.request("GET", f"/v1/jobs/{path_segment(job_id)}/export", params=query).text


def _filters(states: Collection[JobState], *, sort: JobSort, filters: Mapping[str, str | None]) -> dict[str, Any]:
    """The query of a list of jobs."""
    wanted = [choice("states", state, of=JobState) for state in states] or None
    return without_none({"state": wanted, "sort": choice("sort", sort, of=JobSort), **filters})


def _plain(request: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """A request as JSON."""
    return request.model_dump(mode="json", exclude_unset=True) if isinstance(request, BaseModel) else dict(request)
