"""What the routes are given: built where the process starts, held by the application, handed out by dependencies.

Dependencies that wait for nothing are coroutines: the framework would send each plain function to another thread.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from tuner.store import Store
from tuner_service.auth.guard import Guard
from tuner_service.reaper import Reaper
from tuner_service.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Everything that outlives a request."""

    settings: Settings
    store: Store
    reaper: Reaper
    guard: Guard
    """Decides who may come in."""
    closing: threading.Event
    """Set once the service has been told to stop: open event streams end."""


async def resources(request: Request) -> Resources:
    """The application's resources."""
    found: Resources = request.app.state.resources
    return found


ResourcesDep = Annotated[Resources, Depends(resources)]


async def store(resources: ResourcesDep) -> Store:
    """The database."""
    return resources.store


StoreDep = Annotated[Store, Depends(store)]

Id = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9-]+$")]
"""Ids are UUIDs; anything else that looks like a name is answered with 404."""
