"""Errors of the service. They do not depend on HTTP; `tuner_service.problems` maps them to responses."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.errors import TunerError


class NotJson(TunerError):
    """A request body is not declared as JSON."""

    def __init__(self) -> None:
        super().__init__("the body must be JSON, sent with the header Content-Type: application/json")


class ReportNotReady(TunerError):
    """A job has no report (yet).

    Args:
        job_id: The job.
        state: The state it is in.
        hint: What to do instead.
    """

    def __init__(self, job_id: str, *, state: str, hint: str) -> None:
        self.job_id = job_id
        self.state = state
        self.hint = hint
        super().__init__(f"job {job_id} is {state} and has no report. {hint}")


class NotReady(TunerError):
    """The service runs, but cannot serve requests.

    Args:
        checks: Result of each check: ``"ok"`` or what is wrong.
    """

    def __init__(self, checks: Mapping[str, str]) -> None:
        self.checks = dict(checks)
        wrong = ", ".join(f"{name}: {result}" for name, result in checks.items() if result != "ok")
        super().__init__(f"the service is not ready: {wrong}")


class Forbidden(TunerError):
    """The caller may not do this.

    Args:
        needed: The missing right, in words that continue "this takes".
    """

    def __init__(self, *, needed: str) -> None:
        self.needed = needed
        super().__init__(f"this takes {needed}")


class Unauthenticated(TunerError):
    """The request has no valid credentials.

    Args:
        why: What is missing or wrong; never the secret itself.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)


class ForgedRequest(TunerError):
    """A change with a session's cookie and without its CSRF token."""

    def __init__(self) -> None:
        super().__init__("a change with a session needs the header X-CSRF-Token, from csrf_token of GET /v1/me")


class TooManyRequests(TunerError):
    """A rate or concurrency limit is reached.

    Args:
        rate: The limit in words.
        seconds: Seconds after which a retry may succeed.
    """

    def __init__(self, rate: str, *, seconds: int) -> None:
        self.rate = rate
        self.seconds = seconds
        super().__init__(f"only {rate} are allowed; try again in {seconds} s")
