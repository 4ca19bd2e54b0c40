"""Where a schedule on the command line comes from: flags, a JSON document, or a finished job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tuner.cli.job_ids import find_job
from tuner.cli.parsing import parse_assignments, read_document
from tuner.errors import NOT_GIVEN, InvalidValue

if TYPE_CHECKING:
    from tuner.exports import TargetRun
    from tuner.schedules import Schedule

DEFAULT_STEPS = 1000
_DEFAULT_PEAK_LR = 0.01
_DOCUMENTED = "docs/schedules.md describes every family"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What was given on the command line; empty or ``None`` is not given."""

    family: str = ""
    parameters: Sequence[str] = ()
    """``NAME=VALUE``, of the family."""
    peak_lr: float | None = None
    warmup: str = ""
    """``"500"`` updates, or a part of the run: ``"0.05"``, ``"5%"``."""
    floor: float | None = None
    spec: str = ""
    """Path of a JSON document; ``"-"`` for standard input."""
    job: str = ""
    trial: int | None = None
    """Of the job; the one that its report recommends when ``None``."""
    total_steps: int | None = None

    def read(self, *, url: str, fits: bool = True) -> tuple[Schedule, TargetRun]:
        """The schedule, and the run that it is for.

        Args:
            url: Address of the service; asked only for a job.
            fits: Whether a run that the schedule does not fit into is refused.

        Raises:
            InvalidValue: Not exactly one source was given, or the schedule is refused.
            NotFound: There is no such job.
            ApiProblem: The job has no report yet, or no such trial.
            ServiceUnreachable: The job cannot be asked for.
        """
        named = {"--family": self.family, "--spec": self.spec, "--job": self.job}
        given = [option for option, text in named.items() if text]
        if len(given) != 1:
            allowed = "named by exactly one of --family, --spec and --job"
            raise InvalidValue("the schedule", value=" ".join(given) or NOT_GIVEN, allowed=allowed, hint=_DOCUMENTED)
        if self._flags() and not self.family:
            raise InvalidValue("--family", allowed=f"given with {', '.join(self._flags())}")
        if self.trial is not None and not self.job:
            raise InvalidValue("--job", allowed="given with --trial")
        if self.job:
            return self._of_job(url=url)
        from tuner.exports import TargetRun

        payload = self._from_flags() if self.family else read_document(self.spec, option="--spec")
        schedule, steps = _schedule(payload), self.total_steps or DEFAULT_STEPS
        if fits:
            schedule.lr(0, total_steps=steps)
        return schedule, TargetRun(total_steps=steps)

    def _of_job(self, *, url: str) -> tuple[Schedule, TargetRun]:
        from tuner.client import Client
        from tuner.jobs.export_context import export_context

        with Client.from_profile(url) as client:
            job = client.job(find_job(client, text=self.job))
            schedule = client.export(job.id, trial=self.trial, total_steps=self.total_steps)
            options: dict[str, Any] = {}
            if job.spec.search.options:
                trial = client.report(job.id).recommended.trial if self.trial is None else self.trial
                options = next(one.options for one in client.trials(job.id) if one.number == trial)
        return schedule, export_context(job.spec, options=options, total_steps=self.total_steps)

    def _flags(self) -> tuple[str, ...]:
        """The options given that describe a family."""
        given = {
            "--param": self.parameters,
            "--peak-lr": self.peak_lr is not None,
            "--warmup": self.warmup,
            "--floor": self.floor is not None,
        }
        return tuple(option for option, is_given in given.items() if is_given)

    def _from_flags(self) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "peak_lr": _DEFAULT_PEAK_LR if self.peak_lr is None else self.peak_lr,
            "family": {**parse_assignments(self.parameters, option="--param"), "name": self.family},
        }
        if self.warmup:
            payload["warmup"] = {"shape": "linear", **_length(self.warmup)}
        if self.floor is not None:
            payload["floor"] = self.floor
        return payload


def _length(text: str) -> dict[str, float | int]:
    try:
        if text.endswith("%"):
            return {"fraction": float(text[:-1]) / 100}
        return {"updates": int(text)} if text.isdigit() else {"fraction": float(text)}
    except ValueError:
        raise InvalidValue("--warmup", value=text, allowed="updates (500) or a part of the run (0.05, 5%)") from None


def _schedule(payload: dict[str, Any]) -> Schedule:
    from pydantic import ValidationError

    from tuner.jobs.admission.strict_json import RefusedPayload, read_strictly, refusals
    from tuner.schedules import Schedule

    try:
        return read_strictly(Schedule, payload)
    except ValidationError as error:
        first = refusals(error.errors(), model=Schedule)[0]
        if not first.hint:
            first = replace(first, message=f"{first.message}. {_DOCUMENTED}", hint=_DOCUMENTED)
        raise RefusedPayload(first) from None
