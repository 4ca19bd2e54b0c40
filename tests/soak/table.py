"""The table at the end of a soak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.soak.audit import Audit


@dataclass(frozen=True, kw_only=True)
class Result:
    """One soak over one database."""

    database: str
    seconds: float
    faults: Counter[str]
    """Injected, by kind."""
    audit: Audit
    ended_themselves: tuple[str, ...]
    """Processes that ended though no fault ended them, with their exit codes."""
    refused: tuple[str, ...]
    """Submissions that were refused."""
    usage: tuple[tuple[str, str, str], ...]
    """Process, what it used at the start, what at the end."""

    @property
    def is_clean(self) -> bool:
        """Whether the soak passed."""
        return self.audit.is_clean and not self.ended_themselves and not self.refused


def table(results: Sequence[Result], *, left_out: Sequence[str]) -> str:
    """The results of all databases, one column each.

    Args:
        results: At least one.
        left_out: Kinds of faults that this machine does not allow, with the reason.
    """
    rows: list[tuple[str, list[object]]] = [
        ("minutes", [f"{result.seconds / 60:.1f}" for result in results]),
        ("faults injected", [result.faults.total() for result in results]),
    ]
    rows += [(f"  {kind}", [result.faults[kind] for result in results]) for kind in _kinds(results)]
    rows += _audit_rows(results)
    rows.append(("processes that ended themselves", [len(result.ended_themselves) for result in results]))
    rows.append(("submissions refused", [len(result.refused) for result in results]))
    for index, (name, _, _) in enumerate(results[0].usage):
        rows.append((f"{name} at the start", [result.usage[index][1] for result in results]))
        rows.append((f"{name} at the end", [result.usage[index][2] for result in results]))
    lines = [_line("", [result.database for result in results]), *(_line(name, values) for name, values in rows)]
    lines += [f"left out: {reason}" for reason in left_out]
    for result in results:
        notes = (*result.audit.reasons, *result.ended_themselves, *result.refused)
        lines += [f"{result.database}: {note}" for note in notes]
    return "\n".join(lines)


def _audit_rows(results: Sequence[Result]) -> list[tuple[str, list[object]]]:
    audits = [result.audit for result in results]
    return [
        ("jobs", [audit.jobs for audit in audits]),
        ("runs", [audit.runs for audit in audits]),
        ("lost", [audit.lost for audit in audits]),
        ("recorded twice", [audit.twice for audit in audits]),
        ("stuck", [audit.stuck for audit in audits]),
        ("failed for infrastructure", [audit.failed for audit in audits]),
        ("losses that differ from undisturbed ones", [audit.wrong for audit in audits]),
        ("steps needed", [audit.steps_needed for audit in audits]),
        ("steps executed", [audit.steps_executed for audit in audits]),
        ("steps that may be repeated", [audit.steps_allowed for audit in audits]),
    ]


def _kinds(results: Sequence[Result]) -> list[str]:
    return sorted({kind for result in results for kind in result.faults})


def _line(name: str, values: Sequence[object]) -> str:
    return f"{name:<42}" + "".join(f"{value!s:>28}" for value in values)
