"""The results of the search benchmark as Markdown: printed, and written for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.search.oracle import TASKS
from benchmarks.search.replay import COSTS, PART, WHOLE
from benchmarks.search.replay_rivals import RIVALS
from benchmarks.search.samplers import ALL, BUDGETS, WSD
from benchmarks.search.study import BUDGET, MANY, MORE
from benchmarks.search.with_options import OURS


def replay_tables(result: dict[str, Any]) -> Iterator[str]:
    """Regret against cost, for both settings."""
    for setting in (WHOLE, PART):
        yield f"**{setting}**, {result['seeds']:,} seeds: mean regret in 1/1000 nat, 95th percentile in brackets"
        yield ""
        yield from _markdown(
            ["method", *(f"{cost:g} runs" for cost in COSTS), "best asked pruned"],
            [_replay_row(name, result[setting][name]) for name in ("ours", *RIVALS)],
        )
        end = result[setting]["ours, 15 trials"]
        yield ""
        yield (
            f"Ours without a limit, 15 trials: mean regret {1e3 * end['regret_at_end']:.2f}, "
            f"at {end['cost']:.1f} full runs; the best asked was pruned in {end['best_asked_pruned']:.1%} of them."
        )
        yield ""


def _replay_row(name: str, row: dict[str, Any]) -> list[str]:
    cells = []
    for cost in COSTS:
        mean = _get(row["mean"], cost)
        with_result = _get(row["with_result"], cost)
        if mean is None or with_result is None:
            cells.append("-")
            continue
        missing = "" if with_result > 0.995 else f" ({1 - with_result:.0%} without a result)"
        cells.append(f"{1e3 * mean:.2f} [{1e3 * (_get(row['p95'], cost) or 0.0):.1f}]{missing}")
    return [name, *cells, f"{row['best_asked_pruned']:.1%}"]


def _get(by_cost: dict[Any, float], cost: float) -> float | None:
    """Keys are text where the result was read from JSON."""
    return by_cost.get(cost, by_cost.get(str(cost)))


def sampler_tables(result: dict[str, Any]) -> Iterator[str]:
    """Our plan with every sampler."""
    for part in (ALL, WSD):
        yield f"**{part}**, {result['seeds']} seeds: mean regret in 1/1000 nat of our plan with each sampler"
        yield ""
        yield from _markdown(
            ["sampler", *(f"{budget:g} runs" for budget in BUDGETS)],
            [[name, *(f"{1e3 * regret:.2f}" for regret in regrets)] for name, regrets in result[part].items()],
        )
        yield ""


def rung_tables(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How well shorter runs rank."""
    yield from _markdown(
        ["task", "updates", "Spearman, better half", "the best ranks", "best peak there", "at the horizon"],
        [
            [
                line["task"],
                f"{line['updates']} of {line['horizon']:,}",
                f"{line['spearman_better_half']:.2f}",
                f"{line['rank_of_the_best']} of {line['configs']}",
                f"{line['best_peak_short']:.2g}",
                f"{line['best_peak']:.2g}",
            ]
            for line in lines
        ],
    )


def training_tables(lines: Sequence[dict[str, Any]], *, quarter: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Equal updates, then a quarter of them."""
    for task in TASKS:
        rows = [line for line in lines if line["task"] == task.name]
        ours = next(line for line in rows if line["method"] == "ours")
        what = f"{task.kind}, {task.workload}, {task.total_steps:,} updates"
        yield f"**{task.name}** ({what}), {ours['seeds']} seeds, {BUDGET} full runs each"
        yield ""
        yield from _markdown(
            [
                "method",
                "median of the final loss",
                "ours is better",
                "ours is at least as good",
                "diverges",
            ],
            [
                [
                    line["method"],
                    f"{line['median']:.4f}",
                    *(["", ""] if line is ours else [f"{line['ours_better']:.0%}", f"{line['ours_as_good']:.0%}"]),
                    f"{line['diverged']:.0%}",
                ]
                for line in sorted(rows, key=lambda line: line["median"])
            ],
        )
        yield ""
    what = f"random search with {MANY} full runs, ours with {MORE}; median final losses"
    yield f"**A quarter of the updates**: {what}"
    yield ""
    yield from _markdown(
        ["task", f"random, {MANY}", f"ours, {MORE}"],
        [[line["task"], f"{line['random']:.4f}", f"{line['ours']:.4f}"] for line in quarter],
    )


def option_tables(result: dict[str, Any]) -> Iterator[str]:
    """What searching options along with the schedule brings."""
    yield from _markdown(
        ["task", "method", "median of the final loss", f"{OURS}, is better"],
        [
            [task, method, f"{one['median']:.4f}", "" if method == OURS else f"{one['ours_better']:.0%}"]
            for task, methods in result["tasks"].items()
            for method, one in methods.items()
        ],
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
