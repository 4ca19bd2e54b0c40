"""What a check of a workload finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tuner.jobs.records import WorkloadInfo
from tuner.text import escaped_text


class Mark(StrEnum):
    """How one rule came out."""

    OK = "ok"
    NOTE = "note"
    """Allowed, and worth knowing."""
    BROKEN = "broken"
    SKIPPED = "skipped"
    """It could not be tried; the detail says why."""
    LEFT_OUT = "left out"
    """There was no time to try it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came of one rule."""

    rule: str
    mark: Mark
    detail: str


@dataclass(kw_only=True)
class Findings:
    """Gathers what is found."""

    found: list[Finding] = field(default_factory=list)

    def add(self, rule: str, mark: Mark, detail: str) -> None:
        """Note what came of a rule."""
        self.found.append(Finding(rule=rule, mark=mark, detail=escaped_text(detail)))

    def leave_out(self, *rules: str, detail: str) -> None:
        """Note that there was no time to try some rules."""
        for rule in rules:
            self.add(rule, Mark.LEFT_OUT, detail)

    def require(self, rule: str, holds: bool, *, ok: str, broken: str) -> None:
        """Note whether a rule holds."""
        self.add(rule, Mark.OK if holds else Mark.BROKEN, ok if holds else broken)


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """A workload, tried."""

    info: WorkloadInfo
    device: str
    findings: tuple[Finding, ...]
    seconds_per_update: float | None
    """Median over the updates that were tried; ``None`` when none was made, or none could be seen."""
    device_memory_bytes: int | None
    """Most that was in use at once; ``None`` on CPU."""
    advice: str
    """What the level allows, and what would raise it."""

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return all(finding.mark is not Mark.BROKEN for finding in self.findings)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The rules that there was no time for."""
        return tuple(finding.rule for finding in self.findings if finding.mark is Mark.LEFT_OUT)
