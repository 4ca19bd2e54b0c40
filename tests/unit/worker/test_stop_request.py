from __future__ import annotations

import os
import select
import signal
import threading

import pytest

from tuner_worker.stop_request import StopRequest


@pytest.fixture
def stop():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    request = StopRequest().on_signals()
    yield request
    for number, handler in handlers.items():
        signal.signal(number, handler)
    request.close()


def test_the_first_signal_asks_and_the_second_interrupts(stop):
    assert not stop.requested
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_wait_ends_with_the_request(stop):
    stop.wait(0)
    stop.request()
    stop.request()
    stop.wait(3600)


def test_a_signal_wakes_who_waits(stop):
    sender = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM))
    sender.start()
    stop.wait(3600)
    sender.join()
    assert stop.requested


def test_its_descriptor_is_readable_once_it_was_made(stop):
    assert select.select([stop.fd], [], [], 0) == ([], [], [])
    stop.request()
    assert select.select([stop.fd], [], [], 0) == ([stop.fd], [], [])
