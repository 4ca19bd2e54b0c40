"""``tuner submit --family``: a family of the search, with its parameters in words. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tuner.cli.parsing import parse_ranges
from tuner.cli.schedule_documents import check_family
from tuner.errors import InvalidValue

OPTION: Final = "--family"
_ALIAS: Final = "as"
_UNIT: Final = re.compile(r"(?<=[\d.])(%|epochs?|updates?)(?=$|[.,:])")
_UNITS: Final = {"epoch": "epochs", "update": "updates"}
_FORMS: Final = (
    "a family, several with commas, or one with parameters: 'step gamma=0.1..0.5 every=5..30epochs', "
    "'cyclic period=4epochs mode=triangular,triangular2'"
)


def parse_families(texts: Sequence[str]) -> list[dict[str, Any]]:
    """The families of ``search.space`` that options name.

    Args:
        texts: Each a family, several with commas, or one followed by ``NAME=VALUE``, where a value stays fixed, a range
            ``LOW..HIGH`` or a list ``ONE,OTHER`` is varied, and numbers may end in ``%``, ``epochs`` or ``updates``.

    Raises:
        InvalidValue: A text has none of these forms, or there is no such family.
    """
    families: dict[str, dict[str, Any]] = {}
    for text in texts:
        for one in _families(text):
            key = one.get("alias", one["name"])
            if key in families and len(one) > 1 and "alias" not in one:
                key = next(f"{key}-{number}" for number in range(2, 99) if f"{key}-{number}" not in families)
                one["alias"] = key
            families.setdefault(key, one)
    return list(families.values())


def _families(text: str) -> Iterator[dict[str, Any]]:
    name, *words = text.split() or [""]
    if not words or "=" not in words[0]:
        for part in text.split(","):
            check_family(part.strip(), field=OPTION)
            yield {"name": part.strip()}
        return
    check_family(name, field=OPTION)
    yield _with_parameters(name, words)


def _with_parameters(name: str, words: Sequence[str]) -> dict[str, Any]:
    family: dict[str, Any] = {"name": name}
    fixed: dict[str, Any] = {}
    params: dict[str, Any] = {}
    for word in words:
        parameter, equals, value = word.partition("=")
        if not (parameter and equals and value):
            raise InvalidValue(OPTION, value=word, allowed=_FORMS)
        if parameter == _ALIAS:
            family["alias"] = value
            continue
        number, unit = _without_unit(value)
        if ".." in value or "," in value:
            path = f"{parameter}.{unit}" if unit in ("epochs", "updates") else parameter
            params[path] = _varied(number, name=parameter, share=unit == "%")
        else:
            fixed[parameter] = _fixed(number, unit=unit)
    return family | ({"fixed": fixed} if fixed else {}) | {"params": params}


def _without_unit(value: str) -> tuple[str, str]:
    """A value without the unit at its end, or at the ends of all of its numbers, and that unit."""
    units = {_UNITS.get(found, found) for found in _UNIT.findall(value)}
    if len(units) > 1:
        raise InvalidValue(OPTION, value=value, allowed="in one unit")
    return _UNIT.sub("", value), next(iter(units), "")


def _varied(text: str, *, name: str, share: bool) -> dict[str, Any]:
    parameter = parse_ranges([f"{name}={text}"], option=OPTION)[name]
    if not share:
        return parameter
    if parameter["kind"] == "choice":
        return {**parameter, "values": [value / 100 for value in parameter["values"]]}
    return {**parameter, "kind": "float", "low": parameter["low"] / 100, "high": parameter["high"] / 100}


def _fixed(text: str, *, unit: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    match unit:
        case "%":
            return value / 100
        case "epochs" | "updates":
            return {unit: value}
        case _:
            return value
