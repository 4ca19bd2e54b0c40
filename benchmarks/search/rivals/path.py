"""The results of a rival as its budget is spent, and its confirmation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.search.cases import Case
from tuner.search.configuration import Configuration

FINALISTS = 3
_EPSILON = 1e-9


@dataclass(kw_only=True)
class Path:
    """What a rival trained on the first seed, in order."""

    case: Case
    cost: float = 0.0
    """In full runs."""
    complete: list[tuple[float, Configuration, float]] = field(default_factory=list)
    """Cost so far, configuration and loss of the runs that reached their end."""
    asked: list[Configuration] = field(default_factory=list)

    def train(self, configuration: Configuration) -> float:
        """Train in full; returns the loss, infinite when it diverged."""
        return self.record(configuration, points=self.points(configuration))

    def points(self, configuration: Configuration) -> list[tuple[int, float]]:
        """The evaluations of its run, the end included; infinite from where it diverged on."""
        curve, final = self.case.run(configuration)
        horizon = self.case.horizon
        before = [(step, loss) for step, loss in curve if step < horizon]
        end = max(1, curve[-1][0]) if final is None and curve else horizon
        if final is None:
            before = [point for point in before if point[0] < end]
        return [*before, (end, math.inf if final is None else final)]

    def record(
        self, configuration: Configuration, *, points: Sequence[tuple[int, float]], stopped: bool = False
    ) -> float:
        """Record a run that ended at the last of these points.

        Args:
            configuration: That was trained.
            points: Its evaluations up to its end.
            stopped: Whether a pruner ended it.
        """
        step, loss = points[-1]
        self.cost += step / self.case.horizon
        self.asked.append(configuration)
        if not stopped and math.isfinite(loss):
            self.complete.append((self.cost, configuration, loss))
        return loss

    def confirmed(self, budget: float) -> tuple[Configuration, float] | None:
        """What is recommended at a price, its confirmation paid, and that price; ``None`` without a result.

        With a table of several seeds, a third of the budget goes into fresh seeds of the best three, in turn; the
        recommended one has the least mean over all of its runs. With one seed there is nothing to confirm.
        """
        seeds = len(self.case.seeds)
        runs = math.floor(budget / 3 + _EPSILON) if seeds > 1 and len(self.asked) > 1 else 0
        complete = [row for row in self.complete if row[0] <= budget - runs + _EPSILON]
        known = [(loss, place, one) for place, (_, one, loss) in enumerate(complete)]
        if not known:
            return None
        spent = min(self.cost, budget - runs)
        finalists = [one for _, _, one in sorted(known, key=lambda row: row[:2])[: min(FINALISTS, max(runs, 1))]]
        losses = {one: [loss] for loss, _, one in known if one in finalists}
        for index in range(min(runs, len(finalists) * (seeds - 1))):
            one = finalists[index % len(finalists)]
            _, loss = self.case.run(one, place=len(losses[one]))
            losses[one].append(math.inf if loss is None else loss)
            spent += 1.0
        return min(finalists, key=lambda one: statistics.fmean(losses[one])), spent


Rival = Callable[[Case, float], Path]
"""``rival(case, budget)``: spends at most this budget, in full runs."""
