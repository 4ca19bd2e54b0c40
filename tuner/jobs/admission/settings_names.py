"""The names that people use for settings of a search, and where a job sets them. Pure."""

from __future__ import annotations

from typing import Final

_NAMES: Final = {
    "search.space.peak_lr": "lr learning_rate peak_lr peak max_lr lr_max base_lr initial_lr init_lr peak_learning_rate",
    "search.space.warmup": "warmup warm_up warmup_steps warmup_ratio warmup_fraction warmup_epochs num_warmup_steps",
    "search.space.floor": "floor min_lr lr_min eta_min end_lr final_lr min_lr_ratio",
    "search.space.families": "family families schedule schedules scheduler lr_scheduler lr_scheduler_type",
    "search.total_steps": "total_steps steps max_steps num_steps n_steps updates iterations max_iters horizon "
    "epochs num_epochs max_epochs num_train_epochs",
    "search.seed": "seed random_seed random_state",
    "search.seeds": "seeds num_seeds n_seeds",
    "search.budget": "budget full_runs max_runs",
    "search.trials": "trials n_trials num_trials max_trials num_samples",
    "search.incumbent": "incumbent baseline current_schedule",
}
_SET_BY: Final = {name: field for field, names in _NAMES.items() for name in names.split()}


def where_set(name: str) -> str:
    """The field of a job that sets what a name usually means; empty for other names.

    Args:
        name: As an option of a workload, or as a field where there is none of this name.
    """
    return _SET_BY.get(name.lower().replace("-", "_"), "")
