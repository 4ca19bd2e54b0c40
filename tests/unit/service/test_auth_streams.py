from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import StreamingResponse
from starlette.types import Message

from tuner_service.auth.streams import AuthorizedResponse

SCOPE: dict[str, Any] = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "GET", "headers": []}
OLD: dict[str, Any] = {**SCOPE, "asgi": {"spec_version": "2.3"}}
CHUNKS = 5


async def receive() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def answered(*, rights: list[bool], scope: dict[str, Any] = SCOPE, every: float = 0.0) -> list[bytes]:
    """What reaches the reader of five chunks, whose rights are looked at before each."""
    sent: list[Message] = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(CHUNKS):
            yield str(number).encode()

    async def send(message: Message) -> None:
        sent.append(message)

    async def is_authorized() -> bool:
        return rights.pop(0)

    async def run() -> None:
        await AuthorizedResponse(send, is_authorized=is_authorized, every=every).run(
            StreamingResponse(chunks()), scope, receive
        )

    asyncio.run(run())
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    return [message["body"] for message in bodies]


def test_a_stream_goes_on_while_its_reader_may_read_it():
    assert answered(rights=[True] * CHUNKS) == [b"0", b"1", b"2", b"3", b"4", b""]


@pytest.mark.parametrize("scope", [SCOPE, OLD], ids=["2.4", "2.3"])
def test_a_stream_ends_once_its_reader_may_not(scope: dict[str, Any]):
    assert answered(rights=[True, True, False], scope=scope) == [b"0", b"1", b""]


def test_rights_are_checked_at_intervals():
    assert len(answered(rights=[], every=3600.0)) == CHUNKS + 1


def test_a_disconnected_reader_raises_as_before():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise OSError("gone")

    async def is_authorized() -> bool:
        return True

    async def send(message: Message) -> None:
        return

    with pytest.raises(OSError, match="gone"):
        asyncio.run(AuthorizedResponse(send, is_authorized=is_authorized).run(app, SCOPE, receive))


def test_a_cut_that_the_framework_has_wrapped_is_no_mistake():
    """As an event stream's is, whose sender runs in a group of tasks."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.body", "body": b"0", "more_body": True})
        except OSError as error:
            raise ExceptionGroup("unhandled errors in a task group", [error]) from None

    async def is_authorized() -> bool:
        return False

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(AuthorizedResponse(send, is_authorized=is_authorized, every=0.0).run(app, SCOPE, receive))
    assert sent == [{"type": "http.response.body", "body": b"", "more_body": False}]
