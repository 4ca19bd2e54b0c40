"""Runs exported code in its library, update for update, with an optional stop in between.

Each driver takes the code, the peak and the number of updates, and returns the learning rate of every update and
parameter group, of shape ``(updates, groups)``. With ``stop`` it saves at that update, rebuilds everything from the
code, loads, and continues. ``ratios`` are those of the groups' rates to the peak; libraries whose optimizers have one
rate alone are for ratios of 1.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

Driver = Callable[..., np.ndarray]
Ratios = tuple[float, ...]


def executed(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "exported"}
    exec(compile(code, "exported.py", "exec"), names)
    return names


def sgd(peak: float, ratios: Ratios = (1.0,)) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": ratio * peak} for ratio in ratios]
    return torch.optim.SGD(groups, lr=peak)


def rates_of(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def through_bytes(state: Any) -> Any:
    """The state after a round trip through a checkpoint."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def stepped(
    make: Callable[[torch.optim.Optimizer], Any],
    *,
    peak: float,
    updates: int,
    stop: int | None,
    ratios: Ratios = (1.0,),
) -> np.ndarray:
    """The rates of a training loop with a scheduler of PyTorch's interface."""
    optimizer = sgd(peak, ratios)
    scheduler = make(optimizer)
    lrs = []
    for update in range(updates):
        if update == stop:
            saved = through_bytes((optimizer.state_dict(), scheduler.state_dict()))
            optimizer = sgd(peak, ratios)
            scheduler = make(optimizer)
            optimizer.load_state_dict(saved[0])
            scheduler.load_state_dict(saved[1])
            optimizer.step()  # torch warns of a scheduler that is stepped before its optimizer was
        lrs.append(rates_of(optimizer))
        optimizer.step()
        scheduler.step()
    return np.array(lrs)


