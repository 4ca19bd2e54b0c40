"""The results of the search benchmark as Markdown: printed, and copied into docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tuner.report.report import Verdict


def replay_tables(summary: dict[str, Any]) -> Iterator[str]:
    """Regret and harm against cost, then what our studies said and stopped.

    Args:
        summary: `benchmarks.search.measures.summary`.
    """
    yield "Mean regret of the recommendation in thousandths [95th percentile], confirmation paid:"
    yield ""
    yield from _by_price(summary, cell=_regret)
    yield ""
    yield "Recommended truly worse than the incumbent: share of studies (by how much then, in thousandths):"
    yield ""
    yield from _by_price(summary, cell=_harm)
    yield ""
    yield from _loss_lines(summary)
    yield ""
    yield from _certainty_lines(summary)
    yield ""
    yield from _stopping_lines(summary)


def _by_price(summary: dict[str, Any], *, cell: Any) -> Iterator[str]:
    rows = summary["recommendations"]
    budgets = list(dict.fromkeys(row["budget"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    cells = {(row["method"], row["budget"]): cell(row) for row in rows}
    yield from markdown(
        ["method", *(full_runs(budget) for budget in budgets)],
        [[method, *(cells[method, budget] for budget in budgets)] for method in methods],
    )


def _regret(row: dict[str, Any]) -> str:
    if not row["with_result"]:
        return "-"
    missing = "" if row["with_result"] > 0.995 else f" ({1 - row['with_result']:.0%} without a result)"
    return f"{1e3 * row['regret']:.2f} [{1e3 * row['regret_p95']:.1f}]{missing}"


def _harm(row: dict[str, Any]) -> str:
    return f"{row['harmed']:.0%} ({1e3 * row['harm']:.2f})" if row["with_result"] else "-"


def _loss_lines(summary: dict[str, Any]) -> Iterator[str]:
    own = [row for row in summary["recommendations"] if row["method"] == "ours" and row["with_result"]]
    yield from markdown(
        ["ours", "cost", "mean true loss: recommended", "incumbent", "best known", "regret +- standard error"],
        [
            [
                full_runs(row["budget"]),
                f"{row['cost']:.2f}",
                f"{row['true']:.4f}",
                f"{row['incumbent']:.4f}",
                f"{row['best']:.4f}",
                f"{1e3 * row['regret']:.2f} +- {1e3 * row['regret_se']:.2f}",
            ]
            for row in own
        ],
    )


def _certainty_lines(summary: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in summary["certainty"] if row["margin"] is not None]
    yield from markdown(
        ["ours", "95 % intervals that cover", "pairs", "margin, thousandths", "harm above the margin"],
        [
            [
                full_runs(row["budget"]),
                "-" if summary["one_seed"] or row["coverage"] is None else f"{row['coverage']:.1%}",
                f"{row['pairs']:,}",
                f"{1e3 * row['margin']:.3g}",
                f"{row['harmed_by_more_than_the_margin']:.1%}",
            ]
            for row in rows
        ],
    )
    yield ""
    yield from markdown(
        ["verdicts of ours (wrong ones)", *(verdict.value for verdict in Verdict)],
        [
            [f"{full_runs(row['budget'])}, against the {rival}", *(_said(verdicts[one.value]) for one in Verdict)]
            for row in rows
            for rival, verdicts in row["verdicts"].items()
        ],
    )


def _said(counts: dict[str, int]) -> str:
    return f"{counts['said']} ({counts['wrong']})" if counts["wrong"] else f"{counts['said']}"


def _stopping_lines(summary: dict[str, Any]) -> Iterator[str]:
    yield from markdown(
        ["stopped early", "runs", "stopped", "steps saved", "false prunes, of all runs", "best asked stopped"],
        [
            [
                row["runs_of"],
                f"{row['runs']:,}",
                f"{row['stopped']:,}",
                f"{row['saved']:.1%}",
                f"{row['false']:.2%}",
                f"{row['best_asked_stopped']:.1%}",
            ]
            for row in summary["stopping"]
        ],
    )


def pruning_tables(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What stopping early saved and lost: by the kind of runs, each table and method."""
    for kind in dict.fromkeys(line["runs_of"] for line in lines):
        yield f"**{kind}**"
        yield ""
        yield from markdown(
            ["table", "method", "steps saved", "stopped", "false prunes", "best stopped", "coverage"],
            [
                [
                    line["table"],
                    line["method"],
                    f"{line['saved']:.1%}",
                    f"{line['stopped']:.0%}",
                    f"{line['false_of_runs']:.2%}",
                    f"{line['best_stopped']:.1%}",
                    "" if line["coverage"] is None else f"{line['coverage']:.1%}",
                ]
                for line in lines
                if line["runs_of"] == kind
            ],
        )
        yield ""


def training_tables(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Real training: by task, each method's recommendation on fresh seeds."""
    for task in dict.fromkeys(line["task"] for line in lines):
        rows = [line for line in lines if line["task"] == task]
        ours = next(line for line in rows if line["method"] == "ours")
        yield f"**{task}**, {ours['seeds']} studies, {full_runs(ours['budget'])} each"
        yield ""
        yield from markdown(
            ["method", "median of the final loss", "ours is better", "ours is at least as good", "diverges"],
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


def option_tables(result: dict[str, Any], *, ours: str) -> Iterator[str]:
    """What searching options along with the schedule brings."""
    yield from markdown(
        ["task", "method", "median of the final loss", f"{ours}, is better"],
        [
            [task, method, f"{one['median']:.4f}", "" if method == ours else f"{one['ours_better']:.0%}"]
            for task, methods in result["tasks"].items()
            for method, one in methods.items()
        ],
    )


def full_runs(budget: float) -> str:
    """A price in words."""
    return f"{budget:g} full run" if budget == 1.0 else f"{budget:g} full runs"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, its columns aligned."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    yield from (f"| {' | '.join(line)} |" for line in lines)
