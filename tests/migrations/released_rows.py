"""The rows of the database that an earlier release filled, in the words of each release."""

from __future__ import annotations

from typing import Any

from tests.migrations.revisions import Rows
from tuner.metric import DEFAULT_METRIC

CLASSES = {0: "normal", 5: "high", -3: "low"}
"""Of the priorities in the fixture."""


AS_NUMBER = {"low": -1, "normal": 0, "high": 1}


def without(rows: Rows, *tables: str) -> Rows:
    return {name: content for name, content in rows.items() if name not in tables}


def job_named(rows: Rows, name: str) -> dict:
    return next(job for job in rows["tuner_jobs"].values() if job["spec"]["name"] == name)


FORMER_SEARCH = {"max_updates", "rungs", "ratio", "keep", "cohort", "audit", "controls", "finalists", "confirm_seeds"}


NO_REPORT = "its report was written by another version of Schedule Tuner: clone the job to get a new one"


ROLES = {"default": "incumbent", "start": "start"}


def as_now(rows: Rows) -> Rows:
    """Rows of revision 0004 and before as the present release stores them."""
    names = {"trunk": "prefix_key"}
    runs = {
        at: {names.get(name, name): value for name, value in row.items() if name not in ("kind", "rung")}
        for at, row in rows["tuner_runs"].items()
    }
    trials = {
        at: {name: value for name, value in row.items() if name not in ("cohort", "control")}
        | {"role": ROLES.get(row["control"])}
        for at, row in rows["tuner_trials"].items()
    }
    jobs = {at: job_as_now(row) for at, row in rows["tuner_jobs"].items()}
    workloads = {
        at: row | {"info": row["info"] | {"metric": DEFAULT_METRIC.model_dump()}}
        for at, row in rows["tuner_workloads"].items()
    }
    events = {at: row | {"data": in_todays_words(row["data"])} for at, row in rows["tuner_events"].items()}
    changed = {"tuner_runs": runs, "tuner_trials": trials, "tuner_jobs": jobs, "tuner_events": events}
    return {**rows, **changed, "tuner_workloads": workloads, "tuner_reports": {}}


def job_as_now(row: dict[str, Any]) -> dict[str, Any]:
    search = {name: value for name, value in row["spec"]["search"].items() if name not in FORMER_SEARCH}
    error = NO_REPORT if row["state"] == "completed" else row["error"]
    return row | {"metric": DEFAULT_METRIC.model_dump(), "error": error, "spec": {**row["spec"], "search": search}}


def as_before(rows: Rows) -> Rows:
    """Rows of revision 0005 or before once they have gone up and come back."""
    rungs = {job: lengths_of(rows, job) for job in {row["job_id"] for row in rows["tuner_runs"].values()}}
    jobs = {}
    for at, row in rows["tuner_jobs"].items():
        search = {name: value for name, value in row["spec"]["search"].items() if name not in FORMER_SEARCH}
        if row["id"] in rungs:
            search["rungs"] = len(rungs[row["id"]])
        error = NO_REPORT if row["state"] == "completed" else row["error"]
        jobs[at] = row | {"error": error, "spec": {**row["spec"], "search": search}}
    trials = {
        at: row | {"cohort": 0, "control": row["control"] if row["control"] in ROLES else None}
        for at, row in rows["tuner_trials"].items()
    }
    return {**rows, "tuner_jobs": jobs, "tuner_trials": trials, "tuner_reports": {}}


def lengths_of(rows: Rows, job: str) -> set[int]:
    return {row["total_steps"] for row in rows["tuner_runs"].values() if row["job_id"] == job}


WORDS = {
    "plateau": "equivalents",
    "losses": "values",
    "loss": "value",
    "val_loss": "value",
    "search_loss": "search_value",
    "best_search_loss": "best_search_value",
    "cannot be told apart": "statistical tie",
}


def in_todays_words(stored: Any) -> Any:
    if isinstance(stored, list):
        return [in_todays_words(one) for one in stored]
    if isinstance(stored, dict):
        return {WORDS.get(key, key): one if key == "options" else in_todays_words(one) for key, one in stored.items()}
    return WORDS.get(stored, stored) if isinstance(stored, str) else stored
