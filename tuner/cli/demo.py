"""``tuner demo``: run service, worker and one job on this machine, and show the report."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.output import say
from tuner.cli.parsing import parse_budget
from tuner.cli.stack.stack import Stack, free_port, running
from tuner.cli.stack.supervisor import RestartPolicy
from tuner.cli.stack.up import interrupt_on_termination
from tuner.errors import InvalidValue, TunerError
from tuner.extras import require
from tuner.jobs.states import JobState

if TYPE_CHECKING:
    from tuner.cli.stack.supervisor import Supervisor
    from tuner.client import Client
    from tuner.report.report import Report

T = TypeVar("T")

_HOST = "127.0.0.1"
_WORKLOAD = "digits-mlp"
_POLL_SECONDS = 0.2
_IMPATIENT = RestartPolicy(deaths_in_a_row=5)  # a person waits for the result
_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)
_NEXT = """
What next:
  {page} is the report with its pictures.
  Your own training: `tuner workload new my_tuning.py` writes a small workload as a start, `tuner up --workload
  my_tuning:MyWorkload` offers it, and `tuner submit my-tuning --watch`, in another terminal, tunes it.
  This job again: `tuner up --data-dir {data}` serves it; then `tuner report {job}` shows it."""


def demo(
    workload: Annotated[str, typer.Option("--workload", metavar="NAME", help="The workload to tune.")] = _WORKLOAD,
    total_steps: Annotated[
        int | None,
        typer.Option(
            "--total-steps",
            metavar="UPDATES",
            show_default="the workload's own",
            help="Length of a full training run.",
        ),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            metavar="FULL-RUNS|NAME",
            help="What it may cost, in full runs, from 1: a number, or quick (3), standard (10), thorough (30).",
        ),
    ] = "standard",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the search and of its runs.")] = 0,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder for the files of the report.")] = Path(
        "demo-output"
    ),
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            show_default="a new one under --output",
            help="Folder for database, snapshots and logs. With the folder of an interrupted demo, its job continues.",
        ),
    ] = None,
) -> None:
    """Tune a schedule on real data, from start to report.

    Service, worker and one job run on this machine, and are stopped at the end. A process that is killed meanwhile is
    restarted, and the report is the same.

    Examples:
        tuner demo
        tuner demo --workload digits-cnn --budget quick
    """
    from tuner.cli.jobs.report import show_report, write_files
    from tuner.jobs.admission.admit import read_request

    require("service", "worker", user="tuner demo")
    folder = (data_dir or output / time.strftime("data-%Y%m%d-%H%M%S")).resolve()
    stack = Stack(data_dir=folder, host=_HOST, port=free_port(_HOST), auth="off")
    search = {"budget": parse_budget(budget), "seed": seed} | (
        {} if total_steps is None else {"total_steps": total_steps}
    )
    request = {"workload": workload, "name": "demo", "search": search}
    read_request(request)  # refuses bad values before anything starts
    check_offered(workload)
    interrupt_on_termination()
    try:
        report = _tune(stack, request=request)
    except KeyboardInterrupt:
        say(f"Stopped. `tuner demo --data-dir {folder}` continues the job.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    show_report(report)
    write_files(report, folder=output)
    say(_NEXT.format(page=output / "report.html", data=folder, job=report.job_id[:8]))


def _tune(stack: Stack, *, request: dict[str, Any]) -> Report:
    """Start the stack, run one job to its end, and stop the stack.

    Raises:
        typer.Exit: The job was not completed.
    """
    from tuner.cli.jobs.follow import follow
    from tuner.cli.jobs.watch import open_display
    from tuner.client import Client

    with (
        open_display() as (display, say_line),
        running(stack, say=say_line, policy=_IMPATIENT) as supervisor,
        Client(stack.url) as client,
    ):
        retried = _Retry(supervisor)
        job_id = retried(lambda: _unfinished(client))
        if job_id is None:
            say_line("Waiting for the worker to load torch and its workloads ...")
            while not retried(lambda: {info.name for info in client.workloads()} >= {request["workload"]}):
                time.sleep(_POLL_SECONDS)
            key = str(uuid.uuid4())
            job_id = retried(lambda: client.submit(request, idempotency_key=key)).id
            say_line(f"Submitted job {job_id} to {stack.url}.")
        else:
            say_line(f"Continuing job {job_id}.")
        job = retried(lambda: follow(stack.url, job_id=job_id, display=display, check=supervisor.check))
        if job.state is JobState.COMPLETED:
            return retried(lambda: client.report(job_id))
    reason = job.error or "no reason was given"
    say(f"The job is {job.state.value}: {reason}. The logs are in {stack.log_dir}.")
    raise typer.Exit(ExitCode.JOB_NOT_COMPLETED)


class _Retry:
    """Repeats a call while the service restarts, until the supervisor gives it up."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def __call__(self, call: Callable[[], T]) -> T:
        from tuner.cli.jobs.follow import is_transient

        while True:
            self._supervisor.check()
            try:
                return call()
            except TunerError as error:
                if not is_transient(error):
                    raise
                time.sleep(_POLL_SECONDS)


def _unfinished(client: Client) -> str | None:
    return next((job.id for job in client.jobs(states=_UNFINISHED)), None)


def check_offered(workload: str) -> None:
    """Check that the demo's worker will offer a workload. Loads torch, unless it is that of the demo.

    Raises:
        InvalidValue: It will not.
    """
    if workload == _WORKLOAD:
        return
    from tuner.training.registry import installed_workloads
    from tuner.workloads import builtin_workloads

    offered = {**installed_workloads().workloads, **builtin_workloads()}
    if workload not in offered:
        raise InvalidValue("--workload", value=workload, allowed=f"one of {', '.join(sorted(offered))}")
