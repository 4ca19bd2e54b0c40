"""The service's API, typed: for scripts, notebooks and the command line."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, TypeAdapter

from tuner.errors import TunerError
from tuner.jobs.progress import JobDetail
from tuner.jobs.records import CurvePoint, EventRecord, JobRecord, RunRecord, TrialRecord, WorkerRecord, WorkloadInfo
from tuner.jobs.states import JobState
from tuner.loopback import is_loopback
from tuner.schedules import Schedule

if TYPE_CHECKING:
    from tuner.report.report import Report

DEFAULT_URL = "http://127.0.0.1:8642"

_POLL_SECONDS = 0.1
_PAGE = 100
_END = "end"
_SILENCE_SECONDS = 45.0  # an open event stream says something every 15
_BACKOFF_SECONDS = (0.1, 2.0)

T = TypeVar("T")


class ApiProblem(TunerError):
    """The service refused a request, or could not do it.

    Args:
        status: The HTTP status.
        type: What kind of problem it is, stable: ``"/problems/not-found"``.
        title: The same for people.
        detail: What happened this time, and what to do.
        members: What else the answer held: ``field``, ``value``, ``allowed``, ``state``, ...
    """

    def __init__(self, *, status: int, type: str, title: str, detail: str, members: Mapping[str, Any]) -> None:
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.members = dict(members)
        super().__init__(detail or title)


class ServiceUnreachable(TunerError):
    """No service answers at the address.

    Args:
        url: The address.
        reason: What happened instead.
    """

    def __init__(self, url: str, *, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(
            f"no service answers at {url} ({reason}). Start one with `tuner up`, or give the address of one that runs"
        )


@dataclass(frozen=True, kw_only=True)
class PreviewPoint:
    """The learning rate at one update."""

    update: int
    lr: float


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a schedule does over a run."""

    label: str
    digest: str
    total_steps: int
    points: tuple[PreviewPoint, ...]


@dataclass(frozen=True)
class _JobPage:
    items: tuple[JobRecord, ...]
    next_cursor: str | None


