"""The schedule that a command works on: from options, a JSON document, or a finished job."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tuner.cli.ids import find_job
from tuner.cli.parsing import parse_assignments, read_document
from tuner.cli.request import request
from tuner.cli.schedule.options import Family, Floor, FromJob, Parameters, PeakLr, Spec, Trial, Warmup
from tuner.cli.schedule_documents import DOCUMENTED, check_family, in_flags, read_schedule, schedule_document
from tuner.cli.signatures import parameters_of, set_parameters
from tuner.errors import MISSING, InvalidValue

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.exports import TargetRun
    from tuner.schedules import Schedule

DEFAULT_STEPS = 1000
_DEFAULT_PEAK_LR = 0.01


@dataclass(frozen=True, kw_only=True)
class ScheduleSource:
    """The options that name a schedule; `takes_schedule` adds them to a command."""

    family: Family = ""
    parameters: Parameters = None
    peak_lr: PeakLr = None
    warmup: Warmup = ""
    floor: Floor = None
    spec: Spec = ""
    job: FromJob = ""
    trial: Trial = None

    def read(self, *, url: str, total_steps: int | None = None, must_fit: bool = True) -> tuple[Schedule, TargetRun]:
        """The schedule, and the run that it is for.

        Args:
            url: Address of the service; used only for a job.
            total_steps: Length of the run; the job's own, else `DEFAULT_STEPS`, when absent.
            must_fit: Whether to refuse a schedule that does not fit into the run.

        Raises:
            InvalidValue: Not exactly one source is given, or the schedule is refused.
            NotFound: There is no such job.
            ApiProblem: The job has no report yet, or no such trial.
            ServiceUnreachable: No service responds.
        """
        named = {"--family": self.family, "--spec": self.spec, "--job": self.job}
        given = [option for option, text in named.items() if text]
        if len(given) != 1:
            allowed = "named by exactly one of --family, --spec and --job"
            raise InvalidValue("the schedule", value=" ".join(given) or MISSING, allowed=allowed, hint=DOCUMENTED)
        if self._flags() and not self.family:
            raise InvalidValue("--family", allowed=f"given with {', '.join(self._flags())}")
        if self.trial is not None and not self.job:
            raise InvalidValue("--job", allowed="given with --trial")
        if self.job:
            return self._of_job(url=url, total_steps=total_steps)
        from tuner.exports import TargetRun

        schedule, steps = self._written(), total_steps or DEFAULT_STEPS
        if must_fit:
            schedule.lr(0, total_steps=steps)
        return schedule, TargetRun(total_steps=steps)

    def _of_job(self, *, url: str, total_steps: int | None) -> tuple[Schedule, TargetRun]:
        from tuner.jobs.export_context import export_context

        def read(client: Client) -> tuple[Schedule, TargetRun]:
            job = client.job(find_job(client, text=self.job))
            schedule = client.export(job.id, trial=self.trial, total_steps=total_steps)
            options: dict[str, Any] = {}
            if job.spec.search.options:
                trial = client.report(job.id).recommended.trial if self.trial is None else self.trial
                options = next(one.options for one in client.trials(job.id) if one.number == trial)
            context = export_context(job.spec, options=options, metric=job.metric, total_steps=total_steps)
            return schedule, context

        return request(read, url=url)

    def _flags(self) -> tuple[str, ...]:
        """The names of the given options that need ``--family``."""
        given = {
            "--param": self.parameters,
            "--peak-lr": self.peak_lr is not None,
            "--warmup": self.warmup,
            "--floor": self.floor is not None,
        }
        return tuple(option for option, is_given in given.items() if is_given)

    def _written(self) -> Schedule:
        if not self.family:
            return read_schedule(read_document(self.spec, option="--spec"))
        check_family(self.family, field="--family")
        document = self._from_flags()
        try:
            return read_schedule(document)
        except InvalidValue as error:
            raise in_flags(error) from None

    def _from_flags(self) -> dict[str, Any]:
        return schedule_document(
            self.family,
            parameters=parse_assignments(self.parameters or (), option="--param"),
            peak_lr=_DEFAULT_PEAK_LR if self.peak_lr is None else self.peak_lr,
            warmup=self.warmup,
            floor=self.floor,
        )


def takes_schedule(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `ScheduleSource` to a command, in the place of its parameter ``source``."""
    added = inspect.signature(ScheduleSource, eval_str=True).parameters

    @functools.wraps(command)
    def run(**options: Any) -> None:
        source = ScheduleSource(**{name: options.pop(name) for name in added})
        command(source=source, **options)

    own = parameters_of(command)
    return set_parameters(run, chain.from_iterable(added.values() if each.name == "source" else [each] for each in own))
