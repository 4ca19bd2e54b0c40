"""Reads the text of a JSON document as strictly as its values are read; each refusal names the place."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.jobs.admission.strict_json import MAX_DEPTH, Loc, Refusal, RefusedPayload, dotted

_EXCERPT: Final = 40


class _Repeating(dict[str, Any]):
    """An object in which a key stands twice."""

    repeated: str


def read_json(document: bytes | str) -> Any:
    """The value of a JSON document in UTF-8.

    Raises:
        InvalidValue: It is no JSON, or a key stands twice in one object, of which other readers would use the last in
            silence; a number has thousands of digits; or it is nested too deeply.
    """
    found = False

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        found = True
        repeating = _Repeating(made)
        names = [name for name, _ in pairs]
        repeating.repeated = next(name for name in names if names.count(name) > 1)
        return repeating

    text = _decoded(document)
    try:
        value = json.loads(text, object_pairs_hook=read_object)
    except json.JSONDecodeError as error:
        near = error.doc[error.pos : error.pos + _EXCERPT]
        raise _no_json(
            f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}", value=near
        ) from None
    except RecursionError:
        raise InvalidValue("request", value="...", allowed=f"nested at most {MAX_DEPTH} deep") from None
    except ValueError:  # of Python's limit to the digits of a whole number
        digits = max(re.findall(r"\d+", text), key=len)
        allowed = "made of numbers of at most a few hundred digits"
        raise InvalidValue("request", value=f"{digits[:_EXCERPT]}...", allowed=allowed) from None
    if found:
        _refuse_repetition(value, loc=())
    return value


def _decoded(document: bytes | str) -> str:
    if isinstance(document, str):
        return document
    try:
        return document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_json(f"byte {error.start} (0x{error.object[error.start]:02x}) is no UTF-8") from None


def _no_json(reason: str, *, value: str | None = None) -> RefusedPayload:
    message = f"request is not JSON: {reason}" + (f", got {value!r}" if value else "")
    return RefusedPayload(Refusal(loc=(), field="request", message=message, value=value, allowed="valid JSON", hint=""))


def _refuse_repetition(value: Any, *, loc: Loc) -> None:
    if isinstance(value, _Repeating):
        field = dotted((*loc, value.repeated))
        raise InvalidValue(field, value=value[value.repeated], allowed="given once", hint="It stands twice")
    if len(loc) > MAX_DEPTH:
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        _refuse_repetition(inner, loc=(*loc, key))
