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
_MOST_STEPS = 20
"""Steps of one optimizer per update of another: more are an error, as an update that is never made."""


class OptimizerRecord:
    """The updates that optimizers made.

    Attributes:
        lrs: For each optimizer, in the order of their first update: the rates of its groups at every update.
        counts: For each optimizer, at every update: how many updates every optimizer had made before it.
        times: When each update of the first optimizer ended, in seconds.
    """

    def __init__(self, *, on_update: Callable[[int], None]) -> None:
        self._on_update = on_update
        self.lrs: list[list[tuple[float, ...]]] = []
        self.counts: list[list[tuple[int, ...]]] = []
        self.times: list[float] = []
        self._seen: list[Optimizer] = []  # references, so that no two share an id

    @property
    def updates(self) -> int:
        """Updates of the optimizer that made the fewest: others may step up to `_MOST_STEPS` times per update."""
        made = [len(each) for each in self.lrs]
        return max(min(made), max(made) // _MOST_STEPS) if made else 0

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
            self.counts.append([])
        self.counts[index].append(tuple(map(len, self.lrs)))
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
    """Find out whether every group of every optimizer followed the schedule.

    One optimizer, the reference, makes an update for each of the schedule. Others may step more or less often.

    Args:
        record: Of a whole run.
        lrs: The schedule's rates, of shape ``(updates,)``, all above 0.
        findings: Where to note it.
    """
    if not record.lrs:
        findings.add(RULE, Mark.NOTE, "no update of a torch optimizer was seen, so this could not be checked")
        return
    made = [len(each) for each in record.lrs]
    reference = next((index for index, count in enumerate(made) if count in (len(lrs), len(lrs) + 1)), None)
    if reference is None:
        finding = f"{made[0]} optimizer updates were made for {len(lrs)} of the schedule"
        findings.add(RULE, Mark.BROKEN, f"{finding}: follow it once per optimizer update")
        return
    if made[reference] > len(lrs):
        findings.add(
            RULE,
            Mark.NOTE,
            f"{len(lrs) + 1} optimizer updates were made for {len(lrs)} of the schedule: the last one comes after the "
            "result and changes nothing; end the loop after run.total_steps updates",
        )
    shares = [
        share for index in range(len(made)) for share in _shares(record, index=index, reference=reference, lrs=lrs)
    ]
    wrong = next((index for index, share in enumerate(shares) if share is None), None)
    if wrong is not None:
        findings.add(RULE, Mark.BROKEN, f"parameter group {wrong} does not follow the schedule")
    elif not any(share is not None and abs(share - 1.0) <= _RELATIVE for share in shares):
        shown = ", ".join(f"{share:.4g}" for share in shares if share is not None)
        findings.add(RULE, Mark.BROKEN, f"no parameter group has the schedule's own rates; the shares are {shown}")
    else:
        shown = ", ".join(f"{share:.4g}" for share in shares if share is not None)
        findings.add(RULE, Mark.OK, f"{len(shares)} parameter group(s) follow the schedule at a share of {shown}")


def _shares(record: OptimizerRecord, *, index: int, reference: int, lrs: NDArray[np.float64]) -> list[float | None]:
    """The share of the schedule at which each group of an optimizer followed it; ``None`` for one that did not."""
    before = np.array([counts[reference] if reference < len(counts) else 0 for counts in record.counts[index]])
    within = before < len(lrs)
    made = [groups for groups, ok in zip(record.lrs[index], within, strict=True) if ok]
    if not made or len({len(groups) for groups in made}) > 1:
        return [None]
    # Within an update, an optimizer steps before the reference, or after it while the rates are still the same.
    followed = [
        _steady_ratios(made, lrs=lrs[np.maximum(before[within] - late, 0)])
        for late in ((0,) if index == reference else (0, 1))
    ]
    return max(followed, key=lambda ratios: sum(ratio is not None for ratio in ratios))


def _steady_ratios(made: Sequence[tuple[float, ...]], *, lrs: NDArray[np.float64]) -> list[float | None]:
    """The ratio of each group's rates to ``lrs``, of shape ``(updates,)``; ``None`` where it is not the same."""
    ratios = np.array(made) / lrs[:, None]  # (updates, groups)
    steady = np.all(np.abs(ratios - ratios[0]) <= _RELATIVE * np.maximum(np.abs(ratios[0]), 1e-12), axis=0)
    return [float(ratio) if ok else None for ratio, ok in zip(ratios[0], steady, strict=True)]
