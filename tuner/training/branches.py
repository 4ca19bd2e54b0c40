"""States of trainings at the updates where other runs branch off, in the memory of a process that trains run after run.

A run that begins like an earlier one goes on from the earlier one's state instead of training the stretch again. What
is stored here is an optimization: any run can be trained from its start, so a lost state costs updates only.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tuner.errors import InvalidValue, WorkloadError
from tuner.schedules.values import Array
from tuner.training.snapshots import check_plain, leaves

MEMORY_VARIABLE = "TUNER_BRANCH_MEMORY_MB"
DEFAULT_MEMORY_MB = 1024
_MIB = 1024 * 1024

_log = logging.getLogger(__name__)


def branch_memory(environment: Mapping[str, str] = os.environ) -> int:
    """How many bytes of states may be stored, from the environment.

    Raises:
        InvalidValue: It says something else than a number of MiB, at least 0.
    """
    value = environment.get(MEMORY_VARIABLE) or str(DEFAULT_MEMORY_MB)
    if not value.isdecimal():
        raise InvalidValue(MEMORY_VARIABLE, value=value, allowed="a whole number of MiB, at least 0")
    return int(value) * _MIB


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A training that another run may continue."""

    step: int
    """Updates done."""
    content: dict[str, Any]
    """As in a snapshot, on the CPU. A copy, which the caller may change."""


class BranchCache:
    """The states of the runs of one context, the least recently used ones dropped first.

    Args:
        limit_bytes: Of all states together; 0 keeps none.
    """

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._context = ""
        self._states: OrderedDict[tuple[int, str], tuple[int, dict[str, Any]]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._states)

    @property
    def is_open(self) -> bool:
        """Whether any state may be stored."""
        return self._limit > 0

    @property
    def stored_bytes(self) -> int:
        """Of all states together, at most the limit."""
        return self._bytes

    def enter(self, context: str) -> None:
        """A run begins. What runs of another context have left is forgotten.

        Args:
            context: Equal for runs that are equal while their learning rates are.
        """
        if context != self._context:
            self.clear()
            self._context = context

    def deepest(self, lrs: Array, *, beyond: int) -> Branch | None:
        """The state nearest to a run's end that the run would come to itself; ``None`` when there is none.

        Args:
            lrs: The run's learning rates, float64 ``[updates]``.
            beyond: Only states after more updates than this.
        """
        steps = {step for step, _ in self._states if beyond < step <= len(lrs)}
        digests = _digests(lrs, steps=sorted(steps))
        for step in sorted(steps, reverse=True):
            key = (step, digests[step])
            if key in self._states:
                self._states.move_to_end(key)
                return Branch(step=step, content=_copied(self._states[key][1]))
        return None

    def put(self, lrs: Array, *, step: int, content: dict[str, Any]) -> None:
        """Keep a copy of a state, unless it alone is larger than the limit, or cannot be copied.

        Args:
            lrs: Learning rates of the run that has come to it.
            step: Updates done, in [1, len(lrs)].
            content: As in a snapshot.
        """
        key = (step, _digests(lrs, steps=[step])[step])
        if key in self._states:
            self._states.move_to_end(key)
            return
        try:
            check_plain(content, where="state_dict()")
            size = _size(content)
            self._make_room(size)
            if size <= self._limit:
                self._states[key] = (size, _copied(content))
                self._bytes += size
        except (WorkloadError, MemoryError, RuntimeError) as error:  # torch reports lacking memory with the last
            _log.warning("a state is not stored for other runs: %s", error)
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._states.clear()
        self._bytes = 0

    def _make_room(self, size: int) -> None:
        while self._states and size <= self._limit < self._bytes + size:
            _, (freed, _) = self._states.popitem(last=False)
            self._bytes -= freed


def _digests(lrs: Array, *, steps: list[int]) -> dict[int, str]:
    """Identifies prefixes of runs: a digest of the first learning rates, for each of the ascending ``steps``."""
    digest, done, found = hashlib.sha256(), 0, {}
    for step in steps:
        digest.update(lrs[done:step].tobytes())
        found[step] = digest.hexdigest()
        done = step
    return found


def _size(content: dict[str, Any]) -> int:
    return sum(
        leaf.numel() * leaf.element_size() if isinstance(leaf, torch.Tensor) else sys.getsizeof(leaf)
        for _, leaf in leaves(content, where="")
    )


def _copied(value: Any) -> Any:
    """A copy on the CPU that shares no memory with the value."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        copy = type(value)((key, _copied(item)) for key, item in value.items())
        if isinstance(value, OrderedDict):
            vars(copy).update(vars(value))  # of a module's state: the versions of its parts
        return copy
    if type(value) in (list, tuple):
        return type(value)(_copied(item) for item in value)
    return value
