"""Objects that outlive a request, as dependencies of the routes. The application holds them.

Dependencies that do not block are coroutines: the framework runs each plain function in another thread.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Path, Request

from tuner.store import Store
from tuner_service.auth.authenticator import Authenticator
from tuner_service.reaper import Reaper
from tuner_service.settings import Settings
from tuner_service.shared_read import SharedRead
from tuner_service.standings import Standings


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The objects that outlive a request."""

    settings: Settings
    store: Store
    reaper: Reaper
    authenticator: Authenticator
    standings: Standings
    latest_event: SharedRead[int]
    """Id of the latest event of all jobs: event streams read more only when it changes."""
    readiness: SharedRead[dict[str, str]]
    """Checks of the database."""
    stream_threads: CapacityLimiter
    """Limit of the threads that compute streamed responses."""
    closing: threading.Event
    """Set when the service stops: open event streams end."""


async def resources(request: Request) -> Resources:
    """The application's resources."""
    shared: Resources = request.app.state.resources
    return shared


ResourcesDep = Annotated[Resources, Depends(resources)]


async def store(resources: ResourcesDep) -> Store:
    """The database."""
    return resources.store


StoreDep = Annotated[Store, Depends(store)]

Id = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9-]+$")]
"""Ids are UUIDs; any other name of this pattern leads to 404."""
