"""The search space of a study: peak learning rates, warm-ups, floors and schedule families."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import Schedule, Warmup
from tuner.search.space.family_space import FamilySpace, without_prefix
from tuner.search.space.parameters import Choice, FloatRange, Frozen, Parameter, Value
from tuner.search.space.peaks import MAX_PEAK, MIN_PEAK
from tuner.search.space.table import space_table
from tuner.search.space.warmups import Share, WarmupLength, WarmupShapeChoice, length_value, shape_value, warmup_of
from tuner.validation import allowed_by

_WITHOUT_FLOOR: Final = "constant"


class SearchSpace(Frozen):
    """Peak learning rates, warm-ups, floors and schedule families to search.

    A point of the space is a mapping from parameter names to values: ``family`` chooses the family, and `parameters`
    returns the other parameters of that family. Every point is a schedule: a space builds the corners of each family
    when it is created, and refuses a corner that is no schedule.

    Example:
        >>> from tuner import SearchSpace
        >>> step = {
        ...     "name": "step",
        ...     "fixed": {"gamma": 0.1, "every": {"updates_per_epoch": 100}},
        ...     "params": {"every.epochs": {"kind": "int", "low": 2, "high": 5}},
        ... }
        >>> space = SearchSpace.model_validate(
        ...     {"peak_lr": {"low": 0.01, "high": 0.1}, "warmup": [0.0], "floor": [0.0], "families": [step]}
        ... )
        >>> list(space.parameters("step"))
        ['peak_lr', 'warmup', 'floor', 'step.every.epochs']
        >>> point = {"family": "step", "peak_lr": 0.1, "warmup": 0.0, "floor": 0.0, "step.every.epochs": 3}
        >>> space.build(point).family.label
        'step x 0.1 every 3 epochs'
    """

    version: Literal[1] = 1
    peak_lr: FloatRange = Field(description="Range of the peak learning rate; low must be above 0.")
    warmup: tuple[WarmupLength, ...] = Field(
        min_length=1,
        max_length=16,
        description='Lengths of the warm-up: fractions of the run (0 means none), `{"updates": 500}`, or '
        '`{"epochs": 3, "updates_per_epoch": 391}`.',
    )
    warmup_shape: tuple[WarmupShapeChoice, ...] = Field(
        default=("linear",), min_length=1, max_length=8, description="Shapes of the warm-up."
    )
    floor: tuple[Share, ...] = Field(
        min_length=1, max_length=16, description="Where a decay ends, as fractions of the peak."
    )
    families: tuple[FamilySpace, ...] = Field(min_length=1, max_length=32)
    _parameters_of: dict[str, Mapping[str, Parameter]] = PrivateAttr(default_factory=dict)
    _warmup_of: dict[tuple[Value, Value], Warmup] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> SearchSpace:
        self._check_peaks()
        for field, values in (
            ("warmup", list(map(length_value, self.warmup))),
            ("warmup_shape", list(map(shape_value, self.warmup_shape))),
            ("floor", list(self.floor)),
        ):
            if len(set(values)) < len(values):
                raise InvalidValue(field, value=values, allowed="different from one another")
        keys = [family.key for family in self.families]
        if len(set(keys)) < len(keys):
            allowed, hint = "each a different family", "Give one that stands twice an alias of its own."
            raise InvalidValue("families", value=keys, allowed=allowed, hint=hint)
        self._build_warmups()
        for index, family in enumerate(self.families):
            try:
                family.check_names()
                self._check_corners(family)
            except InvalidValue as error:
                field = f"families.{index}.{error.field}"
                raise InvalidValue(field, value=error.value, allowed=error.allowed, hint=error.hint) from None
        return self

    def _check_peaks(self) -> None:
        if self.peak_lr.low <= 0:
            raise InvalidValue("peak_lr.low", value=self.peak_lr.low, allowed="above 0")
        if self.peak_lr.low < MIN_PEAK:
            raise InvalidValue("peak_lr.low", value=self.peak_lr.low, allowed=f"at least {MIN_PEAK:g}")
        if self.peak_lr.high > MAX_PEAK:
            raise InvalidValue("peak_lr.high", value=self.peak_lr.high, allowed=f"at most {MAX_PEAK:g}")

    def _build_warmups(self) -> None:
        for place, shape in enumerate(self.warmup_shape):
            for length in self.warmup:
                try:
                    warmup = warmup_of(length, shape=shape)
                except ValidationError as error:
                    first = error.errors()[0]
                    raise InvalidValue(
                        f"warmup_shape.{place}", value=shape_value(shape), allowed=allowed_by(first)
                    ) from None
                self._warmup_of[length_value(length), shape_value(shape)] = warmup

    def parameters(self, family: str) -> Mapping[str, Parameter]:
        """The varied parameters of a family, by name; its own carry the family's key, as in ``wsd.cooldown``.

        A family with a rise of its own has no warm-up, and a constant rate has no floor. The shape of the warm-up is a
        parameter where there are several.

        Args:
            family: Key of one of the space's families: its alias, else its name.
        """
        if family not in self._parameters_of:  # cached: every schedule that is built needs it
            self._parameters_of[family] = self._parameters(self._family(family))
        return self._parameters_of[family]

    def _parameters(self, family: FamilySpace) -> dict[str, Parameter]:
        shared: dict[str, Parameter] = {"peak_lr": self.peak_lr}
        if family.starts_at_peak:
            shared["warmup"] = Choice(values=tuple(map(length_value, self.warmup)))
            if len(self.warmup_shape) > 1:
                shared["warmup_shape"] = Choice(values=tuple(map(shape_value, self.warmup_shape)))
        if family.name != _WITHOUT_FLOOR:
            shared["floor"] = Choice(values=self.floor)
        return shared | {f"{family.key}.{name}": param for name, param in family.params.items()}

    def build(self, values: Mapping[str, Value]) -> Schedule:
        """The schedule at a point of the space.

        Args:
            values: ``family``, and all of its `parameters`.

        Raises:
            InvalidValue: A value is missing, unknown, or outside the space.
        """
        family = str(values.get("family"))
        parameters = self.parameters(family)
        if values.keys() != {"family", *parameters}:
            raise InvalidValue("values", value=sorted(values), allowed=f"exactly family, {', '.join(parameters)}")
        for name, parameter in parameters.items():
            if not parameter.contains(values[name]):
                raise InvalidValue(name, value=values[name], allowed="within the search space")
        return self._schedule(values)

    def values_of(self, schedule: Schedule) -> dict[str, Value] | None:
        """The point of the space that is this schedule, the first of several; ``None`` where there is none."""
        return next((found for one in self.families if (found := self._values_in(one, schedule)) is not None), None)

    def _values_in(self, family: FamilySpace, schedule: Schedule) -> dict[str, Value] | None:
        own = family.values_of(schedule.family) if schedule.family.name == family.name else None
        warmup = next((names for names, one in self._warmup_of.items() if one == schedule.warmup), None)
        if own is None or (warmup is None and schedule.warmup.shape != "none"):
            return None
        length, shape = warmup or (0.0, "")
        found = {"peak_lr": schedule.peak_lr, "warmup": length, "warmup_shape": shape, "floor": schedule.floor}
        found |= {f"{family.key}.{name}": value for name, value in own.items()}
        parameters = self.parameters(family.key)
        values = {"family": family.key, **{name: found[name] for name in parameters}}
        inside = all(parameter.contains(values[name]) for name, parameter in parameters.items())
        return values if inside and self._schedule(values) == schedule else None

    def corners(self, family: str) -> Iterator[dict[str, Value]]:
        """Points of a family: all combinations of the extremes of its parameters, and each further choice once.

        Args:
            family: Key of one of the space's families.
        """
        parameters = self.parameters(family)
        for values in product(*(parameter.extremes for parameter in parameters.values())):
            yield {"family": family, **dict(zip(parameters, values, strict=True))}
        first: dict[str, Value] = {"family": family, **{name: p.extremes[0] for name, p in parameters.items()}}
        for name, parameter in parameters.items():
            for value in parameter.corners:
                if value not in parameter.extremes:
                    yield {**first, name: value}

    def with_peaks(self, *, low: float, high: float) -> SearchSpace:
        """The space with another range of peaks.

        Raises:
            pydantic.ValidationError: It is none.
        """
        peaks = self.peak_lr.model_copy(update={"low": low, "high": high})
        return SearchSpace.model_validate(self.model_dump() | {"peak_lr": peaks.model_dump()})

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its families, which ``family`` of a point takes."""
        return tuple(family.key for family in self.families)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        own = {f"{one.key}.{name}" for one in self.families for name in one.params}
        shared = {
            name: parameter for key in self.keys for name, parameter in self.parameters(key).items() if name not in own
        }
        return space_table(shared=shared, families=[(one.key, one.fixed, one.params) for one in self.families])

    def _family(self, key: str) -> FamilySpace:
        for family in self.families:
            if family.key == key:
                return family
        raise InvalidValue("family", value=key, allowed=f"one of {', '.join(self.keys)}")

    def _schedule(self, values: Mapping[str, Value]) -> Schedule:
        family = self._family(str(values["family"]))
        own = dict(without_prefix(values, key=family.key))
        shape = values.get("warmup_shape", shape_value(self.warmup_shape[0]))
        warmup = self._warmup_of[values["warmup"], shape] if "warmup" in values else Warmup()
        return Schedule.model_validate(
            {
                "peak_lr": values["peak_lr"],
                "family": family.document(own),
                "warmup": warmup,
                "floor": values.get("floor", 0.0),
            }
        )

    def _check_corners(self, family: FamilySpace) -> None:
        for corner in self.corners(family.key):
            try:
                self._schedule(corner)
            except ValidationError as error:
                raise _refused_corner(error.errors()[0], corner=corner, family=family) from None


def _refused_corner(error: Mapping[str, Any], *, corner: Mapping[str, Value], family: FamilySpace) -> InvalidValue:
    names = tuple(map(str, error["loc"][2:]))  # after "family" and its name
    value = error["input"] if names else dict(corner)
    cause = error.get("ctx", {}).get("error")
    if not names and isinstance(cause, InvalidValue):  # of several parameters together: it names the one to change
        names, value = tuple(cause.field.split(".")[1:]), cause.value
    part = "fixed" if names and names[0] in family.fixed and not family.params.keys() & {".".join(names)} else "params"
    return InvalidValue(".".join((part, *names)), value=value, allowed=allowed_by(error))
