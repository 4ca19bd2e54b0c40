"""A schedule as a torch learning-rate scheduler, for one optimizer or several.

One rule holds here, in every export and in the report: the largest learning rate of the reference optimizer follows the
schedule, and every other parameter group, of any optimizer, keeps the ratio to it that it was built with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any
from weakref import WeakMethod, ref

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tuner.errors import InvalidValue
from tuner.schedules.loss_history import LossHistory
from tuner.schedules.schedule import BLOCK, Schedule
from tuner.schedules.values import Array


class GroupRates:
    """The learning rates of all parameter groups of some optimizers, as ratios to one rate.

    The ratios are those of the rates that the groups were built with (times ``lr_scale``, where timm's layer decay has
    set it). A group that is added later gets its ratio at once: its ``lr`` is read like those of the first groups, as a
    rate to be built with and not as one of the moment.

    Args:
        optimizers: One, or several, each once.
        reference: The optimizer whose largest rate the others are measured by, or that rate. It need not be one of
            ``optimizers``; the first of them when absent.

    Attributes:
        optimizers: All of them.
        reference_lr: The largest rate that a group of the reference was built with.

    Raises:
        InvalidValue: No optimizer, one twice, or a reference without a group whose learning rate is above 0.

    Example:
        >>> import torch
        >>> from tuner import GroupRates
        >>> line = torch.nn.Linear(2, 2)
        >>> muon = torch.optim.Muon([line.weight], lr=0.02)
        >>> adam = torch.optim.AdamW([line.bias], lr=0.01)
        >>> rates = GroupRates([muon, adam])
        >>> rates.set(0.1)  # before an update, by code that sets its rates itself
        >>> muon.param_groups[0]["lr"], adam.param_groups[0]["lr"]
        (0.1, 0.05)
    """

    def __init__(
        self,
        optimizers: Optimizer | Iterable[Optimizer],
        *,
        reference: Optimizer | float | None = None,
    ) -> None:
        self.optimizers = tuple(optimizers) if isinstance(optimizers, Iterable) else (optimizers,)
        are_optimizers = all(isinstance(each, Optimizer) for each in self.optimizers)
        if not (are_optimizers and 0 < len(set(map(id, self.optimizers))) == len(self.optimizers)):
            names = [type(each).__name__ for each in self.optimizers]
            raise InvalidValue("optimizers", value=names, allowed="at least one torch optimizer, each once")
        main = self.optimizers[0] if reference is None else reference
        self.reference_lr = largest_rate(main) if isinstance(main, Optimizer) else main
        self._ratios: tuple[list[float], ...] = tuple([] for _ in self.optimizers)
        for optimizer in self.optimizers:
            self._add_new_groups(optimizer)
            _call_after_added_group(optimizer, WeakMethod(self._set_new_groups))

    def set(self, lr: float) -> None:
        """Set every group to its ratio times ``lr``."""
        for optimizer in self.optimizers:
            for group, value in zip(optimizer.param_groups, self.rates(optimizer, lr=lr), strict=True):
                _set_rate(group, value)

    def rates(self, optimizer: Optimizer, *, lr: float) -> list[float]:
        """The rate of each group of one of the optimizers where the reference's largest one is ``lr``."""
        return [lr * ratio for ratio in self._add_new_groups(optimizer)[: len(optimizer.param_groups)]]

    def current(self) -> list[float | Tensor]:
        """The present rates of all groups of all optimizers; copies."""
        rates = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]
        return [rate.clone() if isinstance(rate, Tensor) else rate for rate in rates]

    def _add_new_groups(self, optimizer: Optimizer) -> list[float]:
        """The ratios of all groups of an optimizer, those added since included."""
        ratios = self._ratios_of(optimizer)
        for group in optimizer.param_groups[len(ratios) :]:
            rate = group["lr"]
            group.setdefault("initial_lr", rate.clone() if isinstance(rate, Tensor) else rate)
            ratios.append(_built_with(group) / self.reference_lr)
        return ratios

    def _set_new_groups(self, optimizer: Optimizer) -> None:
        """Set groups that were just added to their rate of the moment, which the older groups show."""
        lr, known = self._moment(), len(self._ratios_of(optimizer))
        self._add_new_groups(optimizer)
        if lr is not None:
            for group, rate in list(zip(optimizer.param_groups, self.rates(optimizer, lr=lr), strict=True))[known:]:
                _set_rate(group, rate)

    def _moment(self) -> float | None:
        """What the rates were last set to, by this object or another one; ``None`` when all ratios are 0."""
        for optimizer, ratios in zip(self.optimizers, self._ratios, strict=True):
            for group, ratio in zip(optimizer.param_groups, ratios, strict=False):
                if ratio > 0:
                    return float(group["lr"]) / ratio
        return None

    def _ratios_of(self, optimizer: Optimizer) -> list[float]:
        return next(own for own, each in zip(self._ratios, self.optimizers, strict=True) if each is optimizer)


