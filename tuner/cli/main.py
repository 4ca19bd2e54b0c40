"""The command ``tuner``. It starts quickly because every command imports its dependencies when it runs."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from tuner.cli import admin, demo, login, workload, workloads
from tuner.cli.admin import database, webhook, workers
from tuner.cli.failures import ExitCode, describe_bad_parameter, explain
from tuner.cli.help import App, Commands
from tuner.cli.jobs import control, inspect, jobs, queue, range_test, report, submit, watch
from tuner.cli.output import say, show
from tuner.cli.schedule import commands as schedule
from tuner.cli.stack import up
from tuner.process.private import erase, make_private, secrets_in


class _Commands(Commands):
    """Turns an error of a command into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe must raise here, not at the end of the process
            return result
        except typer.BadParameter as refused:
            refused.message = describe_bad_parameter(refused)
            raise
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except SystemExit as end:
            if isinstance(end.__context__, BrokenPipeError):  # rich found the closed pipe, and exits with 1
                raise typer.Exit(ExitCode.PIPE_CLOSED) from end
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                _drop_output()
                raise typer.Exit(ExitCode.PIPE_CLOSED) from error
            if ctx.params.get("debug"):
                raise
            line, code = explain(error)
            say(f"Error: {line}")
            raise typer.Exit(code) from error


app = App(name="tuner", cls=_Commands)


def _drop_output() -> None:
    """Discard the rest of the output, so that the final flush does not raise again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _print_version(wanted: bool) -> None:
    if wanted:
        from tuner import __version__

        show(__version__)
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", envvar="TUNER_DEBUG", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the learning-rate schedule that a model should train with.

    `tuner demo` shows all of it in three minutes. `tuner COMMAND --help` has the options and an example of a command.

    Examples:
        tuner demo
        tuner up                         in one terminal, and in another:
        tuner submit digits-mlp --watch
    """


_START = "Start here"
_JOBS = "Tuning jobs"
_INSIDE = "Inside a job"
_CHANGE = "Change a job"
_SHARED = "Queue and devices"
_TRAINING = "Workloads and schedules"
_SERVICE = "The service and its people"
_GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    _START: {"demo": demo.demo, "up": up.up, "submit": submit.submit},
    _JOBS: {"jobs": jobs.jobs, "show": jobs.show_job, "watch": watch.watch, "report": report.report},
    _INSIDE: {"trials": inspect.trials, "runs": inspect.runs, "logs": inspect.logs, "events": inspect.events},
    _CHANGE: {
        "pause": control.pause,
        "resume": control.resume,
        "cancel": control.cancel,
        "retry": control.retry,
        "clone": control.clone,
        "set": control.set_job,
        "delete": control.delete,
    },
    _SHARED: {"queue": queue.queue, "shares": queue.shares},
    _TRAINING: {"workloads": workloads.workloads, "lr-range-test": range_test.lr_range_test},
    _SERVICE: {
        "serve": up.serve,
        "worker": up.worker,
        "login": login.login,
        "logout": login.logout,
        "whoami": login.whoami,
    },
}
for _group, _commands in _GROUPS.items():
    for _name, _command in _commands.items():
        app.command(_name, group=_group)(_command)
app.add_typer(workers.app, name="workers", rich_help_panel=_SHARED)
app.add_typer(workload.app, name="workload", rich_help_panel=_TRAINING)
app.add_typer(schedule.app, name="schedule", rich_help_panel=_TRAINING)
app.add_typer(webhook.app, name="webhook", rich_help_panel=_SERVICE)
app.add_typer(admin.app, name="admin", rich_help_panel=_SERVICE)
app.add_typer(database.app, name="db", rich_help_panel=_SERVICE)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without a character shows its number
            stream.reconfigure(errors="backslashreplace")
    if secrets := secrets_in(sys.argv, os.environ):
        make_private()  # training code may run as the same user
        erase(secrets)
    sys.exit(app(prog_name="tuner"))
