"""Formulas as Python: for one update at a time, or for arrays that a compiler traces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuner.exports.formula import FUNCTIONS, Formula, Piece

_CALL: Final = re.compile(rf"\b({'|'.join(FUNCTIONS)})(?=\()|\bpi\b")
_PLAIN: Final = {name: f"math.{name}" for name in (*FUNCTIONS, "pi") if name not in ("min", "max")}
_SUMMARY: Final = '"""The rate of an update (the first is 0) as a fraction of the peak; level after the last."""'


@dataclass(frozen=True, kw_only=True)
class ArrayLibrary:
    """How a library of arrays calls what formulas use."""

    prefix: str
    """Of the functions: ``"jnp"``."""
    number: str
    """An update as a number of the library's usual precision, with ``{}`` for the update."""


JAX: Final = ArrayLibrary(prefix="jnp", number="jnp.asarray({}, dtype=float)")
KERAS: Final = ArrayLibrary(prefix="ops", number="ops.cast({}, keras.config.floatx())")


def scalar_function(formula: Formula, *, name: str = "lr_factor") -> str:
    """A function of one update, which needs ``import math``.

    Args:
        formula: What it computes.
        name: Of the function.
    """
    body = [_SUMMARY, f"u = min(update, {formula.total_steps})"]
    if formula.warmup is not None:
        body += [f"if u < {formula.warmup_steps}:{_note(formula.warmup)}", *_returned(formula.warmup)]
    body.append(f"t = u - {formula.warmup_steps}" if formula.warmup_steps else "t = u")
    for piece, after in zip(formula.pieces, [*formula.pieces[1:], None], strict=True):
        if after is None:
            note = [f"# {piece.note}"] if piece.note else []
            body += [*note, *(line.removeprefix("    ") for line in _returned(piece))]
        else:
            body += [f"if t < {after.first}:{_note(piece)}", *_returned(piece)]
    if not any(re.search(r"\bt\b", line) for line in body[2:] if not line.startswith("t = ")):
        body.remove(next(line for line in body if line.startswith("t = ")))
    return _function(f"def {name}(update):", [_spelt(line, _PLAIN) for line in body])


def array_function(formula: Formula, *, library: ArrayLibrary, name: str = "lr_factor") -> str:
    """A function of an update that may be an array or a value still to be known.

    Args:
        formula: What it computes. All of its pieces are computed and the right one is chosen.
        library: What computes it.
        name: Of the function.
    """
    names = {"min": "minimum", "max": "maximum"}
    spelling = {each: f"{library.prefix}.{names.get(each, each)}" for each in FUNCTIONS} | {"pi": "math.pi"}
    update = library.number.format("update")
    body = [_SUMMARY, f"u = {library.prefix}.minimum({update}, {float(formula.total_steps)!r})"]
    body.append(f"t = u - {float(formula.warmup_steps)!r}" if formula.warmup_steps else "t = u")
    for index, piece in enumerate(formula.pieces):
        body += [f"# {piece.note}"] if piece.note else []
        value = piece.value if index else f"{piece.value} + 0 * t"
        chosen = f"{library.prefix}.where(t < {float(piece.first)!r}, factor, {value})" if index else value
        body += [*piece.lines, f"factor = {chosen}"]
    if formula.warmup is not None:
        rise, length = formula.warmup, float(formula.warmup_steps)
        chosen = f"{library.prefix}.where(u < {length!r}, {rise.value}, factor)"
        body += [f"# {rise.note}", *rise.lines, f"factor = {chosen}"]
    return _function(f"def {name}(update):", [_spelt(line, spelling) for line in [*body, "return factor"]])


def indented(text: str, *, by: int = 4) -> str:
    """The text, moved to the right."""
    return "".join(f"{' ' * by}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _returned(piece: Piece) -> list[str]:
    return [f"    {line}" for line in (*piece.lines, f"return {piece.value}")]


def _note(piece: Piece) -> str:
    return f"  # {piece.note}" if piece.note else ""


def _spelt(line: str, spelling: Mapping[str, str]) -> str:
    if line.startswith(("#", '"""')):
        return line
    code, mark, note = line.partition("  # ")
    return _CALL.sub(lambda found: spelling.get(found[0], found[0]), code) + mark + note


def _function(head: str, body: list[str]) -> str:
    return "\n".join([head, *(f"    {line}" for line in body)]) + "\n"
