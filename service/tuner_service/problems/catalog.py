"""Every kind of problem that the service answers with. The slugs are stable: clients may rely on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ProblemType:
    """One kind of problem (RFC 9457)."""

    slug: str
    status: int
    title: str
    meaning: str
    """Why it happens."""
    remedy: str
    """What to do about it."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Extension members beside the standard ones, and what they hold."""

    @property
    def uri(self) -> str:
        """The problem's ``type``; the service answers a page for people under it."""
        return f"/problems/{self.slug}"


_FIELD_MEMBERS = {
    "field": "Where the first refused value stands, dotted from the outermost object.",
    "value": "What was given.",
    "allowed": "What would have been accepted.",
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
        "errors": "The refusals found at once, the first 50, each with loc, field, msg, input, allowed and hint.",
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
    meaning="The request brings no token and no session, or one that is unknown, expired or revoked, or whose user may "
    "do nothing any more.",
    remedy="Send the header Authorization: Bearer <token>, or log in with a browser at /login; `tuner login` keeps a "
    "token for the command line. An admin of your team makes tokens.",
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
    meaning="A browser sent a change with its session's cookie, without what only a page of this service can know: a "
    "page of another site could have sent it in your name.",
    remedy="Send the header X-CSRF-Token with the csrf_token that GET /v1/me tells, or use a token instead of a "
    "session. On the login page: load it again.",
)
FORBIDDEN = ProblemType(
    slug="forbidden",
    status=403,
    title="You may not do this",
    meaning="You are known to the service, but your role does not include this, or it belongs to somebody else.",
    remedy="Ask an admin of the team, or of the service, to do it or to change your role.",
    members={"needed": "What it takes."},
)
NOT_FOUND = ProblemType(
    slug="not-found",
    status=404,
    title="There is no such thing",
    meaning="No object of this kind has this id or name, or the path is not one of the API's.",
    remedy="List the objects of that kind to see which exist; /openapi.json describes the paths.",
    members={
        "kind": "What was looked for: job, run, trial, workload, worker, team, user, token, path.",
        "key": "Its id or name.",
        "hint": "What exists instead, or how to list it.",
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
        "wanted": "The state that was asked for.",
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
    meaning="The team or the user may not have more than so many jobs, runs or device hours. Nothing was stored.",
    remedy="Wait until jobs have ended or the month is over, or ask an admin of the service to raise the limit.",
    members={
        "limit": "The limit's name, as in the team's settings.",
        "of": "Whose limit it is.",
        "value": "What there is already, or what was asked for.",
        "allowed": "What the limit allows.",
    },
)
REPORT_NOT_READY = ProblemType(
    slug="report-not-ready",
    status=409,
    title="The job has no report",
    meaning="A report is made when a job completes. A job that is queued or running does not have it yet; a failed or "
    "cancelled one never will.",
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
    meaning="The Host header is not a name that this service goes by. A page elsewhere may have pointed its own name "
    "at this machine to get through (DNS rebinding).",
    remedy="On the same machine use http://127.0.0.1 or http://localhost with the service's port. Whoever runs the "
    "service adds other names with TUNER_ALLOWED_HOSTS or TUNER_PUBLIC_URL.",
    members={"host": "The Host header that was sent."},
)
TOO_MANY_REQUESTS = ProblemType(
    slug="too-many-requests",
    status=429,
    title="Too many requests",
    meaning="One token, or one address without a login, asks more often than the service allows; or too many refused "
    "tokens came from one address; or too much of what takes long is under way: open event streams of one token, "
    "tries of webhooks.",
    remedy="Wait the seconds that the Retry-After header names. To follow a job, read its events instead of asking "
    "again and again.",
    members={"rate": "What is allowed."},
)
INTERNAL_ERROR = ProblemType(
    slug="internal-error",
    status=500,
    title="The service made a mistake",
    meaning="Something happened that the service was not written for. Its log has the details, under the request's id.",
    remedy="Try again; if it stays, report it with the request id in `instance` and the log lines that carry it.",
)
DATABASE_UNAVAILABLE = ProblemType(
    slug="database-unavailable",
    status=503,
    title="The database is away",
    meaning="The database cannot be reached or does not answer. Nothing was changed by this request.",
    remedy="Wait the seconds that the Retry-After header names, and send the request again.",
)
NOT_READY = ProblemType(
    slug="not-ready",
    status=503,
    title="The service cannot do its work",
    meaning="The service runs, but its database is away or of another version, or its reaper has died.",
    remedy="See `checks` for what is wrong. For a schema of another version run `tuner db upgrade`.",
    members={"checks": "What was looked at, and what was found."},
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
