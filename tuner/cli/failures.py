"""The exit codes of the commands, and the line that an error becomes."""

from __future__ import annotations

from enum import IntEnum

import typer

from tuner.cli.hints import in_commands, refusal_lines
from tuner.errors import DatabaseUnavailable, InvalidValue, TunerError, refusal_text
from tuner.extras import extra_missing

_SERVER_ERRORS = 500


class ExitCode(IntEnum):
    """How a command ended; see `docs/cli.md`."""

    OK = 0
    JOB_NOT_COMPLETED = 1
    """The followed job failed or was cancelled, or it has no report yet."""
    RULE_BROKEN = 1
    """A checked workload breaks its contract."""
    REFUSED = 2
    """The command line is wrong, or the service refused what it was asked."""
    UNREACHABLE = 3
    """No service responds at the address, or it cannot work."""
    GIVEN_UP = 4
    """The service or a worker crashed repeatedly."""
    BUG = 70
    """An unexpected error."""
    INTERRUPTED = 130
    """Ctrl-C."""
    PIPE_CLOSED = 141
    """The reader of the output has ended, as in ``tuner jobs | head``; the code of SIGPIPE in a shell."""


def explain(error: Exception) -> tuple[str, ExitCode]:
    """The line that is shown for an error, and the exit code.

    Args:
        error: The error that a command raised.
    """
    from tuner.cli.stack.supervisor import ChildFailed

    if isinstance(error, ModuleNotFoundError) and (missing := extra_missing(error, user="this command")) is not None:
        error = missing
    if isinstance(error, UnicodeEncodeError):
        error = InvalidValue("the command line", value=str(error.object)[:200], allowed="text in UTF-8")
    if isinstance(error, ChildFailed):
        return in_commands(str(error)), ExitCode.GIVEN_UP
    if isinstance(error, TunerError):
        return _in_words(error), ExitCode.UNREACHABLE if _is_outage(error) else ExitCode.REFUSED
    if isinstance(error, OSError):
        return _of_system(error), ExitCode.REFUSED
    return f"{error!r}. This is a bug; `tuner --debug ...` shows where", ExitCode.BUG


def _of_system(error: OSError) -> str:
    if error.filename is None or not error.strerror:
        return str(error)
    return f"{error.filename} cannot be used: {error.strerror}"


def describe_bad_parameter(refused: typer.BadParameter) -> str:
    """Why an option's value was refused: what is allowed, and the value, which the parser leaves out.

    Args:
        refused: The parser's error; its cause is pydantic's, where there is one.
    """
    from pydantic import ValidationError

    from tuner.validation import allowed_by

    if not isinstance(refused.__cause__, ValidationError):
        return refused.message
    errors = refused.__cause__.errors()
    if errors[0]["type"] == "value_error":  # a choice: the parser's message has value and choices
        return str(errors[0]["ctx"]["error"]).rstrip(".")
    return refusal_text("it", value=errors[0]["input"], allowed=allowed_by(errors[0]))


def _in_words(error: TunerError) -> str:
    from tuner.client import ApiProblem

    return refusal_lines(str(error), error.members) if isinstance(error, ApiProblem) else in_commands(str(error))


def _is_outage(error: TunerError) -> bool:
    from tuner.client import ApiProblem, ServiceUnreachable

    if isinstance(error, ServiceUnreachable | DatabaseUnavailable):
        return True
    return isinstance(error, ApiProblem) and error.status >= _SERVER_ERRORS
