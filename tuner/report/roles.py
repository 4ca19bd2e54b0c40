"""What a trial stands for in a report."""

from __future__ import annotations

from tuner.report.report import Report, Rival

_RIVALS = {
    Rival.INCUMBENT: "incumbent",
    Rival.CONSTANT: "best constant rate",
    Rival.NO_WARMUP: "best without warm-up",
}


def roles_of(trial: int, *, report: Report) -> tuple[str, ...]:
    """The roles of a trial: recommended, cheaper to reuse, or a rival; empty when it has none."""
    named = (
        ("recommended", report.recommended.trial),
        ("cheaper to reuse", None if report.reusable is None else report.reusable.trial),
        *((_RIVALS[one.rival], one.trial) for one in report.comparisons),
    )
    return tuple(role for role, number in named if number == trial)
