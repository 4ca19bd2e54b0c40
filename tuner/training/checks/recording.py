"""What torch optimizers do while training code runs, seen through torch's own hooks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from tuner.training.checks.findings import Findings, Mark

RULE = "learning rates"
_RELATIVE = 1e-6


class OptimizerRecord:
    """The updates that optimizers made.

    Attributes:
        lrs: For each optimizer, in the order of their first update: the rates of its groups at every update.
        times: When each update of the first optimizer ended, in seconds.
    """

    def __init__(self, *, on_update: Callable[[int], None]) -> None:
        self._on_update = on_update
        self.lrs: list[list[tuple[float, ...]]] = []
        self.times: list[float] = []
        self._seen: list[Optimizer] = []  # references, so that no two share an id

    @property
    def updates(self) -> int:
        """Updates of the optimizer that made the most."""
        return max(map(len, self.lrs), default=0)

    @property
    def seconds_per_update(self) -> float | None:
        """Median time from one update to the next."""
        gaps = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        return statistics.median(gaps) if gaps else None

    def before_update(self, optimizer: Optimizer, *_: Any) -> None:
        """Called by torch before each update."""
        index = next((index for index, seen in enumerate(self._seen) if seen is optimizer), len(self._seen))
        if index == len(self._seen):
            self._seen.append(optimizer)
            self.lrs.append([])
        self.lrs[index].append(tuple(float(group["lr"]) for group in optimizer.param_groups))

    def after_update(self, optimizer: Optimizer, *_: Any) -> None:
        """Called by torch after each update."""
        if optimizer is self._seen[0]:
            self.times.append(time.perf_counter())
        self._on_update(self.updates)


@contextmanager
def recorded_optimizers(*, on_update: Callable[[int], None] = lambda _: None) -> Iterator[OptimizerRecord]:
    """Record every update of every torch optimizer inside.

    Args:
        on_update: Called after each update with the number that was made.
    """
    record = OptimizerRecord(on_update=on_update)
    before = register_optimizer_step_pre_hook(record.before_update)
    after = register_optimizer_step_post_hook(record.after_update)
    try:
        yield record
    finally:
        before.remove()
        after.remove()


def check_learning_rates(record: OptimizerRecord, *, lrs: NDArray[np.float64], findings: Findings) -> None:
    """Find out whether every group of every optimizer followed the schedule, one update each.

    Args:
        record: Of a whole run.
        lrs: The schedule's rates, of shape ``(updates,)``, all above 0.
        findings: Where to note it.
    """
    if not record.lrs:
        findings.add(RULE, Mark.NOTE, "no update of a torch optimizer was seen, so this could not be checked")
        return
    beyond = all(len(made) == len(lrs) + 1 for made in record.lrs)
    if beyond:
        findings.add(
            RULE,
            Mark.NOTE,
            f"{len(lrs) + 1} optimizer updates were made for {len(lrs)} of the schedule: the last one comes after the "
            "result and changes nothing; end the loop after run.total_steps updates",
        )
    recorded = [made[: len(lrs)] for made in record.lrs] if beyond else record.lrs
    for made in recorded:
        if len(made) != len(lrs):
            finding = f"{len(made)} optimizer updates were made for {len(lrs)} of the schedule"
            findings.add(RULE, Mark.BROKEN, f"{finding}: follow it once per optimizer update")
            return
    shares = [share for made in recorded for share in _shares(made, lrs=lrs)]
    wrong = next((index for index, share in enumerate(shares) if share is None), None)
    if wrong is not None:
        findings.add(RULE, Mark.BROKEN, f"parameter group {wrong} does not follow the schedule")
    elif not any(share is not None and abs(share - 1.0) <= _RELATIVE for share in shares):
        shown = ", ".join(f"{share:.4g}" for share in shares if share is not None)
        findings.add(RULE, Mark.BROKEN, f"no parameter group has the schedule's own rates; the shares are {shown}")
    else:
        shown = ", ".join(f"{share:.4g}" for share in shares if share is not None)
        findings.add(RULE, Mark.OK, f"{len(shares)} parameter group(s) follow the schedule at a share of {shown}")


def _shares(made: Sequence[tuple[float, ...]], *, lrs: NDArray[np.float64]) -> list[float | None]:
    """The share of the schedule at which each group followed it; ``None`` for one that did not."""
    if len({len(groups) for groups in made}) > 1:
        return [None]
    ratios = np.array(made) / lrs[:, None]  # (updates, groups)
    steady = np.all(np.abs(ratios - ratios[0]) <= _RELATIVE * np.maximum(np.abs(ratios[0]), 1e-12), axis=0)
    return [float(ratio) if ok else None for ratio, ok in zip(ratios[0], steady, strict=True)]
