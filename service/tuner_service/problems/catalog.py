"""All problem types of the service. The slugs are stable: clients may rely on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ProblemType:
    """One problem type (RFC 9457)."""

    slug: str
    status: int
    title: str
    meaning: str
    """Why it happens."""
    remedy: str
    """What to do about it."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Extension members, and their meaning."""

    @property
    def uri(self) -> str:
        """The problem's ``type``; the service serves a page for people at this path."""
        return f"/problems/{self.slug}"


_FIELD_MEMBERS = {
    "field": "Dotted path of the first refused value.",
    "value": "The refused value.",
    "allowed": "The accepted values.",
    "hint": "What to do about it.",
}

INVALID_REQUEST = ProblemType(
    slug="invalid-request",
    status=422,
    title="The request contains a value that is refused",
    meaning="A field of the body, a query parameter or a header is missing, unknown, of the wrong type or out of "
    "range. Nothing was stored.",
    remedy="Change the named field to what is allowed and send the request again.",
    members={
        **_FIELD_MEMBERS,
        "errors": "All refusals, at most 50, each with loc, field, msg, input, allowed and hint.",
    },
)
BAD_REQUEST = ProblemType(
    slug="bad-request",
    status=400,
    title="The request cannot be read",
    meaning="The request is not well-formed HTTP or its body cannot be decoded.",
    remedy="Send well-formed JSON in UTF-8.",
)
UNAUTHENTICATED = ProblemType(
    slug="unauthenticated",
    status=401,
    title="You must log in",
    meaning="The request has no token and no session, or one that is unknown, expired or revoked, or whose user is "
    "disabled.",
    remedy="Send the header Authorization: Bearer <token>, or log in with a browser at /login; `tuner login` stores a "
    "token for the command line. An admin of your team creates tokens.",
)
FOREIGN_ORIGIN = ProblemType(
    slug="foreign-origin",
    status=403,
    title="The request comes from a page of another site",
    meaning="A browser sent the request on behalf of a page that this service did not serve. It is refused, because "
    "the page could act in your name.",
    remedy="Use the service's own pages, the command line, or a client that sends no Origin header.",
    members={"origin": "The Origin header that was sent."},
)
CSRF = ProblemType(
    slug="csrf",
    status=403,
    title="The change may not be yours",
    meaning="A browser sent a change with its session's cookie, but without the CSRF token that only pages of this "
    "service know: a page of another site could have sent it in your name.",
    remedy="Send the header X-CSRF-Token with the csrf_token of GET /v1/me, or use a token instead of a "
    "session. On the login page: load it again.",
)
FORBIDDEN = ProblemType(
    slug="forbidden",
    status=403,
    title="You may not do this",
    meaning="You are logged in, but your role does not include this, or the object belongs to another user.",
    remedy="Ask an admin of the team, or of the service, to do it or to change your role.",
    members={"needed": "The right that you need."},
)
NOT_FOUND = ProblemType(
    slug="not-found",
    status=404,
    title="Not found",
    meaning="No object of this kind has this id or name, or the path is not one of the API's.",
    remedy="List the objects of that kind to see which exist; /openapi.json describes the paths.",
    members={
        "kind": "Kind of the object: job, run, trial, workload, worker, team, user, token, path.",
        "key": "Its id or name.",
        "hint": "Which objects exist, or how to list them.",
    },
)
METHOD_NOT_ALLOWED = ProblemType(
    slug="method-not-allowed",
    status=405,
    title="The path does not take this method",
    meaning="The path exists, but not with this HTTP method.",
    remedy="Use one of the allowed methods; the Allow header lists them too.",
    members={"method": "The method that was used.", "allowed": "The methods that the path takes."},
)
STATE_CONFLICT = ProblemType(
    slug="state-conflict",
    status=409,
    title="The object's state does not allow this",
    meaning="The object is in a state from which the wanted state cannot be reached: a job that has completed, for "
    "example, cannot be cancelled.",
    remedy="Read the object again. If it already is where you want it, there is nothing to do.",
    members={
        "kind": "job, trial or run.",
        "key": "Its id.",
        "state": "The state it is in.",
        "wanted": "The requested state.",
    },
)
IDEMPOTENCY_CONFLICT = ProblemType(
    slug="idempotency-conflict",
    status=409,
    title="The idempotency key was used for another request",
    meaning="The key in the Idempotency-Key header already belongs to a job that was submitted with another body.",
    remedy="Send the first body again to get its job, or use a fresh key for a new one.",
    members={"key": "The idempotency key.", "job_id": "The job it belongs to."},
)
LIMIT_REACHED = ProblemType(
    slug="limit-reached",
    status=409,
    title="A limit of the team or the user is reached",
    meaning="The team or the user has as many jobs, runs or device hours as its limit allows. Nothing was stored.",
    remedy="Wait until jobs have ended or the month is over, or ask an admin of the service to raise the limit.",
    members={
        "limit": "The limit's name, as in the team's settings.",
        "of": "The team or user of the limit.",
        "value": "The current or the requested value.",
        "allowed": "The value of the limit.",
    },
)
REPORT_NOT_READY = ProblemType(
    slug="report-not-ready",
    status=409,
    title="The job has no report",
    meaning="The report is created when a job completes. A queued or running job has none yet; a failed or cancelled "
    "job never gets one.",
    remedy="Watch the job's events until it completes. Any trial's schedule can be exported at any time by its number.",
    members={"job_id": "The job.", "state": "The state it is in.", "hint": "What to do instead."},
)
BODY_TOO_LARGE = ProblemType(
    slug="body-too-large",
    status=413,
    title="The body is too large",
    meaning="No request of this API needs a body of more than 1 MiB, or what TUNER_BODY_LIMIT says.",
    remedy="Send less. Training code does not travel through the API: a job names a workload that the workers have.",
)
NOT_JSON = ProblemType(
    slug="not-json",
    status=415,
    title="The body is not declared as JSON",
    meaning="The Content-Type header of the request is missing or is not application/json.",
    remedy="With curl, add: -H 'Content-Type: application/json'",
)
UNKNOWN_HOST = ProblemType(
    slug="unknown-host",
    status=421,
    title="The request names another host",
    meaning="The Host header is not a name of this service. A page of another site may have pointed its own name at "
    "this machine (DNS rebinding).",
    remedy="On the same machine use http://127.0.0.1 or http://localhost with the service's port. The operator of "
    "the service adds other names with TUNER_ALLOWED_HOSTS or TUNER_PUBLIC_URL.",
    members={"host": "The Host header that was sent."},
)
TOO_MANY_REQUESTS = ProblemType(
    slug="too-many-requests",
    status=429,
    title="Too many requests",
    meaning="One user, or one address without a login, sends more requests than the service allows; or one address "
    "sent too many refused tokens; or too many long operations run at a time: open event streams of one user, "
    "expensive requests (exports, reports, previews of jobs, the dashboard's data), request bodies, webhook tests.",
    remedy="Wait the seconds that the Retry-After header names. To follow a job, stream its events instead of polling. "
    "Read the responses to earlier requests.",
    members={"rate": "The limit."},
)
INTERNAL_ERROR = ProblemType(
    slug="internal-error",
    status=500,
    title="Internal error",
    meaning="An unexpected error occurred in the service. Its log has the details, under the request's id.",
    remedy="Try again; if it persists, report it with the request id in `instance` and the log lines with that id.",
)
DATABASE_UNAVAILABLE = ProblemType(
    slug="database-unavailable",
    status=503,
    title="The database is unavailable",
    meaning="The database cannot be reached or does not respond. This request changed nothing.",
    remedy="Wait the seconds that the Retry-After header names, and send the request again.",
)
NOT_READY = ProblemType(
    slug="not-ready",
    status=503,
    title="The service is not ready",
    meaning="The service runs, but its database is unavailable or of another version, or its reaper has died.",
    remedy="See `checks` for what is wrong. For a schema of another version run `tuner db upgrade`.",
    members={"checks": "Result of each check."},
)

CATALOG: Mapping[str, ProblemType] = {
    kind.slug: kind
    for kind in (
        INVALID_REQUEST,
        BAD_REQUEST,
        UNAUTHENTICATED,
        FOREIGN_ORIGIN,
        CSRF,
        FORBIDDEN,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        STATE_CONFLICT,
        IDEMPOTENCY_CONFLICT,
        LIMIT_REACHED,
        REPORT_NOT_READY,
        BODY_TOO_LARGE,
        NOT_JSON,
        UNKNOWN_HOST,
        TOO_MANY_REQUESTS,
        INTERNAL_ERROR,
        DATABASE_UNAVAILABLE,
        NOT_READY,
    )
}
"""By slug, in the order of the status."""
