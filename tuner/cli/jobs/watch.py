"""``tuner watch``: follow a job to its end, on a redrawn screen or in lines."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.options import CURRENT_URL, AsJson, Job, Url
from tuner.cli.output import is_tty, say, show
from tuner.cli.request import request
from tuner.jobs.states import JobState, is_terminal

if TYPE_CHECKING:
    from rich.live import Live

    from tuner.api.jobs import JobDetail
    from tuner.cli.jobs.follow import Display
    from tuner.jobs.records import EventRecord

_EVENT_LINES = 5
_STEP = 0.05  # lines show the progress each time it has grown by this much


def watch(job: Job, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Follow a job until it has finished.

    Ctrl-C leaves the job running. On a terminal the command redraws a screen, elsewhere it prints lines. With --json,
    each event is one line of JSON.

    Example:
        tuner watch latest
    """
    from tuner.cli.ids import find_job

    job_id = request(lambda client: find_job(client, text=job), url=url)
    follow_to_the_end(url, job_id=job_id, as_json=as_json)


def follow_to_the_end(
    url: str, *, job_id: str, as_json: bool = False, last_line: bool = True, silent: bool = False
) -> None:
    """Show a job until it has finished, and name the next command.

    Args:
        url: Address of the service.
        job_id: The job.
        as_json: Whether to print its events as JSON.
        last_line: Whether to say that it is completed, and what shows its report.
        silent: Whether to show nothing while it runs.

    Raises:
        typer.Exit: The job was not completed, or Ctrl-C interrupted the command.
    """
    from tuner.cli.jobs.follow import follow

    at = f" --url {url}" if url else ""
    try:
        if as_json:
            job = follow(url, job_id=job_id, display=_JsonPrinter())
        elif silent:
            job = follow(url, job_id=job_id, display=_Silent())
        else:
            with open_display() as (display, _):
                job = follow(url, job_id=job_id, display=display)
    except KeyboardInterrupt:
        short = f"{job_id[:8]}{at}"
        say(f"The job continues. `tuner watch {short}` follows it again, `tuner cancel {short}` stops it.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if job.state is not JobState.COMPLETED:
        say(f"The job is {job.state.value}: {job.error or 'no reason was given'}")
        raise typer.Exit(ExitCode.JOB_NOT_COMPLETED)
    if last_line:
        say(f"The job is completed. `tuner report {job_id[:8]}{at}` shows its report.")


@contextmanager
def open_display() -> Iterator[tuple[Display, Callable[[str], None]]]:
    """A display of a job, and a function that prints a line beside it: redrawn on a terminal, lines elsewhere."""
    if not is_tty():
        yield _LinePrinter(), say
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield _Screen(live), lambda line: console.print(line, markup=False)


class _Screen:
    """Redraws the job in place."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._events: deque[str] = deque(maxlen=_EVENT_LINES)

    def show(self, job: JobDetail, *, events: list[EventRecord], notice: str) -> None:
        from tuner.cli.jobs.live import screen

        self._events.extend(_event_lines(events))
        started, ended = job.started_at, job.finished_at
        elapsed = None if started is None else (time.time() if ended is None else ended) - started
        self._live.update(screen(job, events=tuple(self._events), elapsed=elapsed, notice=notice), refresh=True)


class _LinePrinter:
    """Prints each event, the progress in steps, and how the job stands at its end."""

    def __init__(self) -> None:
        self._printed = -1.0
        self._ended = False
        self._notice = ""

    def show(self, job: JobDetail, *, events: list[EventRecord], notice: str) -> None:
        from tuner.cli.jobs.live import progress_line

        for line in _event_lines(events):
            show(line)
        fraction = job.progress.fraction
        ends = is_terminal(job.state) and not self._ended
        if fraction >= self._printed + _STEP or ends:
            self._printed, self._ended = fraction, ends or self._ended
            show(progress_line(job))
        if notice != self._notice:
            if notice or not is_terminal(job.state):
                say(notice or "The service and a worker are back.")
            self._notice = notice


class _Silent:
    """Shows nothing."""

    def show(self, job: JobDetail, *, events: list[EventRecord], notice: str) -> None:
        pass


class _JsonPrinter:
    """Prints each event as a line of JSON."""

    def show(self, job: JobDetail, *, events: list[EventRecord], notice: str) -> None:
        for event in events:
            show(json.dumps(vars(event), ensure_ascii=False))


def _event_lines(events: list[EventRecord]) -> list[str]:
    from tuner.cli.jobs.event_text import highlight

    return [line for event in events if (line := highlight(event))]
