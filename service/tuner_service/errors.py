"""Refusals that only the service makes. They know no HTTP; `tuner_service.problems` maps them."""

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
    """The service runs, but cannot do its work.

    Args:
        checks: What was looked at, and what was found: ``"ok"`` or what is wrong.
    """

    def __init__(self, checks: Mapping[str, str]) -> None:
        self.checks = dict(checks)
        wrong = ", ".join(f"{name}: {found}" for name, found in checks.items() if found != "ok")
        super().__init__(f"the service is not ready: {wrong}")


class Forbidden(TunerError):
    """Whoever asks may not do this.

    Args:
        needed: What it takes, in words that continue "this takes".
    """

    def __init__(self, *, needed: str) -> None:
        self.needed = needed
        super().__init__(f"this takes {needed}")


class Unauthenticated(TunerError):
    """Nobody knows who asks.

    Args:
        why: What is missing or wrong; never the secret that was given.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)


class ForgedRequest(TunerError):
    """A change that a browser sends with its cookie, without what only a page of ours can know."""

    def __init__(self) -> None:
        super().__init__("a change with a session needs the header X-CSRF-Token, as GET /v1/me tells it")


class TooManyRequests(TunerError):
    """Somebody asks more often than is allowed.

    Args:
        rate: What is allowed, in words.
        seconds: When asking again may help.
    """

    def __init__(self, rate: str, *, seconds: int) -> None:
        self.rate = rate
        self.seconds = seconds
        super().__init__(f"only {rate} are allowed; try again in {seconds} s")
