"""The space of a search as requests write it: what is left out is that of the default space. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuner.jobs.admission.strict_json import RefusedPayload, refusals
from tuner.search.space import Parameter, SearchSpace, Share

_DEFAULT: Final = "that of the default space when absent."


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PeakRequest(_Request):
    """The range of the peak learning rate; an absent end, and an absent ``log``, are those of the default space."""

    kind: Literal["float"] = "float"
    low: float | None = Field(default=None, gt=0, description=f"Lowest peak, above 0; {_DEFAULT}")
    high: float | None = Field(default=None, gt=0, description=f"Highest peak; {_DEFAULT}")
    log: bool | None = Field(default=None, description=f"Spread evenly over orders of magnitude; {_DEFAULT}")


class FamilyRequest(_Request):
    """A schedule family to search."""

    name: str = Field(description="Name of a schedule family.")
    params: Mapping[str, Parameter] | None = Field(
        default=None,
        max_length=6,
        description="The varied parameters; the others have the family's defaults. When absent, the parameters that "
        "the default space varies; `{}` varies none.",
    )


class SpaceRequest(_Request):
    """Peak learning rates, warm-ups, floors and schedule families to search; absent ones are the default space's."""

    version: Literal[1] = 1
    peak_lr: PeakRequest | None = Field(default=None, description=f"Range of the peak learning rate; {_DEFAULT}")
    warmup: tuple[Share, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description=f"Lengths of a linear warm-up, as fractions of the run, 0 for none; {_DEFAULT}",
    )
    floor: tuple[Share, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description=f"Where a decay ends, as fractions of the peak; {_DEFAULT}",
    )
    families: tuple[FamilyRequest, ...] | None = Field(
        default=None, min_length=1, max_length=32, description=f"Schedule families; {_DEFAULT}"
    )

    def completed(self, default: SearchSpace) -> dict[str, Any]:
        """The space as plain values, unchecked.

        Args:
            default: The space of a request that names none.
        """
        space = default.model_dump()
        if self.peak_lr is not None:
            space["peak_lr"] |= self.peak_lr.model_dump(exclude_none=True)
        space |= {name: value for name in ("warmup", "floor") if (value := getattr(self, name)) is not None}
        if self.families is not None:
            usual = {family.name: family.params for family in default.families}
            space["families"] = tuple(
                {"name": one.name, "params": usual.get(one.name, {}) if one.params is None else one.params}
                for one in self.families
            )
        return space


def complete_space(
    request: SpaceRequest, *, default: SearchSpace, path: tuple[str, ...], model: type[BaseModel]
) -> SearchSpace:
    """The space of a request.

    Args:
        request: What it names.
        default: The space of a request that names none.
        path: Where the space stands in the request.
        model: The request's, for the words of a refusal.

    Raises:
        InvalidValue: What it names is no space.
    """
    try:
        return SearchSpace.model_validate(request.completed(default))
    except ValidationError as error:
        errors = [{**one, "loc": (*path, *one["loc"])} for one in error.errors()]
        raise RefusedPayload(refusals(errors, model=model)[0]) from None
