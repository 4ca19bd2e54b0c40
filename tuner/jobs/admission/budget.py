"""The budget of a search as requests write it: a number of full runs, or a name."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from tuner.errors import InvalidValue
from tuner.search.settings import BUDGETS, MAX_TRIALS

_NAMES: Final = ", ".join(f"{name} ({runs:g})" for name, runs in BUDGETS.items())


def _full_runs(value: Any) -> Any:
    """The number of a name; any other value as it is, for the checks that follow."""
    if not isinstance(value, str):
        return value
    if value not in BUDGETS:
        raise InvalidValue("budget", value=value, allowed=f"a number of full runs from 1, or one of {_NAMES}")
    return BUDGETS[value]


Budget = Annotated[
    float,
    BeforeValidator(_full_runs),
    Field(ge=1.0, le=MAX_TRIALS, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 1.0, "maximum": MAX_TRIALS}, {"enum": list(BUDGETS)}],
            "description": "What the job may cost, everything included: a number of full runs (the updates of one run "
            f"at the horizon), or a name: {_NAMES}. What would not change the recommendation is not spent.",
            "title": "Budget",
        }
    ),
]
"""A budget in full runs, which may be named."""
