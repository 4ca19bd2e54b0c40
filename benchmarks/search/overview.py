"""All tables at a glance, as docs/benchmarks.md shows them, and where they stand on that page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.lab.split import CLAIMED_ON, TUNED_ON
from benchmarks.search.tables import full_runs, markdown
from tuner.errors import InvalidValue

Summaries = Mapping[str, dict[str, Any]]
"""By table, `benchmarks.search.measures.summary`."""


def overview(summaries: Summaries) -> Iterator[str]:
    """Regret of every method, then what our studies did at their largest price.

    Args:
        summaries: Of the tables that were replayed.
    """
    budgets = list(dict.fromkeys(row["budget"] for one in summaries.values() for row in one["recommendations"]))
    prices = " / ".join(f"{budget:g}" for budget in budgets)
    for side in ("tuned on", "claimed on", "others"):
        own = {name: one for name, one in summaries.items() if _side(name) == side}
        if not own:
            continue
        yield f"**{side}**: mean regret in thousandths at {prices} full runs"
        yield ""
        methods = list(dict.fromkeys(row["method"] for one in own.values() for row in one["recommendations"]))
        yield from markdown(
            ["method", *own], [[method, *(_regrets(one, method=method) for one in own.values())] for method in methods]
        )
        yield ""
        yield f"**{side}**: our recommendations at {full_runs(max(budgets))}"
        yield ""
        yield from _ours(own, budget=max(budgets))
        yield ""


def _side(table: str) -> str:
    """The side of the split; of a table ``NAME-longer`` that of the workload NAME."""
    for side, names in (("tuned on", TUNED_ON), ("claimed on", CLAIMED_ON)):
        if any(table == name or table.startswith(f"{name}-") for name in names):
            return side
    return "others"


def _regrets(summary: dict[str, Any], *, method: str) -> str:
    rows = [row for row in summary["recommendations"] if row["method"] == method]
    return " / ".join(f"{1e3 * row['regret']:.3g}" if row["with_result"] else "-" for row in rows)


def _ours(summaries: Summaries, *, budget: float) -> Iterator[str]:
    yield from markdown(
        [
            "table",
            "spent",
            "worse than the incumbent (by, margin; thousandths)",
            "true loss: recommended, incumbent, best",
            "intervals that cover",
            "helps (wrong)",
            "does not help (wrong)",
            "not settled",
            "steps saved",
            "false prunes",
        ],
        [[name, *_cells(summary, budget=budget)] for name, summary in summaries.items()],
    )


def _cells(summary: dict[str, Any], *, budget: float) -> Iterator[str]:
    own = next(one for one in summary["recommendations"] if (one["method"], one["budget"]) == ("ours", budget))
    sure = next(one for one in summary["certainty"] if one["budget"] == budget)
    stops = next(one for one in summary["stopping"] if one["budget"] == budget)
    yield f"{own['cost']:.2f}"
    yield f"{own['harmed']:.0%} ({1e3 * own['harm']:.2g}, {1e3 * (sure['margin'] or 0.0):.2g})"
    yield f"{own['true']:.4f}, {own['incumbent']:.4f}, {own['best']:.4f}"
    yield "-" if summary["one_seed"] or sure["coverage"] is None else f"{sure['coverage']:.1%}"
    said = sure["verdicts"].get("incumbent", {})
    for verdict in ("helps", "does not help"):
        counts = said.get(verdict, {"said": 0, "wrong": 0})
        yield f"{counts['said']} ({counts['wrong']})"
    yield str(said.get("not settled", {"said": 0})["said"])
    yield f"{stops['saved']:.1%}"
    yield f"{stops['false']:.2%}"


def fill(page: Path, *, block: str, lines: Iterable[str]) -> None:
    """Write a block of figures into a page, between its two comments.

    Args:
        page: A Markdown file.
        block: Its name: ``<!-- replay -->`` begins it and ``<!-- end of replay -->`` ends it.
        lines: The new content.

    Raises:
        InvalidValue: The page has no such block.
    """
    text = page.read_text()
    begin, end = f"<!-- {block} -->\n", f"<!-- end of {block} -->"
    if begin not in text or end not in text:
        raise InvalidValue("page", value=str(page), allowed=f"one with {begin.strip()} and {end}")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n" + "\n".join(lines).strip() + f"\n\n{end}{after}")
