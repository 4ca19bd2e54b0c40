"""A run by epochs: the updates of each, and the batches of a loader that they take. Pure, and free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, Protocol

from tuner.errors import InvalidValue


class Loader(Iterable[Any], Sized, Protocol):
    """What yields the batches of an epoch, and knows how many there are."""


class PartOfEpoch:
    """Some of the batches of an epoch; all else about it is the loader's own, the length too.

    Loops count updates by it: ``epoch * len(loader) + index`` is right in a cut epoch as well.

    Args:
        loader: Of the whole epoch.
        batches: Indices of those to yield, below ``len(loader)``.
    """

    def __init__(self, loader: Loader, *, batches: range) -> None:
        self._loader = loader
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return islice(self._loader, self._batches.start, self._batches.stop)

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def epochs(steps_per_epoch: int, *, first_step: int, total_steps: int) -> Iterator[tuple[int, range]]:
    """The index of each epoch and its updates.

    Args:
        steps_per_epoch: At least 1.
        first_step: Where to begin.
        total_steps: Where the last epoch is cut.
    """
    while first_step < total_steps:
        epoch = first_step // steps_per_epoch
        steps = range(first_step, min((epoch + 1) * steps_per_epoch, total_steps))
        yield epoch, steps
        first_step = steps.stop


def epochs_over(
    loader: Loader, *, batches_per_step: int, first_step: int, total_steps: int
) -> Iterator[tuple[int, range, Any]]:
    """The index of each epoch, its updates, and what yields their batches: the loader itself for a whole epoch.

    Args:
        loader: Of one epoch.
        batches_per_step: As `steps_in` checks it.
        first_step: Where to begin.
        total_steps: Where the last epoch is cut.
    """
    steps_per_epoch = steps_in(loader, batches_per_step=batches_per_step)
    for epoch, steps in epochs(steps_per_epoch, first_step=first_step, total_steps=total_steps):
        begin = epoch * steps_per_epoch
        batches = range((steps.start - begin) * batches_per_step, (steps.stop - begin) * batches_per_step)
        is_whole = len(steps) == steps_per_epoch
        yield epoch, steps, loader if is_whole else PartOfEpoch(loader, batches=batches)


def steps_in(loader: Loader, *, batches_per_step: int) -> int:
    """The updates of an epoch of a loader.

    Raises:
        InvalidValue: ``batches_per_step`` is no whole number from 1 to the batches of an epoch.
    """
    count = len(loader)
    if not (_is_whole(batches_per_step) and 1 <= batches_per_step <= count):
        allowed = f"batches that make an update, a whole number from 1 to the {count} of an epoch"
        raise InvalidValue("batches_per_step", value=batches_per_step, allowed=allowed)
    return count // batches_per_step


def checked_steps_per_epoch(steps_per_epoch: int) -> int:
    """The updates of an epoch.

    Raises:
        InvalidValue: It is no whole number of at least 1.
    """
    if not (_is_whole(steps_per_epoch) and steps_per_epoch >= 1):
        raise InvalidValue(
            "steps_per_epoch",
            value=steps_per_epoch,
            allowed="optimizer updates of an epoch, a whole number of at least 1",
            hint="len(loader), or len(loader) // k where k batches make an update",
        )
    return steps_per_epoch


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