class ScheduleLR(LRScheduler):
    """Sets the learning rate of every update from a schedule.

    Call ``scheduler.step()`` once after every update: not per epoch, not per micro-batch, and not for an update that a
    gradient scaler skipped. Where several optimizers share a run, an update is one step of the reference, however
    often the others step. Past ``total_steps`` the rate stays at the end value of the schedule.

    The largest initial learning rate of the reference optimizer follows the schedule; every other parameter group, of
    any of the optimizers, keeps its ratio to it: a group with half of that rate follows at half the rate. A group that
    is added later gets its ratio by its own ``lr``.

    The rate is a function of the number of updates done, never of the previous rate. So a run resumes from
    ``state_dict`` exactly, whether the optimizer's state is loaded before or after. Memory does not grow with
    ``total_steps``.

    A schedule that follows the loss (`Schedule.follows_loss`) needs every evaluation: call ``observe``, unless the
    scheduler is that of a run, whose reports it gets.

    Args:
        optimizer: The optimizer, or several. Their parameter groups must have learning rates of at least 0.
        schedule: The schedule to follow.
        total_steps: Updates of the run, at least 1.
        reference: The optimizer whose largest rate follows the schedule, or the rate that this one was built with;
            the first one when absent. It need not be among ``optimizer``, where each has a scheduler of its own.
        history: The evaluations that the rates follow; empty when absent.

    Attributes:
        optimizers: All of them; ``optimizer`` is the first.
        reference_lr: The rate that the reference's largest group was built with.

    Raises:
        InvalidValue: The schedule does not fit into ``total_steps``, or no group of the reference has a learning rate
            above 0.

    Example:
        >>> import torch
        >>> from tuner import Schedule, ScheduleLR
        >>> from tuner.schedules import Linear
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=1.0)
        >>> scheduler = ScheduleLR(optimizer, Schedule(peak_lr=0.1, family=Linear()), total_steps=4)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.025]
    """

    def __init__(
        self,
        optimizer: Optimizer | Iterable[Optimizer],
        schedule: Schedule,
        *,
        total_steps: int,
        reference: Optimizer | float | None = None,
        history: LossHistory | None = None,
    ) -> None:
        self.schedule = schedule
        self.total_steps = total_steps
        self._history = LossHistory() if history is None else history
        self._block = (0, self._rates_from(0))
        self._group_rates = GroupRates(optimizer, reference=reference)
        self.optimizers = self._group_rates.optimizers
        self.reference_lr = self._group_rates.reference_lr
        super().__init__(self.optimizers[0])

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each parameter group of the first optimizer for the next update."""
        return [*self._group_rates.rates(self.optimizer, lr=self._lr())]

    def observe(self, loss: float) -> None:
        """Take account of an evaluation after the updates done; the rates follow it where the schedule does.

        Args:
            loss: The validation loss, lower is better. Of a metric that is maximized, its negative.
        """
        if self.schedule.follows_loss:
            self._history.add(self.last_epoch, loss=loss)
            self.refresh()

    def refresh(self) -> None:
        """Set the learning rate of the next update again, after a change of the evaluations."""
        self._block = (0, self._rates_from(0))
        self._set_rates()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: updates done, schedule, ``total_steps``, and the losses where it follows them."""
        state = {"updates_done": self.last_epoch, "total_steps": self.total_steps, "schedule": self.schedule.to_json()}
        return {**state, "losses": list(self._history.losses)} if self.schedule.follows_loss else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of updates done, and set the learning rate of the next one.

        Raises:
            InvalidValue: The state belongs to another schedule or to a run of another length.
        """
        for field, expected in (("schedule", self.schedule.to_json()), ("total_steps", self.total_steps)):
            if state_dict.get(field) != expected:
                raise InvalidValue(
                    field,
                    value=state_dict.get(field),
                    allowed=f"what the run was started with; this scheduler has {expected!r}",
                    hint="Build the scheduler with the schedule and total_steps of the saved run.",
                )
        if self.schedule.follows_loss:
            self._history.restore(state_dict["losses"], step=state_dict["updates_done"])
            self._block = (0, self._rates_from(0))
        self.last_epoch = state_dict["updates_done"] - 1
        self._step_count = state_dict["updates_done"] + 1
        self._update_lr()

    def _lr(self) -> float:
        """The rate of the reference's largest group for the next update."""
        update = min(max(self.last_epoch, 0), self.total_steps)
        first, rates = self._block
        if not first <= update < first + len(rates):
            first = update - update % BLOCK
            rates = self._rates_from(first)
            self._block = (first, rates)
        return float(rates[update - first])

    def _rates_from(self, first: int) -> Array:
        """The rates of `BLOCK` updates, or of those that are left and the end value."""
        updates = range(first, min(first + BLOCK, self.total_steps + 1))
        return self.schedule.lrs_at(updates, total_steps=self.total_steps, losses=self._history.losses)

    def _update_lr(self, epoch: int | None = None) -> None:
        super()._update_lr(epoch)  # counts the update, and sets the first optimizer alone
        if self.schedule.follows_loss:
            self._history.check(self.last_epoch)
        self._set_rates()

    def _set_rates(self) -> None:
        self._group_rates.set(self._lr())
        self._last_lr = self._group_rates.current()


