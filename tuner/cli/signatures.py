"""Signatures of commands that share parameters: typer reads a command's options from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., None])


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function, keyword-only, with their annotations evaluated where their names are imported."""
    names = inspect.unwrap(function).__globals__
    return [_evaluated(parameter, names=names) for parameter in inspect.signature(function).parameters.values()]


def set_parameters(command: Command, parameters: Iterable[inspect.Parameter]) -> Command:
    """Give a command the parameters that typer shall read."""
    listed = list(parameters)
    command.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in listed}
    return command


def _evaluated(parameter: inspect.Parameter, *, names: dict[str, Any]) -> inspect.Parameter:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, names)
        except NameError:  # imported for type checking alone: no option
            annotation = inspect.Parameter.empty
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
