"""What a value may be, in words that continue "must be": one phrase per kind of limit, wherever the limit is checked.

Limits are named by the keywords of JSON Schema. Pydantic's error types are mapped to these keywords.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypeVar

from tuner.errors import InvalidValue

_Member = TypeVar("_Member", bound=Enum)
_TYPES: Final[Mapping[str, str]] = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "object": "a JSON object",
    "array": "a JSON array",
    "null": "null",
}
_PHRASES: Final[Mapping[str, Callable[[Any], str]]] = {
    "type": lambda names: _TYPES[names] if isinstance(names, str) else " or ".join(map(_TYPES.__getitem__, names)),
    "enum": lambda values: _one_of([repr(value) for value in values]),
    "const": repr,
    "minimum": lambda limit: f"at least {_number(limit)}",
    "maximum": lambda limit: f"at most {_number(limit)}",
    "exclusiveMinimum": lambda limit: f"above {_number(limit)}",
    "exclusiveMaximum": lambda limit: f"below {_number(limit)}",
    "multipleOf": lambda step: f"a multiple of {_number(step)}",
    "minLength": lambda limit: f"text of at least {_characters(limit)}",
    "maxLength": lambda limit: f"text of at most {_characters(limit)}",
    "pattern": "text that matches {}".format,
    "minItems": "a list of at least {}".format,
    "maxItems": "a list of at most {}".format,
    "minProperties": "an object of at least {}".format,
    "maxProperties": "an object of at most {}".format,
}
_TYPE_ERRORS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "boolean"),
    "string_type": "string",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "object"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "array"),
}
_LIMIT_ERRORS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("minimum", "ge"),
    "less_than_equal": ("maximum", "le"),
    "greater_than": ("exclusiveMinimum", "gt"),
    "less_than": ("exclusiveMaximum", "lt"),
    "multiple_of": ("multipleOf", "multiple_of"),
    "string_too_short": ("minLength", "min_length"),
    "string_too_long": ("maxLength", "max_length"),
    "string_pattern_mismatch": ("pattern", "pattern"),
}
"""Pydantic's error type: the keyword, and where the error's context holds the limit."""
_OTHER_ERRORS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "given",
    "union_tag_not_found": lambda _: "given",
    "extra_forbidden": lambda _: "absent",
    "finite_number": lambda _: "a finite number",
    "json_invalid": lambda _: "valid JSON",
    **dict.fromkeys(
        ("time_delta_type", "time_delta_parsing"), lambda _: "a duration: seconds, or ISO 8601 as in PT30S"
    ),
    "literal_error": lambda context: _expected(context["expected"]),
    "enum": lambda context: _expected(context["expected"]),
    "union_tag_invalid": lambda context: _expected(context["expected_tags"]),
    "too_short": lambda context: phrase(f"min{_size_of(context)}", context["min_length"]),
    "too_long": lambda context: phrase(f"max{_size_of(context)}", context["max_length"]),
}


def without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Reads an object for `json.loads` (``object_pairs_hook``), which alone uses the last of two equal keys in silence.

    Raises:
        InvalidValue: A key stands in it twice.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValue(twice, value=made[twice], allowed="given once", hint="It stands twice")
    return made


def phrase(keyword: str, limit: Any, *, message: str = "") -> str:
    """The words for a limit: ``phrase("minimum", 1)`` is ``"at least 1"``.

    Args:
        keyword: A keyword of JSON Schema.
        limit: Its value.
        message: The validator's own words, for a keyword that has no phrase.
    """
    known = _PHRASES.get(keyword)
    return known(limit) if known else f"valid ({message or keyword})"


def choice(field: str, value: object, *, of: type[_Member]) -> _Member:
    """The member of an enum that a value is, or names.

    Public functions take names in place of members: a comparison by identity would take each name for another member.

    Args:
        field: What the value is for.
        value: A member, or its value.
        of: The enum.

    Raises:
        InvalidValue: It is neither.
    """
    try:
        return of(value)
    except ValueError:
        raise InvalidValue(field, value=value, allowed=phrase("enum", [member.value for member in of])) from None


def allowed_by(error: Mapping[str, Any]) -> str:
    """The words for the limit that one of pydantic's errors is about.

    Args:
        error: An entry of ``ValidationError.errors()``.
    """
    kind, context = error["type"], error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InvalidValue):
        return cause.allowed
    if kind in _TYPE_ERRORS:
        return phrase("type", _TYPE_ERRORS[kind])
    if kind in _LIMIT_ERRORS:
        keyword, name = _LIMIT_ERRORS[kind]
        return phrase(keyword, context[name])
    other = _OTHER_ERRORS.get(kind)
    return other(context) if other else f"valid ({error['msg']})"


def limits_of(schema: Mapping[str, Any]) -> str:
    """The words for all limits of a scalar's JSON schema: ``"a whole number, at least 1, at most 8"``."""
    choices = [keyword for keyword in ("enum", "const") if keyword in schema]
    return ", ".join(phrase(keyword, schema[keyword]) for keyword in choices or _PHRASES if keyword in schema)


def one_of_names(names: Iterable[str], *, kind: str) -> str:
    """The words for a name that must be a known one: ``"one of the options: width, depth"``.

    Args:
        names: The known ones.
        kind: What they name, in the plural: ``"options"``.
    """
    known = ", ".join(names)
    return f"one of the {kind}: {known}" if known else f"absent: there are no {kind}"


def _characters(number: int) -> str:
    return "1 character" if number == 1 else f"{number} characters"


def _one_of(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"


def _expected(text: str) -> str:
    """Pydantic's list of choices, ``"'a', 'b' or 'c'"``, in the words of ``enum``."""
    listed = re.sub(r" or (?=(?:'[^']*'|[^\s']+)$)", ", ", text)
    return f"one of {listed}" if ", " in listed else listed


def _size_of(context: Mapping[str, Any]) -> str:
    return "Properties" if context.get("field_type") == "Dictionary" else "Items"


def _number(limit: Any) -> Any:
    """A whole limit without its fraction, as the same limit is 0 in a schema and 0.0 in pydantic's context."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() and abs(limit) < 1e15 else limit
