"""Turns a request into a complete job, or refuses it. Pure: the caller passes the announced workloads."""

from __future__ import annotations

import json
import math
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema import ValidationError as SchemaViolation
from jsonschema.exceptions import best_match
from pydantic import Field, ValidationError

from tuner.errors import InvalidValue
from tuner.jobs.admission.budget import Budget
from tuner.jobs.admission.epochs import prepared
from tuner.jobs.admission.settings_names import where_set
from tuner.jobs.admission.space_request import SpaceRequest, complete_space
from tuner.jobs.admission.strict_json import RefusedPayload, dotted, parse_strict, refusals, unknown_field
from tuner.jobs.records import WorkloadInfo
from tuner.jobs.spec import DEFAULT_TEAM, JobSpec
from tuner.schedules.lengths import MAX_STEPS
from tuner.search.buildable import check_buildable, check_rates_known
from tuner.search.range_test.settings import RangeTestSettings
from tuner.search.settings import BUDGETS, MIN_HORIZON, SearchSettings
from tuner.search.space import FloatRange, IntRange, OptimizerKind, Parameter, Value
from tuner.validation import phrase

_PROBED: Final = 256
"""Whole numbers of a range that are tried with a workload's schema: one that takes multiples alone refuses the next."""
MAX_OPTIONS_BYTES = 64 * 1024
"""Of all options of a job as JSON: a command gets them in one variable, and the system takes 128 KiB of each."""


class SearchRequest(SearchSettings):
    """Search settings that a request may leave open: the horizon and the seed, too."""

    # Wider than the parent's fields on purpose: admission alone reads them, and returns a `SearchSettings`.
    space: SpaceRequest | None = Field(  # type: ignore[assignment]
        default=None,
        description="Where to search; of what is absent, the default space of the workload's optimizer.",
    )
    total_steps: int | None = Field(  # type: ignore[assignment]
        default=None,
        ge=MIN_HORIZON,
        le=MAX_STEPS,
        description="The horizon: optimizer updates of a full training run; the workload's own default when absent.",
    )
    steps_per_epoch: int | None = Field(
        default=None,
        ge=1,
        le=MAX_STEPS,
        description="Updates in one epoch, for all that the search has in epochs and that does not say it itself: "
        '`{"epochs": 3}` as a length in the incumbent, the start schedules and the space.',
    )
    budget: Budget = BUDGETS["standard"]
    seed: int | None = Field(  # type: ignore[assignment]
        default=None,
        ge=0,
        lt=2**31,
        description="Seed of the search, from which those of its runs follow; a new one for each job when absent.",
    )


class JobRequest(JobSpec):
    """A request to find the schedule for one workload; only the workload is required."""

    # Wider than the parent's, like the horizon above.
    team: str | None = Field(  # type: ignore[assignment]
        default=None,
        min_length=1,
        max_length=100,
        description="The team of the job; the submitter's when absent.",
    )
    search: SearchRequest = Field(default_factory=SearchRequest, description="Horizon, budget and space of the search.")

    @staticmethod
    def prepared(payload: Any) -> Any:
        """The payload with the updates of an epoch in all lengths (`tuner.jobs.admission.epochs`)."""
        return prepared(payload)


def admit(
    request: JobRequest | Mapping[str, Any],
    *,
    workloads: Sequence[WorkloadInfo],
    team: str | None = None,
    seed: int = 0,
) -> JobSpec:
    """Check a request against the workers' workloads, and fill in every default.

    Args:
        request: The request; a mapping is read as strictly as one over HTTP.
        workloads: The announced workloads.
        team: The team of a request that names none; `DEFAULT_TEAM` when absent.
        seed: The seed of a search that names none. `fresh_seed` draws one, so that no two jobs share theirs.

    Returns:
        A complete job, with all options, the horizon, the seed and the search space.

    Raises:
        InvalidValue: The workload is not offered, an option is unknown or out of its range, or the search settings
            contradict each other. The error names field, value and what is allowed.
    """
    job = request if isinstance(request, JobRequest) else read_request(request)
    info = _find_workload(job.workload, workloads=workloads)
    options = complete_options(job.options, info=info)
    check_searched_options(job.search.options, options=options, info=info)
    return JobSpec(
        workload=info.name,
        options=options,
        name=job.name,
        notes=job.notes,
        team=job.team or team or DEFAULT_TEAM,
        shared=job.shared,
        longer=job.longer,
        priority=job.priority,
        resources=job.resources,
        limits=job.limits,
        search=_complete_search(job.search, info=info, optimizer=_optimizer(info, options=options), seed=seed),
    )


