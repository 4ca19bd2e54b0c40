"""Reads the YAML file of axolotl, which trains with Hugging Face's Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuner.importers.huggingface import read_training_arguments
from tuner.importers.pieces import refused
from tuner.schedules import Schedule

_OWN: Final = ("one_cycle", "rex")
_REFUSED: Final = ("lr_quadratic_warmup", "cosine_constant_lr_ratio", "relora", "jagged_restart_steps", "lr_groups")


def read_axolotl(config: Mapping[str, Any], *, total_steps: int) -> Schedule:
    """The schedule of a configuration in a run of ``total_steps`` updates.

    Without a warm-up of its own it warms up for 3 % of the run, at most 100 updates, as axolotl does.

    Args:
        config: The file's fields.
        total_steps: Updates of the run.

    Raises:
        InvalidValue: The scheduler is unknown, or cannot be written exactly.
    """
    kind = str(config.get("lr_scheduler") or "cosine")
    if kind in _OWN:
        raise refused(f"axolotl's own {kind}")
    for name in _REFUSED:
        if config.get(name):
            raise refused(f"{name}: {config[name]}")
    arguments: dict[str, Any] = {
        "learning_rate": config.get("learning_rate"),
        "lr_scheduler_type": kind,
        "lr_scheduler_kwargs": config.get("lr_scheduler_kwargs"),
        "warmup_steps": _warmup_steps(config, total_steps=total_steps),
    }
    if kind == "cosine" and config.get("cosine_min_lr_ratio"):
        arguments["lr_scheduler_type"] = "cosine_with_min_lr"
        arguments["lr_scheduler_kwargs"] = {"min_lr_rate": float(config["cosine_min_lr_ratio"])}
    return read_training_arguments(arguments, total_steps=total_steps)


def _warmup_steps(config: Mapping[str, Any], *, total_steps: int) -> int:
    if config.get("warmup_steps") is not None:
        steps = int(config["warmup_steps"])
    elif config.get("warmup_ratio") is not None:
        steps = int(float(config["warmup_ratio"]) * total_steps)
    else:
        steps = min(int(0.03 * total_steps), 100)
    return 2 if steps == 1 else steps
