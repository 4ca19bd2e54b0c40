"""``tuner workload``: start a workload from a template, and check it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.help import App
from tuner.cli.options import AsJson, check_provider
from tuner.cli.output import say, show, show_json, show_table
from tuner.cli.parsing import parse_assignments
from tuner.errors import InvalidValue, TunerError, WorkloadError

if TYPE_CHECKING:
    from tuner.training.checks.findings import CheckReport

_PROGRESS_SECONDS = 1.0
"""Least time between two lines of progress."""

app = App(
    help="Write and check workloads of your own.",
    examples=("tuner workload new my_tuning.py", "tuner workload check my_tuning:MyWorkload"),
)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Python file to write; it must not exist yet.")],
    level: Annotated[
        Literal["declared", "stepwise", "opaque"],
        typer.Option("--level", help="How much of the training the tuner drives; opaque: your own loop."),
    ] = "opaque",
) -> None:
    """Write a small workload that runs, as a start for your own.

    Examples:
        tuner workload new my_tuning.py
        tuner workload new my_tuning.py --level declared
    """
    if not (file.suffix == ".py" and file.stem.isidentifier()):
        raise InvalidValue("FILE", value=str(file), allowed="a name that Python can import, like my_tuning.py")
    name = file.stem.lower().strip("_").replace("_", "-")
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(template(level, name=name))
    except FileExistsError:
        raise InvalidValue("FILE", value=str(file), allowed="a file that does not exist yet") from None
    except FileNotFoundError:
        raise InvalidValue("FILE", value=str(file), allowed="in a folder that exists") from None
    where = "" if file.parent == Path() else f"cd {file.parent} && "
    say(f"Wrote {file}. Check it: `{where}tuner workload check {file.stem}:MyWorkload`.")


def template(level: str, *, name: str) -> str:
    """The text of a small workload that keeps the contract.

    Args:
        level: ``"declared"``, ``"stepwise"`` or ``"opaque"``.
        name: The workload's name; the module's with hyphens.
    """
    text = (Path(__file__).parent / "templates" / f"{level}.py").read_text(encoding="utf-8")
    return text.replace("my_workload", name.replace("-", "_")).replace("my-workload", name)


@app.command()
def check(
    workload: Annotated[
        str,
        typer.Argument(
            metavar="WORKLOAD",
            help="module:Class or module:function, searched from the working directory, or a .toml file.",
        ),
    ],
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", metavar="NAME=VALUE", show_default=False, help="An option of the workload. Repeatable."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", envvar="TUNER_DEVICE", metavar="DEVICE", help="auto, cpu or cuda:N.")
    ] = "auto",
    steps: Annotated[int, typer.Option("--steps", min=10, max=100_000, help="Optimizer updates of one training.")] = 20,
    time_limit: Annotated[
        float,
        typer.Option(
            "--time-limit",
            min=1,
            metavar="SECONDS",
            help="Time of all trainings; what it is too short for is left out.",
        ),
    ] = 50,
    silence_limit: Annotated[
        float,
        typer.Option("--silence-limit", min=1, metavar="SECONDS", help="Longest time without an update or a report."),
    ] = 120,
    as_json: AsJson = False,
) -> None:
    """Check a workload: train it a little, and test every rule.

    It is trained for a few updates, and each rule of the contract is tested. The exit code is 1 when a rule is broken.
    The check of a slow script ends in time, and prints which rules it left out.

    Examples:
        tuner workload check my_tuning:MyWorkload
        tuner workload check my_tuning:MyWorkload --option depth=4
    """
    check_provider(workload, field="WORKLOAD")
    options = parse_assignments(option or (), option="--option")
    try:
        with _output_to_stderr():  # the training code's output is not the result
            limits = {"time_seconds": time_limit, "silence_seconds": silence_limit}
            reports = _check_all(workload, options=options, device=device, steps=steps, limits=limits)
    except WorkloadError as error:
        say(f"Broken: {error}")
        raise typer.Exit(ExitCode.RULE_BROKEN) from error
    if as_json:
        show_json([_report_json(report) for report in reports])
    else:
        for report in reports:
            _show_report(report)
    if not all(report.ok for report in reports):
        raise typer.Exit(ExitCode.RULE_BROKEN)


def _check_all(
    provider: str, *, options: dict[str, Any], device: str, steps: int, limits: dict[str, float]
) -> list[CheckReport]:
    from tuner.devices import choose_device
    from tuner.training.checks.check import check
    from tuner.training.registry import load_provider

    sys.path.insert(0, str(Path.cwd()))  # the workload's modules are found as by ``python train.py``
    try:
        workloads = load_provider(provider)
    except (TunerError, OSError):
        raise
    except Exception as error:
        raise WorkloadError(f"loading {provider} failed: {type(error).__name__}: {error}") from error
    torch_name = choose_device(device, environment=os.environ).torch_name
    return [
        check(
            one,
            options=options,
            device=torch_name,
            steps=steps,
            on_progress=_Progress(),
            **limits,
        )
        for one in workloads.values()
    ]


class _Progress:
    """Shows a line of progress, unless it would be the second one within a moment."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, line: str) -> None:
        if time.monotonic() >= self._next:
            say(f"  {line}")
            self._next = time.monotonic() + _PROGRESS_SECONDS


def _report_json(report: CheckReport) -> dict[str, Any]:
    return {
        "workload": report.info,
        "ok": report.ok,
        "level": report.info.level,
        "advice": report.advice,
        "device": report.device,
        "seconds_per_update": report.seconds_per_update,
        "device_memory_bytes": report.device_memory_bytes,
        "findings": report.findings,
    }


def _show_report(report: CheckReport) -> None:
    from tuner.cli.workloads import describe

    describe(report.info)
    show("")
    show_table(
        ("RULE", "", "OBSERVATION"),
        [(finding.rule, finding.mark.value, finding.detail) for finding in report.findings],
    )
    show("")
    if report.seconds_per_update is not None:
        show(f"Time per update on {report.device}: {report.seconds_per_update * 1000:.3g} ms")
    if report.device_memory_bytes is not None:
        show(f"Device memory: {report.device_memory_bytes / 2**20:,.0f} MiB at most")
    show(f"Level {report.info.level.value}: {report.advice}.")
    if report.left_out:
        show(f"Left out for want of time: {'; '.join(report.left_out)} (--time-limit).")
    holds = "All rules that were tried hold." if report.left_out else "All rules hold."
    show(holds if report.ok else "A rule is broken: see above.")


@contextmanager
def _output_to_stderr() -> Iterator[None]:
    """Redirect the standard output of this process and its children to standard error inside the block."""
    sys.stdout.flush()
    original = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(original, 1)
        os.close(original)
