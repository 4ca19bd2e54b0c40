"""Wire type of workloads: what ``/v1/workloads`` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from tuner.api.views import view_of
from tuner.errors import InvalidValue
from tuner.jobs.admission.admit import admit
from tuner.jobs.records import WorkloadInfo
from tuner.search.settings import SearchSettings


class DefaultSearch(SearchSettings):
    """The search of a job that leaves everything to the defaults. It has no seed: each job gets one of its own."""

    seed: None = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class WorkloadView(WorkloadInfo):
    """A workload that a worker has announced."""

    default_search: DefaultSearch | None
    """Horizon, budget and space of a job that leaves them out; ``None`` where they would be refused, so that a job has
    to name them."""

    @classmethod
    def of(cls, info: WorkloadInfo) -> Self:
        """The workload with its default search."""
        return view_of(cls, info, default_search=_default_search(_Key(text=repr(info), info=info)))


@dataclass(frozen=True, kw_only=True)
class _Key:
    """A workload as the key of a cache."""

    text: str
    info: WorkloadInfo = field(compare=False)


@lru_cache(maxsize=256)
def _default_search(key: _Key) -> DefaultSearch | None:
    """Cached: building a space builds schedules."""
    try:
        search = admit({"workload": key.info.name}, workloads=[key.info]).search
    except InvalidValue:
        return None
    return DefaultSearch(**dict(search) | {"seed": None})