def python(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    lr = executed(code)["lr"]
    return np.array([[lr(update)] for update in range(updates)])


def pytorch(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    return stepped(executed(code)["make_scheduler"], peak=peak, updates=updates, stop=stop, ratios=ratios)


def huggingface(
    code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)
) -> np.ndarray:
    from transformers.optimization import get_scheduler

    names = executed(code)
    if "make_scheduler" in names:
        return stepped(names["make_scheduler"], peak=peak, updates=updates, stop=stop, ratios=ratios)
    arguments = names["ARGUMENTS"]

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return get_scheduler(
            arguments["lr_scheduler_type"],
            optimizer,
            num_warmup_steps=arguments["warmup_steps"],
            num_training_steps=arguments["max_steps"],
            scheduler_specific_kwargs=arguments.get("lr_scheduler_kwargs"),
        )

    return stepped(make, peak=arguments["learning_rate"], updates=updates, stop=stop, ratios=ratios)


def deepspeed(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    """The client scheduler; JSON without a scheduler leaves the lr as it is."""
    names = executed(code)
    if "make_scheduler" in names:
        return stepped(names["make_scheduler"], peak=peak, updates=updates, stop=stop, ratios=ratios)
    assert "scheduler" not in names["CONFIG"]
    return np.full((updates, 1), names["CONFIG"]["optimizer"]["params"]["lr"]) * np.array(ratios)


def lightning(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    """The scheduler alone; the Trainer has a test of its own."""
    with_schedule = executed(code)["with_schedule"]

    def make(optimizer: torch.optim.Optimizer) -> Any:
        configured = with_schedule(optimizer)
        assert configured["optimizer"] is optimizer
        assert (configured["lr_scheduler"]["interval"], configured["lr_scheduler"]["frequency"]) == ("step", 1)
        return configured["lr_scheduler"]["scheduler"]

    return stepped(make, peak=peak, updates=updates, stop=stop, ratios=ratios)


def timm_schedulers() -> None:
    """Open ``timm.scheduler`` without the rest of timm, which needs a torchvision that fits torch."""
    if "timm" not in sys.modules:
        spec = find_spec("timm")
        assert spec is not None
        package = types.ModuleType("timm")
        package.__path__ = list(spec.submodule_search_locations or ())
        schedulers = types.ModuleType("timm.scheduler")
        schedulers.__path__ = [f"{place}/scheduler" for place in package.__path__]
        sys.modules |= {"timm": package, "timm.scheduler": schedulers}


def timm(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    timm_schedulers()
    make = executed(code)["make_scheduler"]
    optimizer = sgd(peak, ratios)
    scheduler = make(optimizer)
    lrs = []
    for update in range(updates):
        if update == stop:
            optimizer = sgd(peak, ratios)
            scheduler = make(optimizer)
            scheduler.step_update(update)
        lrs.append(rates_of(optimizer))
        scheduler.step_update(update + 1)
    return np.array(lrs)


_MEGATRON = {"lr": "max_lr", "min-lr": "min_lr", "lr-decay-style": "lr_decay_style", "lr-warmup-init": "init_lr"}


def megatron(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Megatron would rather have
        from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    batch = 32
    names = executed(code.replace("GLOBAL_BATCH_SIZE = None", f"GLOBAL_BATCH_SIZE = {batch}"))
    # As get_optimizer_param_scheduler of Megatron's training.py does it: iterations become samples.
    arguments = {"max_lr": peak, "min_lr": 0.0, "init_lr": 0.0, "lr_decay_style": "linear"}
    arguments |= {"lr_warmup_steps": 0, "lr_decay_steps": updates * batch}
    flags = dict(line.removeprefix("--").split() for line in names.get("FLAGS", "").split("\n") if line)
    arguments |= {_MEGATRON[name]: _number(flags[name]) for name in _MEGATRON if name in flags}
    if flags:
        arguments["lr_warmup_steps"] = int(flags["lr-warmup-iters"]) * batch
        arguments["lr_decay_steps"] = int(flags["lr-decay-iters"]) * batch
    if "lr-wsd-decay-iters" in flags:
        arguments["wsd_decay_steps"] = int(flags["lr-wsd-decay-iters"]) * batch
        arguments["lr_wsd_decay_style"] = flags["lr-wsd-decay-style"]
    weight_decay = {"start_wd": 0.0, "end_wd": 0.0, "wd_incr_steps": updates * batch, "wd_incr_style": "constant"}
    kind = names["TunedParamScheduler"] if ratios != (1.0,) or not flags else OptimizerParamScheduler

    def make() -> torch.optim.Optimizer:
        """With the keys that Megatron's own groups have; a rate of their own leaves the other limits as they are."""
        built = sgd(peak, ratios)
        for group in built.param_groups:
            group |= {"max_lr": group["lr"], "min_lr": arguments["min_lr"]}
        return built

    optimizer = make()
    scheduler = kind(optimizer, **arguments, **weight_decay)
    lrs = []
    for update in range(updates):
        if update == stop:
            saved = pickle.dumps(scheduler.state_dict())
            optimizer = make()
            scheduler = kind(optimizer, **arguments, **weight_decay)
            scheduler.load_state_dict(pickle.loads(saved))
        lrs.append(rates_of(optimizer))
        scheduler.step(batch)
    return np.array(lrs)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def keras(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    """The schedule, and from the stop on the one restored from its configuration; in float32, as Keras computes."""
    from keras import ops

    first = executed(code)["LEARNING_RATE"]
    if isinstance(first, float):
        return np.full((updates, 1), first)
    again = type(first).from_config(first.get_config())
    if "PiecewiseConstantDecay" in code:  # it takes one update at a time
        return np.array([[float((first if update < (stop or 0) else again)(update))] for update in range(updates)])
    counts = ops.convert_to_tensor(np.arange(updates))
    rates = [ops.convert_to_numpy(each(counts)) for each in (first, again)]
    return np.concatenate([rates[0][: stop or 0], rates[1][stop or 0 :]])[:, None]


PADDED = 5_000
"""Updates that optax is asked for, however few are wanted: JAX compiles anew for every length."""


def optax(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    """The schedule at counts of 64 bits: optax keeps counts of 32, from which JAX computes in float32 alone."""
    import jax

    assert jax.config.jax_enable_x64
    counts = jax.numpy.arange(max(updates, PADDED))
    rates = [np.broadcast_to(executed(code)["learning_rate"](counts), counts.shape)[:updates] for _ in range(2)]
    return np.concatenate([rates[0][: stop or 0], rates[1][stop or 0 :]])[:, None]


def composer(code: str, *, peak: float, updates: int, stop: int | None = None, ratios: Ratios = (1.0,)) -> np.ndarray:
    """Composer's compiled scheduler, stepped as its Trainer does: before the batch is counted."""
    from composer.core import Time, Timestamp
    from composer.optim.scheduler import compile_composer_scheduler

    names = executed(code)
    if "make_scheduler" in names:
        return stepped(names["make_scheduler"], peak=peak, updates=updates, stop=stop, ratios=ratios)
    state = types.SimpleNamespace(timestamp=Timestamp(), max_duration=Time(updates, "ba"), dataloader_len=None)

    def make(optimizer: torch.optim.Optimizer) -> Any:
        state.optimizers = [optimizer]
        return compile_composer_scheduler(names["SCHEDULER"], state)

    optimizer = sgd(peak, ratios)
    scheduler = make(optimizer)
    lrs = []
    for update in range(updates):
        if update == stop:
            saved = through_bytes((optimizer.state_dict(), scheduler.state_dict()))
            optimizer = sgd(peak, ratios)
            scheduler = make(optimizer)
            optimizer.load_state_dict(saved[0])
            scheduler.load_state_dict(saved[1])
        lrs.append(rates_of(optimizer))
        optimizer.step()
        scheduler.step()
        state.timestamp = state.timestamp.to_next_batch()
    return np.array(lrs)


DRIVERS: dict[str, Driver] = {
    "python": python,
    "torch": pytorch,
    "torch-builtin": pytorch,
    "huggingface": huggingface,
    "lightning": lightning,
    "timm": timm,
    "composer": composer,
    "keras": keras,
    "optax": optax,
    "deepspeed": deepspeed,
    "megatron": megatron,
}
