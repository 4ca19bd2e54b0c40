"""Wire types of what a schedule may be and what it can be exported to."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from tuner.exports import EXPORTERS, ExportFormat
from tuner.schedules import FAMILIES

CURVE_POINTS: Final = 101
"""Of a family's picture, evenly spaced over the run, its end included."""
_PICTURED: Final[Mapping[str, Mapping[str, Any]]] = {
    "exponential": {"rate": 4.0},
    "reduce_on_plateau": {"patience": 2},
    "piecewise_linear": {"knots": ({"at": 0.0, "factor": 1.0}, {"at": 0.5, "factor": 0.3}, {"at": 1.0, "factor": 0.0})},
    "segments": {
        "segments": (
            {"kind": "constant", "length": 0.4, "start": 1.0, "end": 1.0},
            {"kind": "cosine", "start": 1.0, "end": 0.0},
        )
    },
}
"""Values of the parameters without a default, for the picture of a family."""


@dataclass(frozen=True, kw_only=True)
class FamilyParameter:
    """A parameter of a family."""

    name: str
    required: bool
    """Whether it has no default."""
    default: Any
    """``None`` where there is none."""
    schema: dict[str, Any]
    """Its JSON schema, bounds included."""


@dataclass(frozen=True, kw_only=True)
class FamilyView:
    """A family of schedules: the shape between the warm-up and the end of the run."""

    name: str
    description: str
    parameters: tuple[FamilyParameter, ...]
    takes_warmup: bool
    """Whether it starts at the peak, so that a warm-up may come before it."""
    follows_loss: bool
    """Whether its rates depend on the losses of the run, and not on the update alone."""
    example: dict[str, Any]
    """The family of the picture, as JSON: its defaults, and a usual value of every parameter without one."""
    curve: tuple[float, ...]
    """The picture: fractions of the peak at 101 evenly spaced points of a run without warm-up and floor; of a family
    whose rates follow the loss, those of a usual run."""

    @classmethod
    def of(cls, name: str) -> Self:
        """The family of a name of `FAMILIES`."""
        kind = FAMILIES[name]
        family = kind.model_validate(_PICTURED.get(name, {}))
        times = np.linspace(0.0, CURVE_POINTS - 1.0, CURVE_POINTS)
        return cls(
            name=name,
            description=(inspect.getdoc(kind) or "").partition("\n")[0],
            parameters=tuple(_parameters(kind.model_json_schema())),
            takes_warmup=family.starts_at_peak,
            follows_loss=family.follows_loss,
            example=family.model_dump(mode="json", exclude_none=True),
            curve=tuple(family.stand_in.factors(times, n=CURVE_POINTS - 1, floor=0.0).tolist()),
        )


@dataclass(frozen=True, kw_only=True)
class FormatView:
    """A format that a schedule can be exported to."""

    name: ExportFormat
    description: str
    native: str
    """What the library's native schedules express exactly; everything else becomes a function."""
    requires: str
    """Packages that the export needs; empty when it needs none."""
    media_type: str
    extension: str
    """Of a file name, without the dot."""

    @classmethod
    def of(cls, format: ExportFormat) -> Self:
        """The format of a name."""
        exporter = EXPORTERS[format]
        return cls(
            name=format,
            description=exporter.description,
            native=exporter.native,
            requires=exporter.requires,
            media_type=exporter.media_type,
            extension=exporter.extension,
        )


def _parameters(schema: Mapping[str, Any]) -> Iterator[FamilyParameter]:
    definitions = schema.get("$defs", {})
    for name, declared in schema["properties"].items():
        if name == "name":
            continue
        plain = _inlined(declared, definitions=definitions)
        required = "default" not in plain
        yield FamilyParameter(name=name, required=required, default=plain.get("default"), schema=plain)


def _inlined(schema: Any, *, definitions: Mapping[str, Any]) -> Any:
    """A schema with each reference replaced by what it refers to; none refers to itself."""
    if isinstance(schema, list):
        return [_inlined(one, definitions=definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions=definitions)
    return {name: _inlined(one, definitions=definitions) for name, one in schema.items() if name != "title"}
