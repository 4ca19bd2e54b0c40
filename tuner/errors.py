"""The errors of Schedule Tuner. They are independent of HTTP: the service maps them to problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""Stands for the value of a field that was left out."""


_LONGEST_VALUE = 1_000
"""Characters of a refused value in a message."""


def refusal_text(
    field: str, *, value: object, allowed: str, hint: str = "", write: Callable[[object], str] = repr
) -> str:
    """The sentence that refuses a value: ``"width must be at least 1, got 0. Units of the layer"``.

    Args:
        field: Where the value stands.
        value: The refused value, or `MISSING`.
        allowed: What would have been accepted, in words that continue "must be".
        hint: What to do about it.
        write: Writes the value.
    """
    if value is MISSING:
        got = ""
    else:
        got = ", but it is empty" if isinstance(value, str) and not value else f", got {_shortened(write(value))}"
    return f"{field} must be {allowed}{got}{'. ' + hint if hint else ''}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}... ({len(text):,} characters)"


class TunerError(Exception):
    """Base of the errors that Schedule Tuner raises on purpose.

    Example:
        >>> import tuner
        >>> try:
        ...     tuner.tune("no-such-workload")
        ... except tuner.TunerError as error:
        ...     print(type(error).__name__)
        InvalidValue
    """


class InvalidValue(TunerError, ValueError):
    """A value from outside was refused.

    It is a ``ValueError`` too, so that a pydantic validator may raise it.

    Args:
        field: Where the value stands, dotted from the outermost object: ``"family.cooldown"``.
        value: The refused value; `MISSING` for a field that was left out.
        allowed: What would have been accepted, in words that continue "must be": ``"in (0, 1]"``.
        hint: What to do about it; empty when ``allowed`` suffices.

    Example:
        >>> from tuner import InvalidValue, Schedule
        >>> from tuner.schedules import Linear
        >>> try:
        ...     Schedule(peak_lr=0.1, family=Linear()).lrs(0)
        ... except InvalidValue as error:
        ...     print(error)
        total_steps must be a whole number of at least 1, got 0
    """

    def __init__(self, field: str, *, allowed: str, value: object = MISSING, hint: str = "") -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        self.hint = hint
        super().__init__(refusal_text(field, value=value, allowed=allowed, hint=hint))


class NotFound(TunerError):
    """No object of this kind has this name or id.

    Args:
        kind: The word for it: ``"job"``, ``"run"``, ``"workload"``.
        key: The name or id.
        hint: What exists instead, or how to list it.
    """

    def __init__(self, kind: str, *, key: str, hint: str = "") -> None:
        self.kind = kind
        self.key = key
        self.hint = hint
        super().__init__(f"there is no {kind} {key!r}{'. ' + hint if hint else ''}")


class IllegalTransition(TunerError):
    """The state of an object does not allow the requested transition.

    Args:
        kind: ``"job"``, ``"trial"`` or ``"run"``.
        key: Its id.
        state: Its state.
        wanted: The requested state.
    """

    def __init__(self, kind: str, *, key: str, state: str, wanted: str) -> None:
        self.kind = kind
        self.key = key
        self.state = state
        self.wanted = wanted
        super().__init__(f"{kind} {key} is {state} and cannot be {wanted}")


class StudyFailed(TunerError):
    """The study ended without a report; the message says why.

    Example:
        >>> from tuner import OpaqueWorkload, OptimizerKind, StudyFailed, tune
        >>> class Broken(OpaqueWorkload):
        ...     name, version, default_steps = "broken", "1", 10
        ...     description = "A workload that fails."
        ...     optimizer = OptimizerKind.SGD
        ...     def train(self, run, options):
        ...         raise RuntimeError("no data")
        >>> try:
        ...     tune(Broken(), budget=2, device="cpu")
        ... except StudyFailed as error:
        ...     print("RuntimeError: no data" in str(error))
        True
    """


class LeaseLost(TunerError):
    """The lease of a write is void: drop the work, another worker has the run.

    Args:
        run_id: The run whose lease was lost.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"the lease on run {run_id} is no longer held")


class StudyLockLost(TunerError):
    """The study lock expired during planning, and another worker may plan now: drop everything unwritten.

    Args:
        job_id: The job whose study was locked.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"the study lock of job {job_id} is no longer held")


class WorkloadError(TunerError):
    """The user's training code broke its contract; the message names the rule and the expectation."""


class DatabaseUnavailable(TunerError):
    """The database is unavailable; the same call may succeed later.

    The store raises it in place of its driver's errors (connection refused or cut, server shutting down, SQLite file
    locked for too long), never for a mistake in the call.
    """


class IdempotencyConflict(TunerError):
    """An idempotency key was used with another request before; nothing was stored.

    Args:
        key: The idempotency key.
        job_id: The job of the first request.
    """

    def __init__(self, key: str, *, job_id: str) -> None:
        self.key = key
        self.job_id = job_id
        super().__init__(
            f"idempotency key {key!r} was used for another request, which became job {job_id}. "
            "Send the same request again, or use a fresh key"
        )


class SchemaMismatch(TunerError):
    """The database's schema is of another version; the message names the command that upgrades it."""


class LimitReached(TunerError):
    """A limit of a team or a user is reached; nothing was stored.

    Args:
        limit: The limit's name, as in the team's settings: ``"max_open_jobs"``.
        of: Its owner in words: ``"team vision"``, ``"user ada in team vision"``.
        value: The value that the request would lead to.
        allowed: The value of the limit.
    """

    def __init__(self, limit: str, *, of: str, value: object, allowed: object) -> None:
        self.limit = limit
        self.of = of
        self.value = value
        self.allowed = allowed
        super().__init__(f"{limit} of {of} allows {allowed}, and this would make it {value}")
