"""Live oracles: the laboratory's workloads trained on request, for any schedule of the default space.

    workload = live("noisy-classification-a")
    curve, loss = workload.oracle(configuration, 300, seed)
    losses = workload.true_losses([configuration, ...])

A run on one seed takes about a fifth of a second, so that a whole study of the default space takes a few.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.lab.table import Curve
from benchmarks.lab.training import LabWorkload, train_configurations
from benchmarks.lab.workloads import WORKLOADS
from tuner.errors import InvalidValue
from tuner.search.configuration import Configuration
from tuner.search.space import OptimizerKind, SearchSpace, default_space

CACHE: Final = Path("benchmarks/out/live")
TRUTH_SEEDS: Final = range(1000, 1030)
"""Seeds of the true losses, which no study trains on: see `LiveWorkload.oracle`."""


@dataclass(frozen=True, kw_only=True)
class LiveWorkload:
    """A workload whose runs are trained when they are asked for.

    Args:
        workload: One of the laboratory.
        cache: Folder of the losses that are known; another file for each workload.
    """

    workload: LabWorkload
    cache: Path = CACHE

    @property
    def space(self) -> SearchSpace:
        """The default space of the workload's optimizer, at its own peaks."""
        kind = OptimizerKind.ADAM if self.workload.optimizer == "adam" else OptimizerKind.SGD
        return default_space(kind, peak_lr=self.workload.peaks)

    @property
    def total_steps(self) -> int:
        """The horizon."""
        return self.workload.total_steps

    def oracle(self, configuration: Configuration, steps: int, seed: int) -> tuple[Curve, float | None]:
        """Train one run; see `benchmarks.lab.table.Oracle`.

        Studies may use any seed but `TRUTH_SEEDS`.

        Raises:
            InvalidValue: The configuration has options; these workloads have none.
        """
        _check(configuration)
        ((curve, loss),) = train_configurations(self.workload, [(configuration, seed)], steps=steps)
        return curve, loss

    def losses(self, configurations: Sequence[Configuration], *, seeds: Iterable[int] = TRUTH_SEEDS) -> np.ndarray:
        """Final losses at the horizon, infinite where a run diverged: float64 ``[configurations, seeds]``.

        What is not in the cache is trained in stacks, and then stored there.
        """
        seeds = list(seeds)
        for configuration in configurations:
            _check(configuration)
        known = self._known()
        wanted = [(one, seed) for one in configurations for seed in seeds]
        missing = [run for run in dict.fromkeys(wanted) if (run[0].schedule.digest, run[1]) not in known]
        for first in range(0, len(missing), self.workload.stack):
            known |= self._train(missing[first : first + self.workload.stack])
        values = [known[one.schedule.digest, seed] for one, seed in wanted]
        return np.array(values, dtype=np.float64).reshape(len(configurations), len(seeds))

    def true_losses(
        self, configurations: Sequence[Configuration], *, seeds: Iterable[int] = TRUTH_SEEDS
    ) -> list[float]:
        """Mean losses over seeds that no study has seen; infinite where a run diverged."""
        return [float(mean) for mean in self.losses(configurations, seeds=seeds).mean(axis=1)]

    def _train(self, runs: Sequence[tuple[Configuration, int]]) -> dict[tuple[str, int], float]:
        """Train a stack, and append it to the cache."""
        outcomes = train_configurations(self.workload, runs, steps=self.total_steps)
        losses = {
            (one.schedule.digest, seed): math.inf if loss is None else loss
            for (one, seed), (_, loss) in zip(runs, outcomes, strict=True)
        }
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps([digest, seed, None if loss == math.inf else loss]) for (digest, seed), loss in losses.items()
        ]
        with path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))  # at once, so that processes may share the file
        return losses

    def _known(self) -> dict[tuple[str, int], float]:
        path = self._path()
        if not path.exists():
            return {}
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return {(digest, seed): math.inf if loss is None else loss for digest, seed, loss in rows}

    def _path(self) -> Path:
        """Another version of torch, or other constants of the workload, have a file of their own."""
        text = f"{self.workload!r} torch {torch.__version__}"
        return self.cache / f"{self.workload.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.jsonl"


@lru_cache(maxsize=16)
def live(name: str) -> LiveWorkload:
    """A workload of the laboratory by its name.

    Raises:
        InvalidValue: There is none.
    """
    if name not in WORKLOADS:
        raise InvalidValue("workload", value=name, allowed=f"one of {', '.join(WORKLOADS)}")
    torch.set_num_threads(1)  # products of small matrices: a second thread waits more than it computes
    return LiveWorkload(workload=WORKLOADS[name])


def _check(configuration: Configuration) -> None:
    if configuration.options:
        raise InvalidValue("options", value=dict(configuration.options), allowed="absent: these workloads have none")
