"""Reads JSON from outside strictly, and explains each refusal.

Strictly: ``true`` and ``"3"`` are not numbers, 3.5 is not a whole number, and an unknown field is refused, not dropped.
The service and `tuner.tune` both use it, so they refuse in the same words.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from tuner.errors import MISSING, InvalidValue, refusal_text
from tuner.jobs.admission.settings_names import where_set
from tuner.text import is_storable
from tuner.validation import allowed_by, one_of_names

MAX_DEPTH = 32
"""Nested objects and arrays; far more than any request needs."""
MAX_VALUES = 10_000
"""Values of one request; each is checked while others wait, and the longest schedules and spaces have some hundreds."""
_SHOWN_CHARACTERS = 200
_SEARCHED_DEPTH = 3

Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One refused value of a payload."""

    loc: Loc
    """Its location, part by part, from the outermost object."""
    field: str
    """The location, dotted: ``"search.space.families"``."""
    message: str
    value: Any
    """The value as JSON; cut when long, ``None`` when absent."""
    allowed: str
    """What would have been accepted, in words that continue "must be"."""
    hint: str


class RefusedPayload(InvalidValue):
    """A refusal as an error.

    Args:
        refusal: The refusal.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.field, value=refusal.value, allowed=refusal.allowed, hint=refusal.hint)
        self.refusal = refusal
        self.args = (refusal.message,)


def parse_strict(model: type[Model], payload: Any) -> Model:
    """Build a model from the result of `json.loads`, or from plain Python values that JSON can express.

    Args:
        model: The pydantic model to build.
        payload: Nested dicts, lists and scalars; models inside count as their JSON. A model with a static method
            ``prepared`` gets what that makes of it.

    Raises:
        InvalidValue: Text that no database can store, a number that is not finite, nesting deeper than `MAX_DEPTH`, or
            more than `MAX_VALUES` values.
        pydantic.ValidationError: Anything else; `refusals` describes it.
    """
    _check_size(payload)
    check_storable(payload)
    prepare = getattr(model, "prepared", None)
    try:
        payload = payload if prepare is None else prepare(payload)
        text = to_json(payload)
    except PydanticSerializationError as error:
        raise InvalidValue("request", value=type(payload).__name__, allowed="made of JSON values") from error
    return model.model_validate_json(text, strict=True)


def request_digest(payload: Mapping[str, Any]) -> str:
    """The digest of a request, stored with its idempotency key: equal for equal JSON in any order of fields.

    Args:
        payload: The request, before defaults are filled in.

    Returns:
        SHA-256 of its canonical JSON, in hexadecimal.
    """
    canonical = json.dumps(to_jsonable_python(payload), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def refusals(errors: Iterable[Mapping[str, Any]], *, model: type[BaseModel] | None = None) -> tuple[Refusal, ...]:
    """The refusals that pydantic's errors describe.

    Args:
        errors: From ``ValidationError.errors()``.
        model: The model that refused; with it, the refusal of an unknown field lists the known ones.
    """
    schema = {} if model is None else model.model_json_schema()
    return tuple(_refusal(error, schema=schema) for error in errors)


def refusal_of(error: InvalidValue) -> Refusal:
    """The refusal that an error of the library describes."""
    if isinstance(error, RefusedPayload):
        return error.refusal
    path = tuple(error.field.split("."))
    return _refused(path, loc=path, value=error.value, allowed=error.allowed, hint=error.hint)


def unknown_field(
    path: Loc, *, loc: Loc, known: Iterable[str], value: Any, kind: str = "known fields", set_by: str = ""
) -> Refusal:
    """The refusal of an unknown field, with the known ones and the closest match.

    Args:
        path: Its location, without the tags of unions.
        loc: Its location with them.
        known: The names of the known fields; empty when they are not known.
        value: Its value.
        kind: The word for the known fields, in the plural.
        set_by: The field that sets what the name usually means, where there is one.
    """
    names = tuple(known)
    close = get_close_matches(str(path[-1]), names, n=1)
    meant = [f"It is set by `{set_by}`."] if set_by else []
    meant += [f"Did you mean {close[0]!r}?"] if close else []
    hint = " ".join(meant) or "Leave it out."
    one_of = one_of_names(names, kind=kind) if names else f"one of the {kind}"
    return Refusal(
        loc=loc,
        field=dotted(path),
        message=f"{dotted(path)} is not {one_of}. {hint}",
        value=shown(value),
        allowed=one_of if names else "absent",
        hint=hint,
    )


def shown(value: Any) -> Any:
    """A value as JSON, cut to a readable length, for an error message."""
    plain = to_jsonable_python(value, fallback=repr, inf_nan_mode="strings")
    text = plain if isinstance(plain, str) else json.dumps(plain)
    return plain if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def check_storable(value: Any, *, loc: Loc = ()) -> None:
    """Check that a JSON value can be stored: its text, its numbers, its depth.

    Raises:
        InvalidValue: Text that no database can store, a number that is not finite, or nesting deeper than `MAX_DEPTH`.
    """
    if len(loc) > MAX_DEPTH:
        raise InvalidValue(dotted(loc[:3]), value="...", allowed=f"nested at most {MAX_DEPTH} deep")
    if isinstance(value, str):
        if not is_storable(value):
            raise InvalidValue(dotted(loc), value=ascii(value), allowed="text without NUL and unpaired surrogates")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue(dotted(loc), value=str(value), allowed="a finite number")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_storable(key, loc=loc)
            check_storable(inner, loc=(*loc, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            check_storable(inner, loc=(*loc, index))


def _check_size(payload: Any) -> None:
    waiting, count = [payload], 0
    while waiting:
        count += 1
        if count > MAX_VALUES:
            raise InvalidValue("request", value="more", allowed=f"made of at most {MAX_VALUES:,} values")
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)


def dotted(loc: Iterable[str | int]) -> str:
    """A location in dotted form: ``("a", 0, "b")`` is ``"a.0.b"``."""
    return ".".join(str(part) for part in loc) or "request"


def _refusal(error: Mapping[str, Any], *, schema: Mapping[str, Any]) -> Refusal:
    kind, context = error["type"], error.get("ctx", {})
    path, known = _place(schema, loc=tuple(error["loc"]), last_is_field=kind == "extra_forbidden")
    cause = context.get("error")
    if isinstance(cause, InvalidValue):
        path = _joined(path, field=cause.field)
        return _refused(path, loc=error["loc"], value=cause.value, allowed=cause.allowed, hint=cause.hint)
    if kind == "extra_forbidden":
        elsewhere = _where_set(str(path[-1]), schema=schema)
        return unknown_field(path, loc=error["loc"], known=known, value=error["input"], set_by=elsewhere)
    allowed = allowed_by(error)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        path = (*path, context["discriminator"].strip("'"))
    if kind == "union_tag_invalid":
        return _refused(path, loc=error["loc"], value=context["tag"], allowed=allowed)
    if kind in {"missing", "union_tag_not_found", "json_invalid"}:
        field, what = dotted(path), f"is not JSON: {context['error']}" if kind == "json_invalid" else "is missing"
        return Refusal(loc=error["loc"], field=field, message=f"{field} {what}", value=None, allowed=allowed, hint="")
    return _refused(path, loc=error["loc"], value=error["input"], allowed=allowed)


def _refused(path: Loc, *, loc: Loc, value: Any, allowed: str, hint: str = "") -> Refusal:
    field, cut = dotted(path), value if value is MISSING else shown(value)
    message = refusal_text(field, value=cut, allowed=allowed, hint=hint, write=_json_text)
    return Refusal(
        loc=loc, field=field, message=message, value=None if cut is MISSING else cut, allowed=allowed, hint=hint
    )


def _json_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _joined(path: Loc, *, field: str) -> Loc:
    """Append a validator's field, which may repeat the end of the path."""
    parts = tuple(field.split("."))
    if not all(part.isidentifier() or part.isdecimal() for part in parts):
        return path  # a validator that describes its value in words ("a fraction of the run")
    for overlap in range(min(len(path), len(parts)), 0, -1):
        if path[-overlap:] == parts[:overlap]:
            return path + parts[overlap:]
    return path + parts