def fresh_seed() -> int:
    """A random seed for a search."""
    return secrets.randbelow(2**31)


def read_request(payload: Mapping[str, Any]) -> JobRequest:
    """Read a request from plain values, as strictly as one over HTTP.

    Raises:
        InvalidValue: The first refused value.
    """
    try:
        return parse_strict(JobRequest, payload)
    except ValidationError as error:
        raise RefusedPayload(refusals(error.errors(), model=JobRequest)[0]) from None


def complete_options(options: Mapping[str, Any], *, info: WorkloadInfo) -> dict[str, Any]:
    """Check options against the workload's schema, and add the defaults of absent ones.

    Raises:
        InvalidValue: An option is unknown, of another type, or out of its range.
    """
    properties: Mapping[str, Any] = info.options_schema.get("properties", {})
    for name, value in options.items():
        if name not in properties:
            path = ("options", name)
            raise RefusedPayload(
                unknown_field(
                    path,
                    loc=path,
                    known=properties,
                    value=value,
                    kind=f"options of {info.name}",
                    set_by=where_set(name),
                )
            )
    defaults = {name: one["default"] for name, one in properties.items() if "default" in one}
    complete = {**defaults, **options}
    size = len(json.dumps(complete, default=str))
    if size > MAX_OPTIONS_BYTES:
        allowed = f"at most {MAX_OPTIONS_BYTES:,} bytes as JSON"
        hint = "Runs get them in their environment. Put large values into a file that the workers read."
        raise InvalidValue("options", value=f"{size:,} bytes", allowed=allowed, hint=hint)
    violation = best_match(Draft202012Validator(info.options_schema).iter_errors(complete))
    if violation is not None:
        raise _refused_option(violation, properties=properties)
    for name, value in complete.items():  # a schema's "number" has any size, and a float has not
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            allowed = f"a number from {-sys.float_info.max:.1e} to {sys.float_info.max:.1e}"
            raise InvalidValue(dotted(("options", name)), value=f"{str(value)[:20]}...", allowed=allowed)
    return complete


def check_searched_options(ranges: Mapping[str, Parameter], *, options: Mapping[str, Any], info: WorkloadInfo) -> None:
    """Check that a workload accepts every value of the searched options.

    Args:
        ranges: The searched options, by name.
        options: All of the workload's options, complete.
        info: The workload.

    Raises:
        InvalidValue: An option is unknown, selects the optimizer, or does not accept a value of its range.
    """
    properties: Mapping[str, Any] = info.options_schema.get("properties", {})
    for name, parameter in ranges.items():
        path = ("search", "options", name)
        if name not in properties:
            raise RefusedPayload(
                unknown_field(
                    path,
                    loc=path,
                    known=properties,
                    value=name,
                    kind=f"options of {info.name}",
                    set_by=where_set(name),
                )
            )
        if name == info.optimizer_option:
            raise InvalidValue(
                dotted(path),
                value=name,
                allowed="another option",
                hint="The range of the peak depends on the optimizer: submit a job for each.",
            )
        for value in _probe_values(parameter):
            violation = best_match(Draft202012Validator(info.options_schema).iter_errors({**options, name: value}))
            if violation is not None:
                raise _refused_option(violation, properties=properties, within=("search", "options"))


def _probe_values(parameter: Parameter) -> Iterator[Value]:
    """The values that a range is checked with: its ends; a fractional one inside, or every whole one of the first."""
    yield from parameter.corners
    match parameter:
        case FloatRange(low=low, high=high) if low < high:
            yield low + (high - low) / math.e
        case IntRange(low=low, high=high):
            yield from range(low, min(high, low + _PROBED))


