"""Python code of formulas: a function of one update, or of an array that a compiler traces."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from tuner.exports.formula import FUNCTIONS, Formula, Piece

_CALL: Final = re.compile(rf"\b({'|'.join(FUNCTIONS)})(?=\()|\bpi\b")
_MATH: Final = {name: f"math.{name}" for name in (*FUNCTIONS, "pi") if name not in ("min", "max")}
_SUMMARY: Final = '"""The rate of an update (the first is 0) as a fraction of the peak; level after the last."""'


@dataclass(frozen=True, kw_only=True)
class ArrayLibrary:
    """How an array library spells the functions of formulas."""

    prefix: str
    """Module prefix of the functions: ``"jnp"``."""
    number: str
    """Expression that casts an update, ``{}``, to the library's default float type."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One of several native schedules that follow each other."""

    call: str
    """The call that constructs it."""
    updates: int


JAX: Final = ArrayLibrary(prefix="jnp", number="jnp.asarray({}, dtype=float)")
KERAS: Final = ArrayLibrary(prefix="ops", number="ops.cast({}, keras.config.floatx())")


def scalar_function(formula: Formula, *, name: str = "lr_factor") -> str:
    """Code of a function of one update; it needs ``import math``.

    Args:
        formula: The formula to compute.
        name: Name of the function.
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
    return _function(f"def {name}(update):", [_qualified(line, _MATH) for line in body])


def array_function(formula: Formula, *, library: ArrayLibrary, name: str = "lr_factor") -> str:
    """Code of a function of an update that may be an array or a traced value.

    Args:
        formula: The formula to compute. The code evaluates all pieces and selects with ``where``.
        library: The array library.
        name: Name of the function.
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
    return _function(f"def {name}(update):", [_qualified(line, spelling) for line in [*body, "return factor"]])


def stage_ends(stages: Sequence[Stage]) -> list[int]:
    """The update at which each stage but the last ends."""
    return list(accumulate(stage.updates for stage in stages[:-1]))


def _returned(piece: Piece) -> list[str]:
    return [f"    {line}" for line in (*piece.lines, f"return {piece.value}")]


def _note(piece: Piece) -> str:
    return f"  # {piece.note}" if piece.note else ""


def _qualified(line: str, spelling: Mapping[str, str]) -> str:
    if line.startswith(("#", '"""')):
        return line
    code, mark, note = line.partition("  # ")
    return _CALL.sub(lambda found: spelling.get(found[0], found[0]), code) + mark + note


def _function(head: str, body: list[str]) -> str:
    return "\n".join([head, *(f"    {line}" for line in body)]) + "\n"
