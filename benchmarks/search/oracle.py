"""Real training as a function of schedule, length and seed that returns validation losses. No worker, no files."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import torch

from tuner.metric import DEFAULT_METRIC
from tuner.schedules import Schedule
from tuner.search.configuration import Configuration
from tuner.search.space import SearchSpace, Value, default_space
from tuner.training.evaluation import divergence_limit
from tuner.training.evaluation_steps import evaluation_steps
from tuner.training.randomness import seed_everything
from tuner.training.workload import StepwiseWorkload, Workload
from tuner.workloads import builtin_workloads


@dataclass(frozen=True, kw_only=True)
class Task:
    """A workload with its horizon."""

    name: str
    kind: str
    workload: str
    total_steps: int


TASKS = (
    Task(name="digits", kind="image", workload="digits-mlp", total_steps=1000),
    Task(name="charlm", kind="language model", workload="pydoc-charlm", total_steps=360),
    Task(name="terrain", kind="tabular", workload="terrain-mlp", total_steps=1200),
)


@lru_cache(maxsize=1)
def _workloads() -> dict[str, Workload]:
    torch.set_num_threads(1)
    return builtin_workloads()


def space_of(task: Task) -> SearchSpace:
    """The default space of the task's workload."""
    workload = _workloads()[task.workload]
    return default_space(workload.optimizer, peak_lr=workload.peak_lr.get(workload.optimizer))


def curve(
    task: Task, schedule: Schedule, *, steps: int, seed: int, options: Mapping[str, Value] = MappingProxyType({})
) -> Iterator[tuple[int, float | None]]:
    """Train, and yield (updates done, validation loss) at each evaluation; the last one at the end.

    As in the engine: evaluated at `evaluation_steps`, ended by a loss that is not finite or far above the start
    (``None``). Training stops when the caller stops iterating.
    """
    workload = _workloads()[task.workload]
    if not isinstance(workload, StepwiseWorkload):
        raise TypeError(f"{task.workload} cannot be trained update by update")
    seed_everything(seed)
    training = workload.start(workload.Options.model_validate(dict(options)), seed=seed, device=torch.device("cpu"))
    limit = divergence_limit(float(training.validate()), metric=DEFAULT_METRIC)
    evaluations = frozenset(evaluation_steps(steps))
    for step, lr in enumerate(schedule.lrs(steps).tolist()):
        train_loss = float(training.train_step(step, lr))
        if not train_loss < float("inf"):
            yield step, None
            return
        if step + 1 in evaluations:
            with torch.random.fork_rng(devices=[]):
                loss = float(training.validate())
            if not loss <= limit:
                yield step + 1, None
                return
            yield step + 1, loss


@lru_cache(maxsize=256)
def trained(
    task: Task, configuration: Configuration, *, steps: int, seed: int
) -> tuple[list[tuple[int, float]], float | None]:
    """A whole run as an oracle returns it: its curve, and the loss at its end, ``None`` when it diverged."""
    points = list(curve(task, configuration.schedule, steps=steps, seed=seed, options=dict(configuration.options)))
    step, last = points[-1]
    known = [(step, loss) for step, loss in points if loss is not None]
    return (known, last) if last is not None else ([*known, (step, math.inf)], None)


def final_loss(
    task: Task, schedule: Schedule, *, steps: int, seed: int, options: Mapping[str, Value] = MappingProxyType({})
) -> tuple[float | None, int]:
    """Validation loss at the end of a run (``None`` when it diverged), and the updates that it took."""
    (updates, loss), *_ = deque(curve(task, schedule, steps=steps, seed=seed, options=options), maxlen=1)
    return loss, updates
