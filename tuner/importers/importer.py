"""Reads the schedule that a script uses today, from what the script has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import yaml
from pydantic import ValidationError

from tuner.errors import InvalidValue
from tuner.importers.axolotl import read_axolotl
from tuner.importers.huggingface import read_training_arguments
from tuner.importers.pieces import check_epochs, refused, staircase
from tuner.importers.timm_args import read_timm
from tuner.importers.torch_scheduler import is_state, read_state, state_of
from tuner.schedules import Schedule
from tuner.schedules.lengths import MAX_STEPS
from tuner.validation import allowed_by, choice

MAX_TEXT: Final = 65_536
"""Longest text of a file, in characters."""


class ScheduleSource(StrEnum):
    """What a schedule is read from."""

    HUGGINGFACE = "huggingface"
    """``TrainingArguments``."""
    TORCH = "torch"
    """A scheduler of PyTorch, or its ``state_dict()``."""
    TIMM = "timm"
    """The arguments of timm's ``train.py``."""
    AXOLOTL = "axolotl"
    """The YAML file of axolotl."""


class SteppedPer(StrEnum):
    """How often a scheduler of PyTorch is stepped."""

    UPDATE = "update"
    EPOCH = "epoch"


def import_schedule(
    source: Any,
    *,
    total_steps: int | None = None,
    steps_per_epoch: int | None = None,
    kind: ScheduleSource | str | None = None,
    stepped_per: SteppedPer | str = SteppedPer.UPDATE,
    peak_lr: float | None = None,
) -> Schedule:
    """The schedule that a script uses today, equal to the script's at every update.

    What cannot be written exactly is refused with the reason.

    Args:
        source: ``TrainingArguments`` of Hugging Face; a scheduler of ``torch.optim.lr_scheduler``, unused so far, or
            its ``state_dict()``; the arguments of timm's ``train.py``; or any of their files' fields, as a mapping.
        total_steps: Updates of the run; that of the source when absent, where it has one.
        steps_per_epoch: Updates in one epoch, where the source counts epochs.
        kind: What the source is; found out when absent.
        stepped_per: How often a scheduler of PyTorch is stepped.
        peak_lr: The rate, where the source does not hold it (the state of a `OneCycleLR`, timm's ``lr_base``).

    Raises:
        InvalidValue: It is unknown, lacks a length, or cannot be written exactly.

    Example:
        >>> from tuner import import_schedule
        >>> arguments = {"learning_rate": 2e-5, "lr_scheduler_type": "linear", "warmup_steps": 2, "max_steps": 10}
        >>> import_schedule(arguments).lrs(10)[:4].round(9).tolist()
        [0.0, 1e-05, 2e-05, 1.75e-05]
    """
    if isinstance(source, Schedule):
        return source
    try:
        return _imported(
            source,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            kind=kind,
            stepped_per=stepped_per,
            peak_lr=peak_lr,
        )
    except InvalidValue:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "source"
        raise InvalidValue(field, value=first["input"], allowed=allowed_by(first)) from None
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError) as error:
        raise InvalidValue("source", value=f"{error}", allowed="fields as the library writes them") from None


