from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tuner.errors import DatabaseUnavailable
from tuner_service.shared_read import SharedRead


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_any_number_of_callers_share_one_read_per_interval():
    clock, reads = Clock(), []

    def read() -> int:
        reads.append(threading.current_thread())
        return len(reads)

    async def run() -> None:
        shared = SharedRead(read, interval=1.0, clock=clock)
        assert await asyncio.gather(*(shared.value() for _ in range(50))) == [1] * 50
        clock.now += 1.0
        assert await asyncio.gather(*(shared.value() for _ in range(50))) == [2] * 50

    asyncio.run(run())
    assert len(reads) == 2


def test_while_a_read_hangs_its_callers_hold_one_thread():
    let_go, started, hanging = threading.Event(), threading.Event(), []

    def hang() -> int:
        hanging.append(1)
        started.set()
        let_go.wait(60.0)
        return 1

    async def run() -> None:
        shared = SharedRead(hang, interval=1.0)
        callers = [asyncio.create_task(shared.value()) for _ in range(50)]
        await asyncio.to_thread(started.wait, 60.0)
        let_go.set()
        assert await asyncio.gather(*callers) == [1] * 50

    asyncio.run(run())
    assert hanging == [1]


def test_a_failure_is_not_stored():
    results: Iterator[int | Exception] = iter([DatabaseUnavailable("away"), 7])

    def read() -> int:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    async def run() -> int:
        shared = SharedRead(read, interval=1.0)
        with pytest.raises(DatabaseUnavailable):
            await shared.value()
        return await shared.value()

    assert asyncio.run(run()) == 7
