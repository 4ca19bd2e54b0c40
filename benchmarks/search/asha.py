"""ASHA as Ray Tune has it, through Ray's own API (extra ``ray``)."""

from __future__ import annotations

import logging
import os
import tempfile
from typing import Any

from benchmarks.search.oracle import Task, curve, space_of
from benchmarks.search.study import BUDGET, Spending, random_point
from tuner.schedules import Schedule

EVALUATIONS = 20
"""Of a full run: the unit that ASHA counts in."""


def asha(task: Task, seed: int) -> Schedule | None:
    """Random points of the space; a trial that is not among the best quarter at a rung is stopped there."""
    for name, value in (("RAY_AIR_NEW_OUTPUT", "0"), ("RAY_DEDUP_LOGS", "0"), ("RAY_USAGE_STATS_ENABLED", "0")):
        os.environ.setdefault(name, value)
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    import numpy as np
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    found = Spending(total_steps=task.total_steps)
    space = space_of(task)

    class Run(tune.Trainable):  # type: ignore[misc]
        """One training, an evaluation a step. The process is used again for the next trial."""

        def setup(self, config: dict[str, Any]) -> None:
            self._begin(config)

        def _begin(self, config: dict[str, Any]) -> None:
            self._curve = curve(task, Schedule.from_json(config["schedule"]), steps=task.total_steps, seed=seed)
            self._done = 0

        def step(self) -> dict[str, Any]:
            done, loss = next(self._curve)
            updates, self._done = done - self._done, done
            whole = done == task.total_steps
            return {
                "loss": 1e9 if loss is None else loss,
                "updates": updates,
                "whole": whole,
                "done": whole or loss is None,
            }

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._begin(new_config)
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            return None

        def load_checkpoint(self, checkpoint: Any) -> None:
            return None

    class Spent(tune.Stopper):  # type: ignore[misc]
        """Ends the experiment once the budget is spent."""

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            in_time = found.may_train
            found.updates += result["updates"]
            if result["whole"] and in_time and result["loss"] < 1e9:
                found.record(Schedule.from_json(result["config"]["schedule"]), result["loss"])
            return False

        def stop_all(self) -> bool:
            return not found.may_train

    rng = np.random.default_rng(seed)
    points = [space.build(random_point(space, rng=rng)).to_json() for _ in range(40 * BUDGET)]
    if not ray.is_initialized():
        ray.init(num_cpus=1, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            Run,
            param_space={"schedule": tune.grid_search(points)},
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                scheduler=ASHAScheduler(time_attr="training_iteration", max_t=EVALUATIONS, grace_period=1),
                max_concurrent_trials=1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(stop=Spent(), storage_path=folder, verbose=0),
        ).fit()
    return found.best