def _imported(
    source: Any,
    *,
    total_steps: int | None,
    steps_per_epoch: int | None,
    kind: ScheduleSource | str | None,
    stepped_per: SteppedPer | str,
    peak_lr: float | None,
) -> Schedule:
    fields, peak = _fields(source)
    found = choice("kind", kind, of=ScheduleSource) if kind else _kind_of(fields)
    steps = _total_steps(fields, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    peak_lr = peak_lr if peak_lr is not None else peak
    match found:
        case ScheduleSource.TORCH:
            per = choice("stepped_per", stepped_per, of=SteppedPer)
            return _read_torch(fields, steps=steps, per=per, steps_per_epoch=steps_per_epoch, peak_lr=peak_lr)
        case ScheduleSource.TIMM:
            return read_timm(fields, total_steps=steps, steps_per_epoch=steps_per_epoch, peak_lr=peak_lr)
        case ScheduleSource.AXOLOTL:
            return read_axolotl(fields, total_steps=steps)
        case _:
            return read_training_arguments(fields, total_steps=steps)


def import_text(text: str, **arguments: Any) -> Schedule:
    """The schedule of a file's text, JSON or YAML; the arguments are those of `import_schedule`.

    Raises:
        InvalidValue: As for `import_schedule`, or the text is neither.
    """
    if len(text) > MAX_TEXT:
        raise InvalidValue("text", value=f"{len(text)} characters", allowed=f"at most {MAX_TEXT} characters")
    try:
        fields = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidValue("text", value=str(error).partition("\n")[0], allowed="JSON or YAML") from None
    if not isinstance(fields, dict):
        raise InvalidValue("text", value=type(fields).__name__, allowed="fields with values, as JSON or YAML")
    return import_schedule({str(name): value for name, value in fields.items()}, **arguments)


class _Loader(yaml.SafeLoader):
    """Loads plain values; refuses aliases, with which a short text becomes a huge value."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node; see PyYAML."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def _fields(source: Any) -> tuple[dict[str, Any], float | None]:
    if isinstance(source, Mapping):
        return dict(source), None
    if hasattr(source, "state_dict") and hasattr(source, "optimizer"):
        return state_of(source)
    if hasattr(source, "lr_scheduler_type"):
        names = ("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio")
        return {name: getattr(source, name, None) for name in (*names, "max_steps", "num_train_epochs")}, None
    if hasattr(source, "__dict__"):
        return dict(vars(source)), None
    raise refused(type(source).__name__)


def _kind_of(fields: Mapping[str, Any]) -> ScheduleSource:
    if is_state(fields):
        return ScheduleSource.TORCH
    if "sched" in fields:
        return ScheduleSource.TIMM
    if "base_model" in fields or "lr_scheduler" in fields or "micro_batch_size" in fields:
        return ScheduleSource.AXOLOTL
    if fields.keys() & {"lr_scheduler_type", "learning_rate"}:
        return ScheduleSource.HUGGINGFACE
    kinds = ", ".join(ScheduleSource)
    raise InvalidValue("kind", value=sorted(map(str, fields))[:8], allowed=f"the fields of one of {kinds}")


def _total_steps(fields: Mapping[str, Any], *, total_steps: int | None, steps_per_epoch: int | None) -> int:
    steps = total_steps or max(int(fields.get("max_steps") or 0), 0)
    epochs = float(fields.get("num_train_epochs") or fields.get("num_epochs") or fields.get("epochs") or 0)
    if not steps and steps_per_epoch:
        steps = math.ceil(epochs * steps_per_epoch)
    if not 1 <= steps <= MAX_STEPS:
        hint = "Give total_steps, or steps_per_epoch where the source has the number of epochs."
        raise InvalidValue("total_steps", value=total_steps, allowed=f"in [1, {MAX_STEPS}]", hint=hint)
    return steps


def _read_torch(
    state: Mapping[str, Any], *, steps: int, per: SteppedPer, steps_per_epoch: int | None, peak_lr: float | None
) -> Schedule:
    if per is SteppedPer.UPDATE:
        return read_state(state, total_steps=steps, peak_lr=peak_lr)
    if steps_per_epoch is None:
        raise InvalidValue("steps_per_epoch", value=None, allowed="given with stepped_per epoch")
    epochs = math.ceil(steps / steps_per_epoch)
    check_epochs(epochs)
    # To the end of its curve, which no run on epochs cuts: of a staircase, the rates of the epochs are enough.
    wave = int(state.get("T_max") or epochs)
    horizon = max(-(-epochs // wave) * wave, int(state.get("total_iters") or 0), int(state.get("total_steps") or 0))
    check_epochs(horizon)
    found = read_state(state, total_steps=horizon, peak_lr=peak_lr)
    if found.family.follows_loss:
        return found
    return staircase(found.lrs(horizon)[:epochs].tolist(), steps_per_epoch=steps_per_epoch, total_steps=steps)
