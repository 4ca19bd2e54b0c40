"""Every route of the application, and what it has to do with a team's jobs."""

from __future__ import annotations

from enum import Enum, auto


class Shows(Enum):
    """What a route has to do with a team's jobs."""

    ONE = auto()
    """Something of one job, which the path names: for others as if it were not there."""
    MANY = auto()
    """Jobs, or something of theirs: those that may be seen."""
    NOTHING = auto()
    """Nothing of any job."""


ROUTES: dict[str, Shows] = {
    "GET /v1/jobs": Shows.MANY,
    "POST /v1/jobs": Shows.NOTHING,
    "POST /v1/jobs/preview": Shows.NOTHING,
    "GET /v1/jobs/{job_id}": Shows.ONE,
    "PATCH /v1/jobs/{job_id}": Shows.ONE,
    "DELETE /v1/jobs/{job_id}": Shows.ONE,
    "POST /v1/jobs/{job_id}/pause": Shows.ONE,
    "POST /v1/jobs/{job_id}/resume": Shows.ONE,
    "POST /v1/jobs/{job_id}/cancel": Shows.ONE,
    "POST /v1/jobs/{job_id}/retry": Shows.ONE,
    "POST /v1/jobs/{job_id}/clone": Shows.ONE,
    "GET /v1/jobs/{job_id}/trials": Shows.ONE,
    "GET /v1/jobs/{job_id}/trials/{number}/schedule.svg": Shows.ONE,
    "GET /v1/jobs/{job_id}/runs": Shows.ONE,
    "GET /v1/jobs/{job_id}/events": Shows.ONE,
    "GET /v1/jobs/{job_id}/range-test": Shows.ONE,
    "GET /v1/jobs/{job_id}/report": Shows.ONE,
    "GET /v1/jobs/{job_id}/standing": Shows.ONE,
    "GET /v1/jobs/{job_id}/schedules": Shows.ONE,
    "GET /v1/jobs/{job_id}/curves": Shows.ONE,
    "GET /v1/jobs/{job_id}/export": Shows.ONE,
    "GET /v1/jobs/{job_id}/dashboard": Shows.ONE,
    "GET /v1/runs": Shows.MANY,
    "GET /v1/runs/{run_id}": Shows.ONE,
    "GET /v1/runs/{run_id}/curve": Shows.ONE,
    "GET /v1/runs/{run_id}/log": Shows.ONE,
    "GET /v1/events": Shows.MANY,
    "GET /v1/queue": Shows.MANY,
    "GET /v1/queue/shares": Shows.NOTHING,
    "GET /v1/workers": Shows.MANY,
    "GET /v1/workers/{name}": Shows.MANY,
    "PATCH /v1/workers/{name}": Shows.NOTHING,
    "DELETE /v1/workers/{name}": Shows.NOTHING,
    "GET /v1/schedules/families": Shows.NOTHING,
    "GET /v1/schedules/formats": Shows.NOTHING,
    "GET /v1/workloads": Shows.NOTHING,
    "GET /v1/workloads/{name}": Shows.NOTHING,
    "POST /v1/schedules/import": Shows.NOTHING,
    "POST /v1/schedules/preview": Shows.NOTHING,
    "POST /v1/schedules/export": Shows.NOTHING,
    "POST /v1/schedules/compress": Shows.NOTHING,
    "POST /v1/schedules/scale": Shows.NOTHING,
    "GET /v1/me": Shows.NOTHING,
    "GET /v1/users": Shows.NOTHING,
    "GET /v1/users/{user}": Shows.NOTHING,
    "PUT /v1/users/{user}": Shows.NOTHING,
    "GET /v1/teams": Shows.NOTHING,
    "GET /v1/teams/{team}": Shows.NOTHING,
    "PUT /v1/teams/{team}": Shows.NOTHING,
    "DELETE /v1/teams/{team}": Shows.NOTHING,
    "GET /v1/teams/{team}/members": Shows.NOTHING,
    "PUT /v1/teams/{team}/members/{user}": Shows.NOTHING,
    "DELETE /v1/teams/{team}/members/{user}": Shows.NOTHING,
    "GET /v1/tokens": Shows.NOTHING,
    "POST /v1/tokens": Shows.NOTHING,
    "DELETE /v1/tokens/{token_id}": Shows.ONE,
    "GET /v1/audit": Shows.MANY,
    "GET /v1/webhooks": Shows.MANY,
    "POST /v1/webhooks": Shows.NOTHING,
    "GET /v1/webhooks/{webhook_id}": Shows.ONE,
    "PATCH /v1/webhooks/{webhook_id}": Shows.ONE,
    "DELETE /v1/webhooks/{webhook_id}": Shows.ONE,
    "POST /v1/webhooks/{webhook_id}/test": Shows.ONE,
    "POST /v1/webhooks/{webhook_id}/rotate-key": Shows.ONE,
    "GET /v1/webhooks/{webhook_id}/deliveries": Shows.ONE,
    "GET /": Shows.NOTHING,
    "GET /login": Shows.NOTHING,
    "POST /login": Shows.NOTHING,
    "POST /logout": Shows.NOTHING,
    "GET /healthz": Shows.NOTHING,
    "GET /readyz": Shows.NOTHING,
    "GET /metrics": Shows.NOTHING,
    "GET /openapi.json": Shows.NOTHING,
    "GET /problems/{slug}": Shows.NOTHING,
    "ANY /dashboard{rest}": Shows.NOTHING,
    "ANY /static/{file}": Shows.NOTHING,
    "ANY /favicon.ico": Shows.NOTHING,
    "ANY /api/{rest}": Shows.MANY,
    "ANY /csv/{study}": Shows.ONE,
}
