"""``tuner demo``: the whole way of a job on this machine, from nothing to the answer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.output import say
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
_POLL_SECONDS = 0.2
_IMPATIENT = RestartPolicy(deaths_in_a_row=5)  # somebody sits and watches
_UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


def demo(
    workload: Annotated[str, typer.Option("--workload", metavar="NAME", help="What to tune.")] = "digits-mlp",
    total_steps: Annotated[
        int | None,
        typer.Option(
            "--total-steps",
            metavar="UPDATES",
            show_default=False,
            help="Length of a full training run; the workload's own when absent.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="Schedules to try, the controls included.")] = 16,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the search and of its runs.")] = 0,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder for the files of the answer.")] = Path(
        "demo-output"
    ),
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            show_default=False,
            help="Folder for database, snapshots and logs; a new one under --output when absent. With the folder of a "
            "demo that was cut off, its job goes on.",
        ),
    ] = None,
) -> None:
    """Tune a schedule on real data: service, worker, job, live progress, answer.

    Everything runs on this machine and is stopped at the end. Any of the processes may be killed meanwhile: it is
    started again, and the answer is the same.
    """
    from tuner.cli.jobs.jobs import show_report, write_files
    from tuner.jobs.admission.admit import read_request

    require("service", "worker", user="tuner demo")
    folder = (data_dir or output / time.strftime("data-%Y%m%d-%H%M%S")).resolve()
    stack = Stack(data_dir=folder, host=_HOST, port=free_port(_HOST), auth="off")
    search = {"trials": trials, "seed": seed} | ({} if total_steps is None else {"total_steps": total_steps})
    request = {"workload": workload, "name": "demo", "search": search}
    read_request(request)  # refused before anything starts; whether the workload is offered, only the worker knows
    interrupt_on_termination()
    try:
        answer = _tune(stack, request=request)
    except KeyboardInterrupt:
        say(f"Stopped. `tuner demo --data-dir {folder}` goes on where this one stopped.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    show_report(answer)
    write_files(answer, folder=output)


def _tune(stack: Stack, *, request: dict[str, Any]) -> Report:
    """Bring everything up, see one job through, and take everything down.

    Raises:
        typer.Exit: The job was not completed.
    """
    from tuner.cli.jobs.follow import follow
    from tuner.cli.jobs.watch import on_screen
    from tuner.client import Client

    with (
        on_screen() as (view, tell),
        running(stack, tell=tell, policy=_IMPATIENT) as supervisor,
        Client(stack.url) as client,
    ):
        patiently = _Patience(supervisor)
        job_id = patiently(lambda: _unfinished(client))
        if job_id is None:
            tell("Waiting for the worker to load torch and its workloads ...")
            while not patiently(lambda: is_offered(client, workload=request["workload"])):
                time.sleep(_POLL_SECONDS)
            key = str(uuid.uuid4())
            job_id = patiently(lambda: client.submit(request, idempotency_key=key)).id
            tell(f"Submitted job {job_id} to {stack.url}.")
        else:
            tell(f"Going on with job {job_id}.")
        job = patiently(lambda: follow(stack.url, job_id=job_id, view=view, check=supervisor.check))
        if job.state is JobState.COMPLETED:
            return patiently(lambda: client.report(job_id))
    reason = job.error or "no reason was given"
    say(f"The job is {job.state.value}: {reason}. The logs are in {stack.log_dir}.")
    raise typer.Exit(ExitCode.JOB_NOT_COMPLETED)


class _Patience:
    """Asks the service again while it is being restarted, for as long as the supervisor has not given it up."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def __call__(self, ask: Callable[[], T]) -> T:
        from tuner.cli.jobs.follow import is_passing

        while True:
            self._supervisor.check()
            try:
                return ask()
            except TunerError as error:
                if not is_passing(error):
                    raise
                time.sleep(_POLL_SECONDS)


def _unfinished(client: Client) -> str | None:
    return next((job.id for job in client.jobs(states=_UNFINISHED)), None)


def is_offered(client: Client, *, workload: str) -> bool:
    """Whether a job on the workload can be submitted.

    Raises:
        InvalidValue: The worker has come up, and does not offer it.
    """
    offered = [info.name for info in client.workloads()]
    if offered and workload not in offered:
        raise InvalidValue("--workload", value=workload, allowed=f"one of {', '.join(sorted(offered))}")
    return bool(offered)
