"""Random requests: each is refused with a field, or simulated to its end with a report."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage

from tests.digits import DIGITS
from tests.unit.schedules.strategies import cases, decimals
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import JobRequest, admit
from tuner.jobs.options import usual_options
from tuner.jobs.spec import JobSpec
from tuner.metric import DEFAULT_METRIC
from tuner.report.pages.markdown import markdown_page
from tuner.report.terminal.page import render_text
from tuner.search.configuration import Configuration
from tuner.search.decision.decisions import Finish, StudyState
from tuner.search.optuna.importances import parameter_importances
from tuner.search.optuna.study import Study
from tuner.search.oracle import Oracle, RunFailed
from tuner.search.simulate import simulate
from tuner.simulation import report_of

STEPS = st.sampled_from([10, 11, 16, 20, 33, 60, 300, 100_000])
PEAKS = st.sampled_from([1e-19, 1e-6, 3e-4, 0.1, 1.0, 1e19])


@st.composite
def ranges(draw: st.DrawFn, numbers: st.SearchStrategy[Any], *, kind: str) -> dict[str, Any]:
    low, high = sorted((draw(numbers), draw(numbers)))
    return {"kind": kind, "low": low, "high": high, "log": draw(st.booleans())}


def parameters(numbers: st.SearchStrategy[Any], *, kind: str = "float") -> st.SearchStrategy[dict[str, Any]]:
    choices = st.lists(numbers, min_size=1, max_size=3, unique=True)
    return ranges(numbers, kind=kind) | choices.map(lambda values: {"kind": "choice", "values": values})


def varied(name: str, **params: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"name": st.just(name)}, optional={"params": st.fixed_dictionaries({}, optional=params)}
    )


UNIT = decimals(0, 1)
COUNTS = parameters(st.integers(1, 40), kind="int")
FAMILIES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from([{"name": name} for name in ("constant", "linear", "cosine", "rex", "inverse_sqrt", "multi_step")]),
    varied("wsd", cooldown=parameters(UNIT), shape=st.just({"kind": "choice", "values": ["linear", "cosine"]})),
    varied("polynomial", power=parameters(st.sampled_from([1e-3, 0.5, 2, 100]))),
    varied("exponential", rate=parameters(st.sampled_from([1e-3, 1.0, 100]))),
    varied("sgdr", cycles=COUNTS, multiplier=parameters(decimals(1, 10))),
    varied("cyclic", cycles=COUNTS, rise=parameters(UNIT)),
    varied("one_cycle", rise=parameters(UNIT), start_factor=parameters(UNIT)),
    varied("step", gamma=parameters(UNIT | st.just(5e-324)), every=parameters(UNIT)),
    varied("power", onset=parameters(UNIT), exponent=parameters(decimals(0.1, 3))),
)


def _name_of(family: Any) -> str:
    return str(family["name"])


PEAK_RANGE = st.fixed_dictionaries({}, optional={"low": PEAKS, "high": PEAKS, "log": st.booleans()})
SHARES = st.lists(decimals(0, 0.9999), min_size=1, max_size=3)
SPACES = st.fixed_dictionaries(
    {},
    optional={
        "peak_lr": PEAK_RANGE,
        "warmup": SHARES,
        "floor": SHARES,
        "families": st.lists(FAMILIES, min_size=1, max_size=3, unique_by=_name_of),
    },
)
# Schedules of runs of other lengths: some do not fit.
SCHEDULES = cases(most=60).map(lambda case: case.schedule.model_dump(mode="json", exclude_none=True))
OPTIONS = st.fixed_dictionaries(
    {}, optional={"dropout": parameters(UNIT), "width": parameters(st.integers(0, 1100), kind="int")}
)
REQUESTS = st.fixed_dictionaries(
    {"total_steps": STEPS, "budget": st.sampled_from([1, 2, 3.5, 6]), "seed": st.integers(0, 2**31 - 1)},
    optional={
        "seeds": st.sampled_from([1, 2, 50]),
        "trials": st.sampled_from([1, 2, 5]),
        "incumbent": SCHEDULES,
        "start": st.lists(SCHEDULES, max_size=2),
        "space": SPACES,
        "options": OPTIONS,
        "prune": st.booleans(),
    },
)


def training(kind: str) -> Oracle:
    """A function that stands for training: losses of any size, equal ones, and runs that diverge or fail."""

    def oracle(configuration: Configuration, steps: int, seed: int) -> Any:
        away = abs(math.log10(configuration.schedule.peak_lr) + 3)
        if kind == "fails" or (kind == "mixed" and seed % 5 == 0):
            raise RunFailed
        if kind == "diverges" or (kind == "mixed" and away > 4):
            return [(1, 5.0)], None
        end = {"equal": 1.0, "tiny": 1e-11 * (1 + away), "huge": 1e300 * (1 + away / 100)}.get(kind, away - seed % 7)
        return [(step, end + abs(end) * (1 - step / steps)) for step in range(1, steps, -(-steps // 9))], end

    return oracle


def admitted(search: dict[str, Any]) -> JobSpec | InvalidValue:
    try:
        return admit({"workload": "digits-mlp", "search": search}, workloads=[replace(DIGITS, peak_lr={})])
    except InvalidValue as error:
        return error


@settings(max_examples=100)
@given(search=REQUESTS, kind=st.sampled_from(["mixed", "mixed", "equal", "tiny", "huge", "diverges", "fails"]))
def test_every_request_is_refused_by_its_field_or_simulated_to_its_end(search: dict[str, Any], kind: str):
    spec = admitted(search)
    if isinstance(spec, InvalidValue):
        event("refused")
        assert spec.field.split(".")[0] == "search"
        assert spec.field.split(".")[1] in search
        assert spec.allowed
        return
    assert admit(JobRequest.model_validate_json(spec.model_dump_json()), workloads=[DIGITS]) == spec
    event(kind)
    result = simulate(spec.search, oracle=training(kind), usual_options=usual_options(spec))
    assert result.updates <= spec.search.budget_steps
    record_in_optuna(spec, result.state)
    if isinstance(result.decisions[-1], Finish):
        report = report_of(result, options=spec.options)
        for page in (markdown_page(report), render_text(report)):
            assert not re.search(r"\b(inf|nan|None)\b", page)


def record_in_optuna(spec: JobSpec, state: StudyState) -> None:
    """The part of a planning step that a simulation leaves out: the Optuna study, and the importances."""
    study = Study.open(InMemoryStorage(), name="job", settings=spec.search, metric=DEFAULT_METRIC)
    for trial in state.trials:
        study.ask(trial.configuration, number=trial.number, role=trial.role)
    results = [(state.trials[run.trial].configuration, run.loss) for run in state.runs]
    parameter_importances(results, settings=spec.search)
