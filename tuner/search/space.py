"""The search space of a study: a frozen, versioned value."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import product
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from tuner.errors import InvalidValue
from tuner.schedules import FAMILIES, Schedule
from tuner.validation import allowed_by, choice, one_of_names

Value = bool | float | int | str
"""A value of one parameter."""
_WITHOUT_FLOOR: Final = "constant"
MIN_PEAK: Final = 1e-20
MAX_PEAK: Final = 1e20
"""Peaks beyond these bounds are refused: products of rates and of their logarithms would leave the range of floats."""
_MAX_WHOLE: Final = 2**53
"""Larger whole numbers are not exact as floats, in which grids are computed."""
_MAX_REAL: Final = 1e100


class OptimizerKind(StrEnum):
    """Kinds of optimizers, by the range of their peak learning rates.

    Example:
        >>> from tuner import OptimizerKind
        >>> [kind.value for kind in OptimizerKind]
        ['sgd', 'adam']
    """

    SGD = "sgd"
    """Stochastic gradient descent, with or without momentum."""
    ADAM = "adam"
    """Adam, AdamW and similar."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Range(_Frozen):
    kind: str
    low: float
    high: float
    log: bool = Field(default=False, description="Spread evenly over orders of magnitude; then low must be above 0.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for field, value in (("low", self.low), ("high", self.high)):
            _check_magnitude(value, field=field)
        if not self.low <= self.high:
            allowed = f"a finite number, at least the low end ({self.low})"
            raise InvalidValue("high", value=self.high, allowed=allowed)
        if self.log and self.low <= 0:
            raise InvalidValue("low", value=self.low, allowed="above 0 on a log scale")
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """Both ends."""
        return (self.low, self.high)

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Both ends, once each."""
        return tuple(dict.fromkeys(self.corners))


class FloatRange(_Range):
    """Real numbers from ``low`` to ``high``, both included."""

    kind: Literal["float"] = "float"

    def contains(self, value: object) -> bool:
        """Whether ``value`` lies in the range."""
        return _is_number(value) and self.low <= float(value) <= self.high  # type: ignore[arg-type]


class IntRange(_Range):
    """Whole numbers from ``low`` to ``high``, both included."""

    kind: Literal["int"] = "int"
    low: int
    high: int

    def contains(self, value: object) -> bool:
        """Whether ``value`` is whole and lies in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


class Choice(_Frozen):
    """One of several values."""

    kind: Literal["choice"] = "choice"
    values: tuple[bool | float | int | str, ...] = Field(min_length=1, max_length=32)

    @model_validator(mode="after")
    def _check(self) -> Choice:
        if len(set(self.values)) < len(self.values):
            raise InvalidValue("values", value=self.values, allowed="different from one another")
        for place, value in enumerate(self.values):
            _check_magnitude(value, field=f"values.{place}")
        return self

    @property
    def corners(self) -> tuple[Value, ...]:
        """All values."""
        return self.values

    @property
    def extremes(self) -> tuple[Value, ...]:
        """The least and the largest of numbers, in which a schedule changes steadily; else all values."""
        numbers = [value for value in self.values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) < len(self.values):
            return self.values
        return tuple(dict.fromkeys((min(numbers), max(numbers))))

    def contains(self, value: object) -> bool:
        """Whether ``value`` is one of the choices."""
        return value in self.values


Parameter = Annotated[FloatRange | IntRange | Choice, Field(discriminator="kind")]
"""A parameter of the space."""
Share = Annotated[float, Field(ge=0, lt=1)]


class FamilySpace(_Frozen):
    """A schedule family to search, with its varied parameters; the others have the family's defaults."""

    name: str = Field(description="Name of a schedule family.")
    params: Mapping[str, Parameter] = Field(default_factory=dict, max_length=6)


class SearchSpace(_Frozen):
    """Peak learning rates, warm-ups, floors and schedule families to search.

    A point of the space is a mapping from parameter names to values: ``family`` chooses the family, and `parameters`
    returns the other parameters of that family. Every point is a schedule: a space builds the corners of each family
    when it is created, and refuses a corner that is no schedule.
    """

    version: Literal[1] = 1
    peak_lr: FloatRange = Field(description="Range of the peak learning rate; low must be above 0.")
    warmup: tuple[Share, ...] = Field(
        min_length=1, max_length=16, description="Lengths of a linear warm-up, as fractions of the run; 0 means none."
    )
    floor: tuple[Share, ...] = Field(
        min_length=1, max_length=16, description="Where a decay ends, as fractions of the peak."
    )
    families: tuple[FamilySpace, ...] = Field(min_length=1, max_length=32)
    _parameters_of: dict[str, Mapping[str, Parameter]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> SearchSpace:
        if self.peak_lr.low <= 0:
            raise InvalidValue("peak_lr.low", value=self.peak_lr.low, allowed="above 0")
        if self.peak_lr.low < MIN_PEAK:
            raise InvalidValue("peak_lr.low", value=self.peak_lr.low, allowed=f"at least {MIN_PEAK:g}")
        if self.peak_lr.high > MAX_PEAK:
            raise InvalidValue("peak_lr.high", value=self.peak_lr.high, allowed=f"at most {MAX_PEAK:g}")
        for shares in ("warmup", "floor"):
            values = getattr(self, shares)
            if len(set(values)) < len(values):
                raise InvalidValue(shares, value=values, allowed="different from one another")
        names = [family.name for family in self.families]
        if len(set(names)) < len(names):
            raise InvalidValue("families", value=names, allowed="each a different family")
        for index, family in enumerate(self.families):
            _check_names(family, field=f"families.{index}")
            for corner in self.corners(family.name):
                _check_corner(corner, field=f"families.{index}")
        return self

    def parameters(self, family: str) -> Mapping[str, Parameter]:
        """The varied parameters of a family, by name; its own carry the family's name, as in ``wsd.cooldown``.

        A family with a rise of its own has no warm-up, and a constant rate has no floor.

        Args:
            family: Name of one of the space's families.
        """
        if family not in self._parameters_of:  # cached: every schedule that is built needs it
            self._parameters_of[family] = self._parameters(family)
        return self._parameters_of[family]

    def _parameters(self, family: str) -> dict[str, Parameter]:
        own = self._family(family).params
        shared: dict[str, Parameter] = {"peak_lr": self.peak_lr}
        if _starts_at_peak(family, {name: param.corners[0] for name, param in own.items()}):
            shared["warmup"] = Choice(values=self.warmup)
        if family != _WITHOUT_FLOOR:
            shared["floor"] = Choice(values=self.floor)
        return shared | {f"{family}.{name}": param for name, param in own.items()}

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
        return _schedule(values)

    def values_of(self, schedule: Schedule) -> dict[str, Value] | None:
        """The point of the space that is this schedule; ``None`` where there is none."""
        family = schedule.family.name
        if family not in {one.name for one in self.families}:
            return None
        found = {
            "peak_lr": schedule.peak_lr,
            "warmup": schedule.warmup.fraction or 0.0,
            "floor": schedule.floor,
            **{f"{family}.{name}": getattr(schedule.family, name) for name in self._family(family).params},
        }
        parameters = self.parameters(family)
        values = {"family": family, **{name: found[name] for name in parameters}}
        inside = all(parameter.contains(values[name]) for name, parameter in parameters.items())
        return values if inside and _schedule(values) == schedule else None

    def corners(self, family: str) -> Iterator[dict[str, Value]]:
        """Points of a family: all combinations of the extremes of its parameters, and each further choice once.

        Args:
            family: Name of one of the space's families.
        """
        parameters = self.parameters(family)
        for values in product(*(parameter.extremes for parameter in parameters.values())):
            yield {"family": family, **dict(zip(parameters, values, strict=True))}
        first: dict[str, Value] = {"family": family, **{name: p.extremes[0] for name, p in parameters.items()}}
        for name, parameter in parameters.items():
            for value in parameter.corners:
                if value not in parameter.extremes:
                    yield {**first, name: value}

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _family(self, name: str) -> FamilySpace:
        for family in self.families:
            if family.name == name:
                return family
        known = ", ".join(family.name for family in self.families)
        raise InvalidValue("family", value=name, allowed=f"one of {known}")


def _check_names(family: FamilySpace, *, field: str) -> None:
    if family.name not in FAMILIES:
        raise InvalidValue(f"{field}.name", value=family.name, allowed=f"one of {', '.join(FAMILIES)}")
    known = [name for name in FAMILIES[family.name].model_fields if name != "name"]
    for name in family.params:
        if name not in known:
            allowed = one_of_names(known, kind=f"parameters of {family.name}")
            raise InvalidValue(f"{field}.params", value=name, allowed=allowed)


def _check_corner(corner: Mapping[str, Value], *, field: str) -> None:
    try:
        _schedule(corner)
    except ValidationError as error:
        first = error.errors()[0]
        names = first["loc"][2:]  # after "family" and its name
        value = first["input"] if names else dict(corner)
        cause = first.get("ctx", {}).get("error")
        if not names and isinstance(cause, InvalidValue):  # of several parameters together: it names the one to change
            names, value = tuple(cause.field.split(".")[1:]), cause.value
        raise InvalidValue(
            ".".join((field, "params", *map(str, names))), value=value, allowed=allowed_by(first)
        ) from None


def _starts_at_peak(family: str, params: Mapping[str, Value]) -> bool:
    try:
        return FAMILIES[family].model_validate(dict(params)).starts_at_peak
    except ValidationError:
        return True  # building its corners will report the error


def _schedule(values: Mapping[str, Value]) -> Schedule:
    family = str(values["family"])
    own = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{family}.")}
    fraction = values.get("warmup", 0.0)
    return Schedule.model_validate(
        {
            "peak_lr": values["peak_lr"],
            "family": {"name": family, **own},
            "warmup": {"shape": "linear", "fraction": fraction} if fraction else {},
            "floor": values.get("floor", 0.0),
        }
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_magnitude(value: Value, *, field: str) -> None:
    if isinstance(value, str):
        return
    limit = _MAX_WHOLE if isinstance(value, int) else _MAX_REAL
    if not -limit <= value <= limit:
        raise InvalidValue(field, value=str(value), allowed=f"in [-{limit:.16g}, {limit:.16g}]")


_PEAK_LR: Final = {OptimizerKind.ADAM: (1e-4, 3e-2), OptimizerKind.SGD: (1e-3, 1.0)}


def peak_range(
    optimizer: OptimizerKind | str, *, bounds: tuple[float, float] | None = None, around: float | None = None
) -> tuple[float, float]:
    """The range of peak learning rates to search by default.

    Args:
        optimizer: Its usual range is the default.
        bounds: Lowest and highest rate to use in its place, both above 0.
        around: A rate that is known to work: the range is moved there, as wide as before on the log scale.

    Example:
        >>> from tuner import OptimizerKind
        >>> from tuner.search.space import peak_range
        >>> peak_range(OptimizerKind.ADAM, bounds=(1e-4, 1e-2), around=2e-5)
        (2e-06, 0.0002)
    """
    low, high = bounds or _PEAK_LR[choice("optimizer", optimizer, of=OptimizerKind)]
    if around is None:
        return low, high
    around, half = min(max(around, MIN_PEAK), MAX_PEAK), math.sqrt(high / low)
    # Three digits are precise enough for a range, and read well.
    low, high = float(f"{around / half:.3g}"), float(f"{around * half:.3g}")
    return max(low, MIN_PEAK), min(high, MAX_PEAK)


def default_space(
    optimizer: OptimizerKind | str, *, peak_lr: tuple[float, float] | None = None, around: float | None = None
) -> SearchSpace:
    """The space of a search that does not define one: few dimensions, strong families.

    Args:
        optimizer: Of the workload.
        peak_lr: Lowest and highest peak learning rate, both above 0; the usual range of the optimizer when absent.
        around: The peak that is used today; it becomes the middle of the range.

    Raises:
        InvalidValue: ``peak_lr`` is not a range above 0.
    """
    low, high = peak_range(optimizer, bounds=peak_lr, around=around)
    return SearchSpace(
        peak_lr=FloatRange(low=low, high=high, log=True),
        warmup=(0.0, 0.01, 0.02, 0.05, 0.1),
        floor=(0.0, 0.01, 0.1),
        families=(
            FamilySpace(name="constant"),
            FamilySpace(name="linear"),
            FamilySpace(name="cosine"),
            FamilySpace(
                name="wsd",
                params={
                    "cooldown": FloatRange(low=0.1, high=1.0),
                    "shape": Choice(values=("linear", "1-sqrt")),
                },
            ),
            FamilySpace(name="polynomial", params={"power": FloatRange(low=0.5, high=3.0)}),
            FamilySpace(name="exponential", params={"rate": FloatRange(low=2.0, high=8.0)}),
            FamilySpace(name="rex"),
        ),
    )
