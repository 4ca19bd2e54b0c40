"""The parameters of a search as Optuna's distributions, under the same names in every study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from tuner.search.space import Choice, FloatRange, IntRange, Parameter, SearchSpace, Value


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """The distribution of one parameter."""
    match parameter:
        case FloatRange():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case IntRange():
            return IntDistribution(parameter.low, parameter.high, log=parameter.log)
        case Choice():
            return CategoricalDistribution(parameter.values)


def distributions_of(space: SearchSpace, options: Mapping[str, Parameter]) -> dict[str, BaseDistribution]:
    """The distributions of the family, of all parameters of all families, and of the searched options.

    Args:
        space: Where to search.
        options: By their names among the parameters (`tuner.search.configuration.option_parameters`).
    """
    parameters: dict[str, Parameter] = {"family": _families(space)}
    for family in _families(space).values:
        parameters |= space.parameters(str(family))
    return {name: distribution_of(one) for name, one in (parameters | dict(options)).items()}


def suggest_point(trial: BaseTrial, space: SearchSpace) -> dict[str, Value]:
    """A point of a space, suggested parameter by parameter: the family first, then what this family has."""
    family = suggest_value(trial, "family", _families(space))
    parameters = space.parameters(str(family))
    return {"family": family, **{name: suggest_value(trial, name, one) for name, one in parameters.items()}}


def suggest_value(trial: BaseTrial, name: str, parameter: Parameter) -> Value:
    """The value that a trial suggests for one parameter."""
    match parameter:
        case FloatRange():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
        case IntRange():
            return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        case Choice():
            return cast(Value, trial.suggest_categorical(name, parameter.values))


def _families(space: SearchSpace) -> Choice:
    return Choice(values=space.keys)
