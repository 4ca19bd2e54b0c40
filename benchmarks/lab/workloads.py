"""The workloads of the laboratory: those of the tables, trained live by `benchmarks.lab.live`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import torch
from torch import Tensor

from benchmarks.lab import data
from benchmarks.lab.models import Parameters, cross_entropy, mlp, mlp_init, squared_error, stacked
from benchmarks.lab.training import LabWorkload, Models
from benchmarks.lab.transformer import Shape, next_token_losses, transformer_init
from tuner.training.data import ShuffledBatches, step_generator
from tuner.workloads.charlm import BLOCK, VOCABULARY, manual_text

_CPU = torch.device("cpu")
_STREAM_WINDOW = 0.02
_STREAM_NOISE = 0.1
_STREAM_HELD_OUT = 400
_LM = Shape(vocabulary=VOCABULARY, context=32, width=32, layers=1, heads=4)
_LM_BATCH = 4
_LM_HELD_OUT = 64


def _tabular(
    seeds: Sequence[int],
    steps: int,
    *,
    table: Callable[[], data.Data],
    hidden: tuple[int, ...],
    classes: int | None,
    noise: float,
    shift: bool = False,
) -> Models:
    """MLPs on one table.

    Args:
        seeds: ``[m]``.
        steps: Not used: rows are drawn again as long as the training lasts.
        table: The data.
        hidden: Widths of the hidden layers.
        classes: ``None`` for a regression.
        noise: Probability of a wrong label, or standard deviation of what is added to the (standardized) targets; the
            seed decides which. The validation rows have none.
        shift: Whether scans of 8 x 8 pixels are moved at random by -1, 0 or 1 pixel along each axis.
    """
    rows, unique = table(), list(dict.fromkeys(seeds))
    place = torch.tensor([unique.index(seed) for seed in seeds])  # of each model's seed, so that batches are drawn once
    widths = (rows.train.shape[1], *hidden, classes or 1)
    targets = torch.stack([_noisy(rows.train_targets, classes=classes, noise=noise, seed=seed) for seed in unique])
    batches = [ShuffledBatches(len(rows.train), batch_size=16, seed=seed, device=_CPU) for seed in unique]
    loss = cross_entropy if classes else squared_error

    def losses(parameters: Parameters, step: int) -> Tensor:
        chosen = torch.stack([one.indices(step) for one in batches])  # [seeds, batch]
        x = rows.train[chosen]
        if shift:
            x = torch.stack([_shifted(one, seed=seed, step=step) for one, seed in zip(x, unique, strict=True)])
        return loss(mlp(parameters, x[place]), targets.gather(1, chosen)[place])

    def validate(parameters: Parameters) -> Tensor:
        outputs = mlp(parameters, rows.validation.expand(len(seeds), -1, -1))
        return loss(outputs, rows.validation_targets.expand(len(seeds), -1))

    init = partial(mlp_init, widths=widths)
    return Models(parameters=stacked(init, seeds=seeds, derive=_init_generator), losses=losses, validate=validate)


def _noisy(targets: Tensor, *, classes: int | None, noise: float, seed: int) -> Tensor:
    generator = step_generator(seed, "noise")
    if classes is None:
        return targets + noise * torch.randn(len(targets), generator=generator)
    wrong = torch.rand(len(targets), generator=generator) < noise
    other = (targets + torch.randint(1, classes, (len(targets),), generator=generator)) % classes
    return torch.where(wrong, other, targets)


def _shifted(scans: Tensor, *, seed: int, step: int) -> Tensor:
    """Each of ``[batch, 64]`` moved by up to a pixel; what comes in at the edge is what left at the other one."""
    moves = torch.randint(-1, 2, (len(scans), 2), generator=step_generator(seed, "shift", step)).tolist()
    squares = scans.view(-1, 8, 8)
    moved = [square.roll(move, dims=(0, 1)) for square, move in zip(squares, moves, strict=True)]
    return torch.stack(moved).flatten(1)


def _stream(seeds: Sequence[int], steps: int) -> Models:
    """MLPs on a stream of places that moves over the map from north to south, and is validated where it ends.

    What is learned early in the run is of little use at its end, and what the end needs can only be learned there: a
    rate that has decayed by then is too low.
    """
    coordinates, elevation = data.jacksboro()
    features = data.waves(coordinates, octaves=4)  # rows are in the order of their latitude
    x = (features - features.mean(0)) / features.std(0)
    y = (elevation - elevation.mean()) / elevation.std()
    window = int(_STREAM_WINDOW * len(x))
    last = len(x) - window
    held_out = last + torch.randperm(window, generator=torch.Generator().manual_seed(0))[:_STREAM_HELD_OUT]
    unique = list(dict.fromkeys(seeds))
    place = torch.tensor([unique.index(seed) for seed in seeds])

    def losses(parameters: Parameters, step: int) -> Tensor:
        first = last * step // max(steps - 1, 1)
        generators = [step_generator(seed, "stream", step) for seed in unique]
        chosen = torch.stack([first + torch.randint(window, (16,), generator=one) for one in generators])
        noise = torch.stack([_STREAM_NOISE * torch.randn(16, generator=one) for one in generators])
        return squared_error(mlp(parameters, x[chosen][place]), (y[chosen] + noise)[place])

    def validate(parameters: Parameters) -> Tensor:
        outputs = mlp(parameters, x[held_out].expand(len(seeds), -1, -1))
        return squared_error(outputs, y[held_out].expand(len(seeds), -1))

    init = partial(mlp_init, widths=(x.shape[1], 32, 32, 1))
    return Models(parameters=stacked(init, seeds=seeds, derive=_init_generator), losses=losses, validate=validate)


def _language(seeds: Sequence[int], steps: int) -> Models:
    """Small transformers on the characters of the Python reference manual."""
    text, window, unique = manual_text(_CPU), torch.arange(_LM.context + 1), list(dict.fromkeys(seeds))
    place = torch.tensor([unique.index(seed) for seed in seeds])
    whole = text.validation[:, : BLOCK // len(window) * len(window)].reshape(-1, len(window))
    held_out = whole[torch.linspace(0, len(whole) - 1, _LM_HELD_OUT).long()]

    def windows(seed: int, step: int) -> Tensor:
        generator = step_generator(seed, "windows", step)
        blocks = torch.randint(len(text.train), (_LM_BATCH, 1), generator=generator)
        starts = torch.randint(BLOCK - _LM.context, (_LM_BATCH, 1), generator=generator)
        return text.train[blocks, starts + window]

    def losses(parameters: Parameters, step: int) -> Tensor:
        batch = torch.stack([windows(seed, step) for seed in unique])[place]  # [m, batch, context + 1]
        return next_token_losses(parameters, batch, shape=_LM)

    def validate(parameters: Parameters) -> Tensor:
        return next_token_losses(parameters, held_out.expand(len(seeds), -1, -1), shape=_LM)

    init = partial(transformer_init, shape=_LM)
    return Models(parameters=stacked(init, seeds=seeds, derive=_init_generator), losses=losses, validate=validate)


def _init_generator(seed: int) -> torch.Generator:
    return step_generator(seed, "init")


_NOISY: Final = LabWorkload(
    name="noisy-classification-a",
    total_steps=300,
    optimizer="sgd",
    peaks=(1e-3, 1.0),
    start=partial(_tabular, table=data.breast_cancer, hidden=(32, 32), classes=2, noise=0.1),
)
_REGRESSION: Final = LabWorkload(
    name="noisy-regression-a",
    total_steps=300,
    optimizer="adam",
    peaks=(3e-4, 1e-1),
    start=partial(_tabular, table=data.mountains, hidden=(32, 32), classes=None, noise=0.5),
)
WORKLOADS: Final = {
    one.name: one
    for one in (
        _NOISY,
        replace(
            _NOISY,
            name="noisy-classification-b",
            peaks=(3e-3, 3.0),
            start=partial(_tabular, table=data.coasts, hidden=(48, 48), classes=3, noise=0.1),
        ),
        _REGRESSION,
        replace(
            _REGRESSION,
            name="noisy-regression-b",
            total_steps=400,
            peaks=(1e-4, 3e-2),
            start=partial(_tabular, table=data.diabetes, hidden=(24, 24), classes=None, noise=0.3),
        ),
        LabWorkload(
            name="half-diverging",
            total_steps=300,
            optimizer="sgd",
            peaks=(1.6e-3, 3.0),
            start=partial(_tabular, table=data.relief, hidden=(48, 48, 48), classes=None, noise=0.0),
        ),
        LabWorkload(
            name="digits-image",
            total_steps=1000,
            optimizer="sgd",
            peaks=(5e-4, 0.15),
            weight_decay=1e-3,
            start=partial(_tabular, table=data.digits, hidden=(64, 64), classes=10, noise=0.0, shift=True),
        ),
        LabWorkload(name="constant-best", total_steps=300, optimizer="adam", peaks=(1e-3, 1e-1), start=_stream),
        LabWorkload(
            name="warmup-matters",
            total_steps=300,
            optimizer="adam",
            peaks=(1e-3, 6e-2),
            start=partial(_tabular, table=data.raw_digits, hidden=(32, 32, 32), classes=10, noise=0.0),
        ),
        LabWorkload(
            name="tiny-lm",
            total_steps=300,
            optimizer="adam",
            peaks=(5e-4, 6e-2),
            weight_decay=1e-3,
            clip_norm=1.0,
            start=_language,
            stack=64,
        ),
    )
}
"""By name. All are trained by `benchmarks.lab.training`."""
