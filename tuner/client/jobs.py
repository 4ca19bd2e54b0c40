"""Jobs: submit, look at, steer, and take the answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tuner.client.answers import JobPreview
from tuner.client.transport import Transport, given, part, read
from tuner.jobs.progress import JobDetail
from tuner.jobs.records import EventRecord, JobRecord, RunRecord, TrialRecord
from tuner.jobs.states import JobState, RunState
from tuner.schedules import Schedule

if TYPE_CHECKING:
    from tuner.report.pages.formats import ReportFormat
    from tuner.report.report import Report


class JobCalls:
    """The requests that are about jobs; part of `tuner.client.Client`."""

    _http: Transport

    def submit(self, request: BaseModel | Mapping[str, Any], *, idempotency_key: str | None = None) -> JobDetail:
        """Submit a job.

        Args:
            request: As ``POST /v1/jobs`` takes it: at least ``{"workload": name}``.
            idempotency_key: The same key with the same request gives the same job, however often it is sent.
        """
        headers = given({"Idempotency-Key": idempotency_key})
        return read(JobDetail, self._http.ask("POST", "/v1/jobs", json=_plain(request), headers=headers))

    def preview_job(self, request: BaseModel | Mapping[str, Any]) -> JobPreview:
        """What a job would cost, what would refuse it, and how many would go first. Nothing is stored.

        Args:
            request: As for `submit`.
        """
        return self._http.send(JobPreview, "POST", "/v1/jobs/preview", body=_plain(request))

    def job(self, job_id: str) -> JobDetail:
        """One job, how far it is, and what it costs at most."""
        return self._http.get(JobDetail, f"/v1/jobs/{part(job_id)}")

    def jobs(
        self,
        *,
        states: Collection[JobState] = (),
        team: str | None = None,
        workload: str | None = None,
        owner: str | None = None,
        text: str | None = None,
    ) -> Iterator[JobRecord]:
        """The jobs that may be seen, the newest first; pages are fetched as they are needed.

        Args:
            states: Only jobs in these states; all when empty.
            team: Only this team's.
            workload: Only those on this workload.
            owner: Only those that this user submitted.
            text: Only those with this text in the name, the notes or the workload, or whose id starts so.
        """
        wanted = {"state": [JobState(state).value for state in states] or None}
        filters = {"team": team, "workload": workload, "owner": owner, "text": text}
        return self._http.pages(JobRecord, "/v1/jobs", params=given({**wanted, **filters}))

    def change(self, job_id: str, change: BaseModel | Mapping[str, Any]) -> JobDetail:
        """Change a job.

        Args:
            job_id: The job.
            change: What to change, as ``PATCH /v1/jobs/{id}`` takes it: any of ``name``, ``notes``, ``shared``,
                ``priority``, ``limits``, ``trials``, ``max_updates``. What is left out stays.
        """
        return self._http.send(JobDetail, "PATCH", f"/v1/jobs/{part(job_id)}", body=change)

    def pause(self, job_id: str) -> JobDetail:
        """Set a job aside: what is being trained stops at its next evaluation, with a snapshot."""
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{part(job_id)}/pause")

    def resume(self, job_id: str) -> JobDetail:
        """Let a paused job go on."""
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{part(job_id)}/resume")

    def cancel(self, job_id: str, *, reason: str = "") -> JobDetail:
        """Cancel a job; its results so far are kept.

        Args:
            job_id: The job.
            reason: Shown with the job.
        """
        body = {"reason": reason} if reason else {}
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{part(job_id)}/cancel", body=body)

    def retry(self, job_id: str) -> JobDetail:
        """Have a failed or cancelled job go on where it stopped."""
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{part(job_id)}/retry")

    def clone(self, job_id: str, *, change: Mapping[str, Any] | None = None) -> JobDetail:
        """Submit a job like another one.

        Args:
            job_id: The other one.
            change: What is to differ, as ``POST /v1/jobs/{id}/clone`` takes it.
        """
        return self._http.send(JobDetail, "POST", f"/v1/jobs/{part(job_id)}/clone", body=change)

    def delete(self, job_id: str) -> None:
        """Delete a job that is over, with its results."""
        self._http.ask("DELETE", f"/v1/jobs/{part(job_id)}")

    def trials(self, job_id: str) -> tuple[TrialRecord, ...]:
        """A job's trials, by number."""
        return tuple(self._http.pages(TrialRecord, f"/v1/jobs/{part(job_id)}/trials"))

    def runs(self, job_id: str, *, trial: int | None = None, state: RunState | None = None) -> tuple[RunRecord, ...]:
        """A job's runs, in the order in which they were planned.

        Args:
            job_id: The job.
            trial: Only those of the trial with this number.
            state: Only those in this state.
        """
        filters = given({"trial": trial, "state": state})
        return tuple(self._http.pages(RunRecord, f"/v1/jobs/{part(job_id)}/runs", params=filters))

    def events(
        self,
        job_id: str | None = None,
        *,
        after: int | None = None,
        patience: float = 60.0,
        quiet: float | None = None,
    ) -> Iterator[EventRecord]:
        """What happens, as it happens. Survives a restart of the service: nothing is lost or told twice.

        Args:
            job_id: The job, whose events are told from the first one to its end; those of all jobs that may be seen,
                without an end, when absent.
            after: Id of the last event already seen; 0 for all.
            patience: Seconds without any service after which to give up.
            quiet: Seconds without an event after which to stop; follow for ever, or to the job's end, when absent.

        Raises:
            ServiceUnreachable: No service answered for so long.
        """
        path = "/v1/events" if job_id is None else f"/v1/jobs/{part(job_id)}/events"
        return self._http.events(path, after=after, patience=patience, quiet=quiet)

    def report(self, job_id: str) -> Report:
        """A completed job's answer."""
        from tuner.report.report import Report

        return Report.model_validate_json(self._http.ask("GET", f"/v1/jobs/{part(job_id)}/report").content)

    def report_page(self, job_id: str, *, format: ReportFormat) -> str:
        """A completed job's answer as the service writes it.

        Args:
            job_id: The job.
            format: ``"markdown"`` or ``"html"``, or ``"json"`` for what `report` reads.
        """
        return self._http.ask("GET", f"/v1/jobs/{part(job_id)}/report", params={"format": format}).text

    def export(self, job_id: str, *, trial: int | None = None, total_steps: int | None = None) -> Schedule:
        """A schedule to train with.

        Args:
            job_id: The job.
            trial: Number of the trial; the one that the report recommends when absent.
            total_steps: Scale it to a run of so many updates; the job's horizon when absent.
        """
        text = self.export_as(job_id, format="json", trial=trial, total_steps=total_steps)
        return Schedule.from_json(text)

    def export_as(self, job_id: str, *, format: str, trial: int | None = None, total_steps: int | None = None) -> str:
        """A schedule as text: data, or code for a library to train with it.

        Args:
            job_id: The job.
            format: A name of `tuner.exports.ExportFormat`, as ``"csv"`` for the rate of every update.
            trial: Number of the trial; the one that the report recommends when absent.
            total_steps: Scale it to a run of so many updates; the job's horizon when absent.
        """
        wanted = given({"format": format, "trial": trial, "total_steps": total_steps})
        return self._http.ask("GET", f"/v1/jobs/{part(job_id)}/export", params=wanted).text


def _plain(request: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """A request as JSON holds it."""
    return request.model_dump(mode="json", exclude_unset=True) if isinstance(request, BaseModel) else dict(request)
