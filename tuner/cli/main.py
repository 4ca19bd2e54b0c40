"""The command ``tuner``. It starts quickly because every command imports its dependencies when it runs."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tuner.cli import admin, demo, login, workload, workloads
from tuner.cli.admin import database, webhook, workers
from tuner.cli.failures import ExitCode, describe_bad_parameter, explain
from tuner.cli.jobs import control, inspect, jobs, queue, submit, watch
from tuner.cli.output import say, show
from tuner.cli.schedule import commands as schedule
from tuner.cli.stack import up


class _Commands(TyperGroup):
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


app = typer.Typer(
    name="tuner",
    cls=_Commands,
    help="Find the learning-rate schedule that a model should train with.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


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

    Start with `tuner demo`, or with `tuner up` in one terminal and `tuner submit digits-mlp --watch` in another.
    """


app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("serve")(up.serve)
app.command("worker")(up.worker)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("whoami")(login.whoami)
app.command("submit")(submit.submit)
app.command("jobs")(jobs.jobs)
app.command("show")(jobs.show_job)
app.command("watch")(watch.watch)
app.command("report")(jobs.report)
app.command("trials")(inspect.trials)
app.command("runs")(inspect.runs)
app.command("logs")(inspect.logs)
app.command("events")(inspect.events)
app.command("pause")(control.pause)
app.command("resume")(control.resume)
app.command("cancel")(control.cancel)
app.command("retry")(control.retry)
app.command("clone")(control.clone)
app.command("set")(control.set_job)
app.command("delete")(control.delete)
app.command("queue")(queue.queue)
app.command("shares")(queue.shares)
app.command("workloads")(workloads.workloads)
app.add_typer(workload.app, name="workload")
app.add_typer(workers.app, name="workers")
app.add_typer(schedule.app, name="schedule")
app.add_typer(webhook.app, name="webhook")
app.add_typer(admin.app, name="admin")
app.add_typer(database.app, name="db")


def main() -> None:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without a character shows its number
            stream.reconfigure(errors="backslashreplace")
    sys.exit(app(prog_name="tuner"))
