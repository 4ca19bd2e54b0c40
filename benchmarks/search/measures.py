"""What the rows of many studies say: regret, harm, coverage, verdicts, stops."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tuner.report.report import Verdict

Row = dict[str, Any]


def by_method(rows: Iterable[Row]) -> dict[tuple[str, float], list[Row]]:
    """The rows of each method at each price, in the order of their first row; those without a price are left out."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        if "budget" in row:
            groups.setdefault((row["method"], row["budget"]), []).append(row)
    return groups


def recommendation(rows: Sequence[Row]) -> Row:
    """How good the recommendations of one method at one price are.

    Harm is a true loss above the incumbent's.
    """
    found = [row for row in rows if "true" in row]
    if not found:
        return {"studies": len(rows), "with_result": 0.0}
    regrets = [row["true"] - row["best"] for row in found]
    harms = [row["true"] - row["incumbent"] for row in found]
    harmed = [harm for harm in harms if harm > 0.0]
    return {
        "studies": len(rows),
        "with_result": len(found) / len(rows),
        "cost": statistics.fmean(row["cost"] for row in found),
        "regret": statistics.fmean(regrets),
        "regret_p95": float(np.quantile(regrets, 0.95)),
        "regret_se": _standard_error(regrets),
        "true": statistics.fmean(row["true"] for row in found),
        "incumbent": statistics.fmean(row["incumbent"] for row in found),
        "best": statistics.fmean(row["best"] for row in found),
        "harmed": len(harmed) / len(found),
        "harm": statistics.fmean(harmed) if harmed else 0.0,
        "gain": -statistics.fmean(harms),
    }


def certainty(rows: Sequence[Row]) -> Row:
    """How right our intervals and verdicts are at one price."""
    found = [row for row in rows if "margin" in row]
    pairs = np.sum([row["pairs"] for row in found], axis=0) if found else np.zeros(2)
    verdicts = [one for row in found for one in row["verdicts"] if "wrong" in one]
    harms = [row["true"] - row["incumbent"] for row in found]
    return {
        "studies": len(found),
        "pairs": int(pairs[1]),
        "coverage": float(pairs[0] / pairs[1]) if pairs[1] else None,
        "margin": statistics.fmean(row["margin"] for row in found) if found else None,
        "harmed_by_more_than_the_margin": sum(harm > row["margin"] for harm, row in zip(harms, found, strict=True))
        / max(len(found), 1),
        "verdicts": {
            rival: {verdict.value: _counted(verdicts, rival=rival, verdict=verdict) for verdict in Verdict}
            for rival in dict.fromkeys(one["rival"] for one in verdicts)
        },
    }


def _counted(verdicts: Sequence[Row], *, rival: str, verdict: Verdict) -> Row:
    own = [one for one in verdicts if one["rival"] == rival and one["verdict"] == verdict.value]
    return {"said": len(own), "wrong": sum(one["wrong"] for one in own)}


def stopping(rows: Iterable[Row]) -> Row:
    """What stopping early saved, over all of these studies."""
    stops = [row["stops"] for row in rows if "stops" in row]
    runs = sum(one["runs"] for one in stops)
    trained = sum(one["trained"] for one in stops)
    saved = sum(one["saved"] for one in stops)
    return {
        "studies": len(stops),
        "runs": runs,
        "stopped": sum(one["stopped"] for one in stops),
        "saved": saved / (saved + trained) if trained else 0.0,
        "false": sum(one["false"] for one in stops) / runs if runs else 0.0,
        "best_asked_stopped": sum(one["best_asked_stopped"] for one in stops) / max(len(stops), 1),
    }


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def summary(rows: Sequence[Row], *, ours: str, one_seed: bool = False) -> Row:
    """Everything, as JSON.

    Args:
        rows: Of all studies and methods.
        ours: The name of our method.
        one_seed: Whether the truth is a single run, which says nothing of intervals.
    """
    groups = by_method(rows)
    return {
        "one_seed": one_seed,
        "recommendations": [
            {"method": method, "budget": budget, **recommendation(group)} for (method, budget), group in groups.items()
        ],
        "certainty": [
            {"budget": budget, **certainty(group)} for (method, budget), group in groups.items() if method == ours
        ],
        "stopping": [
            *(
                {"runs_of": f"ours, budget {budget:g}", "budget": budget, **stopping(group)}
                for (method, budget), group in groups.items()
                if method == ours
            ),
            *(
                {"runs_of": method, "budget": None, **stopping(row for row in rows if row["method"] == method)}
                for method in dict.fromkeys(row["method"] for row in rows if "budget" not in row)
            ),
        ],
    }
