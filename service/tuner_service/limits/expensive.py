"""Limits of the requests that cost much time or memory: how many run at a time, and on how many threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends

from tuner_service.access import PrincipalDep
from tuner_service.resources import ResourcesDep

STREAM_THREADS: Final = 2
"""Threads that compute the blocks of all streams: more would only delay the other requests of the process."""


async def count_expensive(principal: PrincipalDep, resources: ResourcesDep) -> AsyncIterator[None]:
    """A dependency that counts an expensive request until its response has been read.

    Raises:
        TooManyRequests: Too many of the caller's, or of all callers', are under way.
    """
    with resources.authenticator.expensive.one(principal.user):
        yield


EXPENSIVE: Final = Depends(count_expensive)
"""For the ``dependencies=`` of a route whose work or size a number in the request decides."""


async def streamed(blocks: Iterable[str], *, threads: CapacityLimiter) -> AsyncIterator[str]:
    """Blocks of a response, each computed on a thread when the client has read the previous ones.

    Args:
        blocks: Not empty each.
        threads: Limit of the threads of all streams.
    """
    iterator = iter(blocks)
    while block := await run_sync(next, iterator, "", limiter=threads):
        yield block