class Client:
    """One service. A context manager that closes its connections.

    Every method may raise `ApiProblem` when the service refuses, and `ServiceUnreachable` when none answers.

    Args:
        base_url: Address of the service.
        timeout: Seconds that one request may take.
    """

    def __init__(self, base_url: str = DEFAULT_URL, *, timeout: float = 10.0) -> None:
        self._url = base_url.rstrip("/")
        self._timeout = timeout
        # A proxy named in the environment is not on the way to this machine.
        self._http = httpx2.Client(
            base_url=self._url, timeout=timeout, trust_env=not is_loopback(urlsplit(self._url).hostname or "")
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def wait_ready(self, deadline: float) -> None:
        """Return once the service can do its work.

        Args:
            deadline: Seconds to wait at most.

        Raises:
            ServiceUnreachable: None answers by then.
            ApiProblem: One answers, but is still not ready.
        """
        end = time.monotonic() + deadline
        while True:
            try:
                self._ask("GET", "/readyz")
            except (ServiceUnreachable, ApiProblem) as error:
                if time.monotonic() >= end or (isinstance(error, ApiProblem) and error.status != 503):
                    raise
            else:
                return
            time.sleep(_POLL_SECONDS)

    def submit(self, request: BaseModel | Mapping[str, Any], *, idempotency_key: str | None = None) -> JobDetail:
        """Submit a job.

        Args:
            request: As ``POST /v1/jobs`` takes it: at least ``{"workload": name}``.
            idempotency_key: The same key with the same request gives the same job, however often it is sent.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        plain = request.model_dump(mode="json") if isinstance(request, BaseModel) else dict(request)
        return _read(JobDetail, self._ask("POST", "/v1/jobs", json=plain, headers=headers))

    def job(self, job_id: str) -> JobDetail:
        """One job, how far it is, and what it costs at most."""
        return _read(JobDetail, self._ask("GET", f"/v1/jobs/{_part(job_id)}"))

    def jobs(self, *, states: Collection[JobState] = ()) -> Iterator[JobRecord]:
        """All jobs, the newest first; pages are fetched as they are needed.

        Args:
            states: Only jobs in these states; all when empty.
        """
        cursor: str | None = None
        while True:
            query: dict[str, Any] = {"limit": _PAGE, "state": [JobState(state).value for state in states]}
            if cursor is not None:
                query["cursor"] = cursor
            page = _read(_JobPage, self._ask("GET", "/v1/jobs", params=query))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def cancel(self, job_id: str, *, reason: str = "") -> JobDetail:
        """Cancel a job; its results so far are kept.

        Args:
            job_id: The job.
            reason: Shown with the job.
        """
        body = {"reason": reason} if reason else {}
        return _read(JobDetail, self._ask("POST", f"/v1/jobs/{_part(job_id)}/cancel", json=body))

    def trials(self, job_id: str) -> tuple[TrialRecord, ...]:
        """A job's trials, by number."""
        return _read(tuple[TrialRecord, ...], self._ask("GET", f"/v1/jobs/{_part(job_id)}/trials"))

    def runs(self, job_id: str) -> tuple[RunRecord, ...]:
        """A job's runs, in the order in which they were planned."""
        return _read(tuple[RunRecord, ...], self._ask("GET", f"/v1/jobs/{_part(job_id)}/runs"))

    def run(self, run_id: str) -> RunRecord:
        """One run."""
        return _read(RunRecord, self._ask("GET", f"/v1/runs/{_part(run_id)}"))

    def curve(self, run_id: str) -> tuple[CurvePoint, ...]:
        """A run's evaluations so far, by step. A validation loss that was not finite is NaN."""
        points = self._ask("GET", f"/v1/runs/{_part(run_id)}/curve").json()
        return tuple(
            CurvePoint(**point | {"val_loss": math.nan if point["val_loss"] is None else point["val_loss"]})
            for point in points
        )

    def report(self, job_id: str) -> Report:
        """A completed job's answer."""
        from tuner.report.report import Report

        return Report.model_validate_json(self._ask("GET", f"/v1/jobs/{_part(job_id)}/report").content)

    def export(self, job_id: str, *, trial: int | None = None, total_steps: int | None = None) -> Schedule:
        """A schedule to train with.

        Args:
            job_id: The job.
            trial: Number of the trial; the one that the report recommends when absent.
            total_steps: Scale it to a run of so many updates; the job's horizon when absent.
        """
        return Schedule.from_json(self._export(job_id, format="json", trial=trial, total_steps=total_steps))

    def export_csv(self, job_id: str, *, trial: int | None = None, total_steps: int | None = None) -> str:
        """The learning rate of every update as CSV: ``update,lr``. Arguments as for `export`."""
        return self._export(job_id, format="csv", trial=trial, total_steps=total_steps)

    def workloads(self) -> tuple[WorkloadInfo, ...]:
        """What can be tuned."""
        return _read(tuple[WorkloadInfo, ...], self._ask("GET", "/v1/workloads"))

    def workload(self, name: str) -> WorkloadInfo:
        """One workload."""
        return _read(WorkloadInfo, self._ask("GET", f"/v1/workloads/{_part(name)}"))

    def workers(self) -> tuple[WorkerRecord, ...]:
        """Who trains."""
        return _read(tuple[WorkerRecord, ...], self._ask("GET", "/v1/workers"))

    def preview(self, schedule: Schedule, *, total_steps: int, points: int = 200) -> Preview:
        """What a schedule does over a run.

        Args:
            schedule: The schedule.
            total_steps: Updates of the run.
            points: At most so many points, evenly spread.
        """
        body = {"schedule": json.loads(schedule.to_json()), "total_steps": total_steps, "points": points}
        return _read(Preview, self._ask("POST", "/v1/schedules/preview", json=body))

    def events(self, job_id: str, *, after: int = 0, patience: float = 60.0) -> Iterator[EventRecord]:
        """What happens to a job, as it happens, to its end. Survives a restart of the service: nothing is lost or told
        twice.

        Args:
            job_id: The job.
            after: Id of the last event already seen; 0 for all.
            patience: Seconds without any service after which to give up.

        Raises:
            ServiceUnreachable: No service answered for so long.
        """
        seen, silent_since, wait = after, time.monotonic(), _BACKOFF_SECONDS[0]
        while True:
            try:
                for message in self._stream(job_id, after=seen):
                    silent_since, wait = time.monotonic(), _BACKOFF_SECONDS[0]
                    if message.event == _END:
                        return
                    event = _adapter(EventRecord).validate_json(message.data)
                    seen = event.id
                    yield event
                    silent_since = time.monotonic()
            except httpx2.TransportError as error:
                if time.monotonic() - silent_since > patience:
                    raise ServiceUnreachable(self._url, reason=_reason(error)) from error
            except ApiProblem as problem:
                if problem.status != 503 or time.monotonic() - silent_since > patience:
                    raise
            time.sleep(wait)
            wait = min(wait * 2, _BACKOFF_SECONDS[1])

    def _stream(self, job_id: str, *, after: int) -> Iterator[httpx2.ServerSentEvent]:
        """One connection's worth of messages."""
        timeout = httpx2.Timeout(self._timeout, read=_SILENCE_SECONDS)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        path = f"/v1/jobs/{_part(job_id)}/events"
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
                raise _problem(response)
            yield from httpx2.EventSource(response)

    def _export(self, job_id: str, *, format: str, trial: int | None, total_steps: int | None) -> str:
        wanted = {"format": format, "trial": trial, "total_steps": total_steps}
        query = {name: value for name, value in wanted.items() if value is not None}
        return self._ask("GET", f"/v1/jobs/{_part(job_id)}/export", params=query).text

    def _ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **request)
        except httpx2.TransportError as error:
            raise ServiceUnreachable(self._url, reason=_reason(error)) from error
        if response.is_error:
            raise _problem(response)
        return response


def _problem(response: httpx2.Response) -> ApiProblem:
    """The problem that an answer tells; whatever answers something else is no Schedule Tuner."""
    try:
        told = response.json()
    except ValueError:
        told = None
    if not isinstance(told, dict) or "title" not in told:
        return ApiProblem(
            status=response.status_code,
            type="about:blank",
            title=response.reason_phrase,
            detail=f"{response.url} answered {response.status_code}, but not as Schedule Tuner does",
            members={},
        )
    members = {name: value for name, value in told.items() if name not in {"type", "title", "status", "detail"}}
    return ApiProblem(
        status=response.status_code,
        type=str(told.get("type", "about:blank")),
        title=str(told["title"]),
        detail=str(told.get("detail", "")),
        members=members,
    )


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """The reader of a type; made once, because making one takes longer than using it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _read(kind: type[T], response: httpx2.Response) -> T:
    return _adapter(kind).validate_json(response.content)


def _part(text: str) -> str:
    """One part of a path, escaped."""
    return quote(text, safe="")


def _reason(error: httpx2.TransportError) -> str:
    return str(error) or type(error).__name__