def _place(schema: Mapping[str, Any], *, loc: Loc, last_is_field: bool) -> tuple[Loc, tuple[str, ...]]:
    """Follow a location through a JSON schema.

    Args:
        schema: The schema of the outermost object; empty when unknown.
        loc: Pydantic's location, in which the tags of unions stand between the fields.
        last_is_field: Whether the last part is a field that the schema lacks.

    Returns:
        The location without tags, and the names of the fields next to its last part.
    """
    definitions = schema.get("$defs", {})
    node, path, known = schema, list[str | int](), tuple[str, ...]()
    for position, part in enumerate(loc):
        options = list(_branches(node, definitions=definitions))
        known = tuple(dict.fromkeys(name for option in options for name in option.get("properties", {})))
        tagged: Mapping[str, str] = next(
            (option["discriminator"]["mapping"] for option in options if "discriminator" in option), {}
        )
        if isinstance(part, str) and part in tagged:
            node = {"$ref": tagged[part]}
            continue
        is_field = last_is_field and position == len(loc) - 1
        is_field |= any(isinstance(option.get("additionalProperties"), Mapping) for option in options)
        if len(options) > 1 and isinstance(part, str) and part not in known and not is_field:
            continue  # the tag of a union that the schema does not name
        path.append(part)
        node = next((found for option in options if (found := _child(option, part=part)) is not None), {})
    return tuple(path), known


def _where_set(name: str, *, schema: Mapping[str, Any]) -> str:
    """The field elsewhere in a payload that has a name, or that sets what the name usually means; empty where none."""
    if "search" in schema.get("properties", {}) and (usual := where_set(name)):
        return usual
    definitions, place = schema.get("$defs", {}), [("", schema)]
    for path, node in place:  # grows: breadth first
        for option in _branches(node, definitions=definitions):
            for field, child in option.get("properties", {}).items():
                if field == name:
                    return f"{path}{field}"
                if path.count(".") < _SEARCHED_DEPTH:
                    place.append((f"{path}{field}.", child))
    return ""


def _branches(node: Mapping[str, Any], *, definitions: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The node or its reference, and each of its alternatives."""
    if "$ref" in node:
        node = definitions.get(node["$ref"].rsplit("/", 1)[-1], {})
    yield node
    if "discriminator" not in node:
        for option in (*node.get("anyOf", ()), *node.get("oneOf", ())):
            yield from _branches(option, definitions=definitions)


def _child(node: Mapping[str, Any], *, part: str | int) -> Mapping[str, Any] | None:
    if isinstance(part, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return found if isinstance(found, Mapping) else None