def largest_rate(optimizer: Optimizer) -> float:
    """The largest learning rate that a parameter group of an optimizer was built with.

    Raises:
        InvalidValue: No group has one above 0.
    """
    rates = [_built_with(group) for group in optimizer.param_groups]
    if max(rates) <= 0:
        raise InvalidValue(
            "the reference optimizer's lr", value=rates, allowed="above 0 in at least one parameter group"
        )
    return max(rates)


def _built_with(group: dict[str, Any]) -> float:
    return float(group.get("initial_lr", group["lr"])) * float(group.get("lr_scale", 1.0))


def _set_rate(group: dict[str, Any], value: float) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(value)  # compiled optimizers read the tensor
    else:
        group["lr"] = value


def _call_after_added_group(optimizer: Optimizer, call: WeakMethod[Callable[[Optimizer], None]]) -> None:
    """Have a method called after each ``optimizer.add_param_group``, for as long as its object lives.

    Torch has no hook for it. As torch's own schedulers do with ``step``, the method of this one optimizer is wrapped,
    by weak references alone, so that an optimizer and the memory of its parameters are freed as soon as before.
    """
    own, this = optimizer.__dict__.get("add_param_group"), ref(optimizer)
    add = type(optimizer).add_param_group

    @wraps(add)
    def add_param_group(param_group: dict[str, Any]) -> None:
        target, called = this(), call()
        assert target is not None  # whoever calls this has it
        add(target, param_group) if own is None else own(param_group)
        if called is not None:
            called(target)

    optimizer.add_param_group = add_param_group  # type: ignore[method-assign]
