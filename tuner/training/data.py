"""Data order as a function of the seed and the update's index, so that a resumed run sees the same batches."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from tuner.errors import InvalidValue


def derived_seed(seed: int, *parts: str | int) -> int:
    """A seed in [0, 2**63) that depends on every argument and is the same on every machine and Python version."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def step_generator(seed: int, *parts: str | int) -> torch.Generator:
    """A CPU generator of its own for these arguments, for random draws that belong to one update.

    Example:
        >>> import torch
        >>> from tuner import step_generator
        >>> draws = [torch.rand(3, generator=step_generator(0, "augment", step)) for step in (7, 7, 8)]
        >>> torch.equal(draws[0], draws[1]), torch.equal(draws[0], draws[2])
        (True, False)
    """
    return torch.Generator().manual_seed(derived_seed(seed, *parts))


class ShuffledBatches:
    """Which rows each update sees: every row once per epoch, in an order of its own for every epoch.

    Rows that do not fill a batch at the end of an epoch are left out of that epoch.

    Args:
        rows: Rows of the data, at least ``batch_size``.
        batch_size: Rows per update, at least 1.
        seed: Of the order.
        device: Where the indices are wanted.

    Raises:
        InvalidValue: ``batch_size`` outside [1, rows].

    Example:
        >>> import torch
        >>> from tuner import ShuffledBatches
        >>> rows = ShuffledBatches(10, batch_size=5, seed=0, device=torch.device("cpu"))
        >>> sorted(torch.cat([rows.indices(0), rows.indices(1)]).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(self, rows: int, *, batch_size: int, seed: int, device: torch.device) -> None:
        if not 1 <= batch_size <= rows:
            raise InvalidValue("batch_size", value=batch_size, allowed=f"in [1, {rows}], the rows of the training data")
        self._rows = rows
        self._batch_size = batch_size
        self._seed = seed
        self._device = device
        self._per_epoch = rows // batch_size
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long, device=device)

    def indices(self, step: int) -> Tensor:
        """The rows of update ``step``: int64 of shape ``(batch_size,)`` on the device."""
        epoch, position = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            generator = step_generator(self._seed, "epoch", epoch)
            self._order = torch.randperm(self._rows, generator=generator).to(self._device)
            self._epoch = epoch
        return self._order[position * self._batch_size : (position + 1) * self._batch_size]
