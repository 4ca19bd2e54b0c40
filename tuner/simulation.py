"""A whole study on a function instead of training (docs/search.md, "Simulating a study")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from tuner.errors import InvalidValue, StudyFailed
from tuner.jobs.records import CurvePoint
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.report.build import build_report
from tuner.report.report import Report
from tuner.report.study_result import RunHistory, StudyResult
from tuner.schedules import Schedule
from tuner.search.buildable import check_buildable
from tuner.search.configuration import Configuration, option_values
from tuner.search.decision.decisions import CompleteTrial, GiveUp, NewTrial, Prune, RunStatus
from tuner.search.oracle import Oracle
from tuner.search.settings import BUDGETS, DEFAULT_WORTH, SearchSettings
from tuner.search.simulate import SimulatedRun, Simulation, simulate
from tuner.search.space import OptimizerKind, SearchSpace, Value, default_space
from tuner.validation import allowed_by, choice, one_of_names

_NAME: Final = "simulation"


def simulate_study(
    oracle: Oracle,
    *,
    space: SearchSpace | OptimizerKind | str | Mapping[str, Any],
    total_steps: int,
    budget: float = BUDGETS["standard"],
    seed: int = 0,
    incumbent: Schedule | None = None,
    worth: float = DEFAULT_WORTH,
    devices: int = 1,
    pool: Sequence[Configuration] | None = None,
    metric: Metric = DEFAULT_METRIC,
    options: Mapping[str, Value] | None = None,
    search: Mapping[str, Any] | None = None,
) -> Report:
    """Run a whole study on a function instead of training, and return its report.

    Plan, sampler, early stopping, confirmation, recommendation and report are those of a job; time passes on a virtual
    clock, and nothing is stored.

    Args:
        oracle: ``oracle(configuration, steps, seed) -> (curve, final)``, called once for each run. ``configuration``
            has ``.schedule`` and ``.options``; ``curve`` is ``[(updates done, loss), ...]``, ascending; ``final`` is
            the loss at the end, ``None`` when the run diverged (it then ended at the last point of its curve).
        space: Where to search, as an object or as in a job's ``search.space``; an `OptimizerKind` stands for its
            default space.
        total_steps: The horizon in optimizer updates: every run has that many.
        budget: What the study may cost in full runs, at least 1.
        seed: Of the search; equal arguments give an equal report.
        incumbent: The schedule that is used today; linear warm-up and cosine to zero when absent.
        worth: A gain is worth a change of schedule from here on: the share of more updates that the incumbent would
            need for the same loss.
        devices: Runs at a time.
        pool: The only configurations that the oracle can train; the whole space when absent.
        metric: Of the oracle's numbers.
        options: The workload's options in the job, for the report; the search of an option starts there.
        search: Further search settings by name: ``trials``, ``seeds``, ``sampler``, ``pruner``,
            ``prune``, ``start``, ``options``.

    Returns:
        The report of the finished study.

    Raises:
        InvalidValue: An argument, or what the oracle returned, is refused; the message names the field, the value and
            what is allowed.
        StudyFailed: Every run diverged or failed.

    Example:
        >>> import math
        >>> from tuner import OptimizerKind, simulate_study
        >>> def oracle(configuration, steps, seed):
        ...     schedule = configuration.schedule
        ...     loss = 1.0 + 0.1 * math.log(schedule.peak_lr / 0.01) ** 2 + 0.1 * (schedule.lrs(steps)[-1] > 0.001)
        ...     return [(steps // 2, loss + 0.1), (steps, loss)], loss
        >>> report = simulate_study(oracle, space=OptimizerKind.SGD, total_steps=100, budget=6, seed=0)
        >>> report.cost.full_runs <= 6
        True
        >>> 0.001 < report.recommended.schedule.peak_lr < 0.1
        True
    """
    _check_whole("devices", devices, minimum=1)
    settings = _settings(
        {
            "total_steps": total_steps,
            "budget": budget,
            "seed": seed,
            "incumbent": incumbent,
            "worth": worth,
            "space": default_space(choice("space", space, of=OptimizerKind)) if isinstance(space, str) else space,
        },
        further=search or {},
    )
    own = dict(options or {})
    usual = option_values({name: own[name] for name in settings.options if name in own})
    simulation = simulate(settings, oracle=oracle, devices=devices, pool=pool, metric=metric, usual_options=usual)
    return report_of(simulation, options=own)


def report_of(simulation: Simulation, *, options: Mapping[str, Value] | None = None) -> Report:
    """The report of a simulated study.

    Args:
        simulation: A study that has ended.
        options: The workload's options in the job.

    Raises:
        StudyFailed: The study reached no recommendation.
    """
    last = simulation.decisions[-1]
    if isinstance(last, GiveUp):
        raise StudyFailed(f"the study ended without a result: {last.reason}")
    return build_report(
        StudyResult(
            job_id=_NAME,
            job_name=_NAME,
            workload=_NAME,
            options=dict(options or {}),
            state=simulation.state,
            reasons=dict(_reasons(simulation)),
            end_reason=last.reason,
            updates_spent=simulation.updates,
            updates_saved=0,
            histories=tuple(_history(run) for run in simulation.runs),
        )
    )


def _reasons(simulation: Simulation) -> Iterator[tuple[int, str]]:
    """Trial number and reason, those of its end after those of its creation."""
    for decision in simulation.decisions:
        match decision:
            case NewTrial():
                yield decision.number, decision.reason
            case Prune() | CompleteTrial():
                yield decision.trial, decision.reason


def _history(run: SimulatedRun) -> RunHistory:
    rates = run.curve.configuration.schedule.lrs(run.curve.total_steps)
    points = tuple(
        CurvePoint(step=step, lr=float(rates[max(step, 1) - 1]), train_loss=None, val_loss=loss)
        for step, loss in run.curve.points
    )
    stops = [check for check in run.checks if check.stop]
    return RunHistory(
        trial=run.trial,
        seed=run.seed,
        steps=run.steps,
        points=points,
        check=stops[0] if stops else None,
        audited=bool(stops) and run.status is not RunStatus.STOPPED,
    )


def _settings(values: Mapping[str, Any], *, further: Mapping[str, Any]) -> SearchSettings:
    known = [name for name in SearchSettings.model_fields if name not in values]
    for name, value in further.items():
        if name not in known:
            raise InvalidValue(f"search.{name}", value=value, allowed=one_of_names(known, kind="further settings"))
    try:
        settings = SearchSettings.model_validate({**values, **further})
    except ValidationError as error:
        first = error.errors()[0]
        names = [str(part) for part in first["loc"]]
        field = ".".join(["search", *names] if names[0] in further else names)
        raise InvalidValue(field, value=first["input"], allowed=allowed_by(first)) from None
    check_buildable(settings)
    return settings


def _check_whole(field: str, value: Any, *, minimum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise InvalidValue(field, value=value, allowed=f"a whole number, at least {minimum}")