def _find_workload(name: str, *, workloads: Sequence[WorkloadInfo]) -> WorkloadInfo:
    for info in workloads:
        if info.name == name:
            return info
    names = sorted(info.name for info in workloads)
    if not names:
        raise InvalidValue(
            "workload",
            value=name,
            allowed="one that a worker offers, and no worker has announced any yet",
            hint="Start one with `tuner worker` (or both service and worker with `tuner up`) and send this again.",
        )
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "`tuner workloads` describes them."
    raise InvalidValue("workload", value=name, allowed=f"one of {', '.join(names)}", hint=hint)


def _refused_option(
    violation: SchemaViolation, *, properties: Mapping[str, Any], within: tuple[str, ...] = ("options",)
) -> InvalidValue:
    path = tuple(violation.absolute_path)
    allowed = phrase(str(violation.validator), violation.validator_value, message=violation.message)
    description = properties.get(str(path[0]), {}).get("description", "") if path else ""
    return InvalidValue(dotted((*within, *path)), value=violation.instance, allowed=allowed, hint=description)


def _optimizer(info: WorkloadInfo, *, options: Mapping[str, Any]) -> OptimizerKind:
    if info.optimizer_option is None:
        return info.optimizer
    return OptimizerKind(options[info.optimizer_option])


def _check_start(settings: SearchSettings) -> None:
    """Refuse schedules to try first that ``trials`` would leave untried."""
    start = len(set(settings.start))
    if settings.trials is not None and settings.trials < start:
        hint = "Leave trials out, or name fewer schedules in search.start"
        allowed = f"at least {start}, the number of the schedules to try first"
        raise InvalidValue("trials", value=settings.trials, allowed=allowed, hint=hint)


def _with_range_test(test: RangeTestSettings, *, completed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a search with an LR range test, or of a range test alone.

    Raises:
        InvalidValue: The rates leave no rise, or the test leaves no run to the search.
    """
    peaks = completed["space"].peak_lr
    try:
        test = test.completed(low=peaks.low, high=peaks.high)
    except ValidationError as error:
        errors = [{**one, "loc": ("search", "range_test", *one["loc"])} for one in error.errors()]
        raise RefusedPayload(refusals(errors, model=JobRequest)[0]) from None
    if test.alone:  # what it costs is one unit: nothing of a search is trained
        return {"range_test": test, "total_steps": max(test.updates, MIN_HORIZON), "budget": 1.0}
    horizon = completed["total_steps"]
    if test.updates + horizon > completed["budget"] * horizon:
        left = int((completed["budget"] - 1.0) * horizon)
        raise InvalidValue(
            "search.range_test",
            value=f"{test.seeds} runs of {test.steps} updates",
            allowed=f"at most {left:,} updates in all, so that the budget leaves a full run to the search",
            hint="Take fewer steps or seeds, or raise the budget.",
        )
    return {"range_test": test}


def _complete_search(
    search: SearchRequest, *, info: WorkloadInfo, optimizer: OptimizerKind, seed: int
) -> SearchSettings:
    completed = dict(search)
    del completed["steps_per_epoch"]  # every length has its own
    if search.total_steps is None:
        completed["total_steps"] = info.default_steps
    if search.seed is None:
        completed["seed"] = seed
    usual = None if search.incumbent is None else search.incumbent.peak_lr
    request = search.space or SpaceRequest()
    default = request.default(info, optimizer=optimizer, around=usual)
    completed["space"] = complete_space(request, default=default, path=("search", "space"), model=JobRequest)
    if search.range_test is not None:
        completed |= _with_range_test(search.range_test, completed=completed)
    try:
        settings = SearchSettings(**completed)
        if settings.range_test is not None and settings.range_test.alone:
            return settings
        _check_start(settings)
        check_buildable(settings)
        if info.needs_lrs:
            check_rates_known(settings, workload=info.name)
    except ValidationError as error:  # the workload's own default
        errors = [{**one, "loc": ("search", *one["loc"])} for one in error.errors()]
        raise RefusedPayload(refusals(errors, model=JobRequest)[0]) from None
    except InvalidValue as error:
        raise InvalidValue(f"search.{error.field}", value=error.value, allowed=error.allowed, hint=error.hint) from None
    return settings
