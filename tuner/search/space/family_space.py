"""One family of a space: its fixed and its varied parameters, and the schedules' families that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_jsonable_python

from tuner.errors import InvalidValue
from tuner.schedules import FAMILIES
from tuner.search.space.parameters import Frozen, IntRange, Parameter, Value
from tuner.validation import one_of_names


class FamilySpace(Frozen):
    """A schedule family to search, with its fixed and its varied parameters; the others have the family's defaults.

    The name of a varied parameter may lead into a length, a list or a segment: ``period.epochs``, ``milestones.0``,
    ``segments.1.length``. What it leads into is taken from the fixed parameters, else from the family's default.

    Example:
        >>> from tuner.search.space import FamilySpace, IntRange
        >>> step = FamilySpace(
        ...     name="step",
        ...     fixed={"gamma": 0.1, "every": {"updates_per_epoch": 391}},
        ...     params={"every.epochs": IntRange(low=5, high=30)},
        ... )
        >>> step.document({"every.epochs": 10})
        {'gamma': 0.1, 'every': {'updates_per_epoch': 391, 'epochs': 10}, 'name': 'step'}
    """

    name: str = Field(description="Name of a schedule family.")
    alias: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_-]{0,39}$",
        description="Its name in the study and the first part of its parameters' names, for a family that stands in "
        "the space twice; that of the family when absent.",
    )
    fixed: Mapping[str, Any] = Field(
        default_factory=dict,
        max_length=8,
        description="Parameters of the family that all its schedules have, as in a schedule's JSON.",
    )
    params: Mapping[str, Parameter] = Field(
        default_factory=dict,
        max_length=8,
        description="The varied parameters; a dotted name leads into a length, a list or a segment: `period.epochs`, "
        "`milestones.0`, `segments.1.length`.",
    )

    def check_names(self) -> None:
        """Check that the family, and the parameters of it that are named, exist.

        Raises:
            InvalidValue: One does not, or a parameter is both fixed and varied.
        """
        if self.name not in FAMILIES:
            raise InvalidValue("name", value=self.name, allowed=f"one of {', '.join(FAMILIES)}")
        known = [name for name in FAMILIES[self.name].model_fields if name != "name"]
        for field, names in (("fixed", self.fixed), ("params", self.params)):
            for name in names:
                if name.partition(".")[0] not in known:
                    allowed = one_of_names(known, kind=f"parameters of {self.name}")
                    raise InvalidValue(field, value=name, allowed=allowed)
        for name in self.fixed.keys() & self.params.keys():
            raise InvalidValue(f"fixed.{name}", value=self.fixed[name], allowed="absent: the parameter is varied")

    @property
    def key(self) -> str:
        """Its name in points of the space: the alias, else the family's name."""
        return self.alias or self.name

    def document(self, values: Mapping[str, Value]) -> dict[str, Any]:
        """The JSON of the family, unchecked.

        Args:
            values: Of all varied parameters, by their names.

        Raises:
            InvalidValue: A name leads nowhere.
        """
        document = deepcopy(dict(self.fixed))
        for name, value in values.items():
            self._set(document, name, value=value)
        return {**document, "name": self.name}

    def values_of(self, family: BaseModel) -> dict[str, Value] | None:
        """The values of the varied parameters in a family; ``None`` where it has not all of them."""
        found: dict[str, Value] = {}
        for name, parameter in self.params.items():
            value = _get(family, name.split("."))
            if value is None:
                return None
            # Lengths are floats, also where whole numbers of updates or epochs are searched.
            whole = isinstance(parameter, IntRange) and isinstance(value, float) and value.is_integer()
            found[name] = int(value) if whole else value
        return found

    def first(self) -> dict[str, Value]:
        """One value of every varied parameter."""
        return {name: parameter.corners[0] for name, parameter in self.params.items()}

    @property
    def starts_at_peak(self) -> bool:
        """Whether its schedules start at the peak, which a warm-up requires."""
        try:
            return FAMILIES[self.name].model_validate(self.document(self.first())).starts_at_peak
        except (ValidationError, InvalidValue):
            return True  # building its corners will report the error

    def _set(self, document: dict[str, Any], name: str, *, value: Value) -> None:
        first, *parts = name.split(".")
        if not parts:
            document[first] = value
            return
        if first not in document:
            document[first] = to_jsonable_python(FAMILIES[self.name].model_fields[first].get_default())
        if not isinstance(document[first], dict | list):  # a fraction or nothing makes room for updates or epochs
            document[first] = {}
        node = document[first]
        for part, later in zip(parts, [*parts[1:], None], strict=True):
            key = _key_in(node, part)
            if key is None:
                raise InvalidValue(
                    f"params.{name}",
                    value=part,
                    allowed=f"a part of {first}",
                    hint=f"Write {first} into the family's fixed parameters, with that part.",
                )
            if later is None:
                node[key] = value
                return
            if not isinstance(node[key] if isinstance(node, list) else node.get(key), dict | list):
                node[key] = {}
            node = node[key]


def _key_in(node: dict[str, Any] | list[Any], part: str) -> Any:
    """The key or index of a part; ``None`` where a list has no such one."""
    if isinstance(node, dict):
        return part
    return int(part) if part.isdecimal() and int(part) < len(node) else None


def _get(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(value, tuple):
            value = value[int(part)] if part.isdecimal() and int(part) < len(value) else None
        else:
            value = getattr(value, part, None)
    return value if isinstance(value, bool | int | float | str) else None


def without_prefix(values: Mapping[str, Value], *, key: str) -> Iterator[tuple[str, Value]]:
    """The family's own values in a point of a space, by the names of its parameters."""
    for name, value in values.items():
        if name.startswith(f"{key}."):
            yield name[len(key) + 1 :], value
