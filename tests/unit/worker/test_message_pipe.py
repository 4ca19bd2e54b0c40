from __future__ import annotations

import os
import threading

import pytest

from tuner.jobs.records import CurvePoint
from tuner.training.protocol import Directive, Ended, Evaluated, Outcome, to_runner
from tuner_worker.runner.message_pipe import LONGEST_MESSAGE, BadMessage, MessagePipe, PipeClosed

EVALUATED = Evaluated(run_id="r", point=CurvePoint(step=10, lr=0.1, train_loss=float("nan"), val_loss=1.5), updates=10)
ENDED = Ended(run_id="r", outcome=Outcome.SUCCEEDED, step=10, updates=0, loss=1.5)


@pytest.fixture
def pipe():
    pipe = MessagePipe()
    yield pipe
    pipe.close()
    for fd in (pipe.runner_read_fd, pipe.runner_write_fd):
        try:
            os.close(fd)
        except OSError:
            continue


def say(pipe: MessagePipe, data: bytes) -> None:
    os.write(pipe.runner_write_fd, data)


def receive_for_ever(pipe: MessagePipe) -> None:
    while True:
        pipe.receive(timeout=60)


def send_for_ever(pipe: MessagePipe) -> None:
    while True:
        pipe.send(Directive(), timeout=0.01)


def line(message: Evaluated | Ended) -> bytes:
    return message.model_dump_json().encode() + b"\n"


def test_messages_come_out_whole_and_in_order_however_they_were_cut(pipe):
    data = line(ENDED) * 3
    say(pipe, data[:10])
    assert pipe.receive(timeout=0) is None
    say(pipe, data[10:150])
    say(pipe, data[150:])
    assert [pipe.receive(timeout=0) for _ in range(4)] == [ENDED, ENDED, ENDED, None]


def test_an_evaluation_may_hold_a_nan(pipe):
    say(pipe, line(EVALUATED))
    message = pipe.receive(timeout=0)
    assert isinstance(message, Evaluated)
    assert message.point.val_loss == 1.5


def test_what_was_sent_before_the_end_is_read_before_the_end_is_reported(pipe):
    say(pipe, line(ENDED) + line(ENDED)[:20])
    os.close(pipe.runner_write_fd)
    assert pipe.receive(timeout=0) == ENDED
    for _ in range(2):
        with pytest.raises(PipeClosed):
            pipe.receive(timeout=0)


def test_a_wait_ends_when_another_descriptor_becomes_readable(pipe):
    wake_read, wake_write = os.pipe()
    try:
        os.write(wake_write, b"x")
        assert pipe.receive(timeout=60, wake_fd=wake_read) is None
    finally:
        os.close(wake_read)
        os.close(wake_write)


@pytest.mark.parametrize(
    "garbage",
    [b"hello\n", b"{}\n", b'{"type": "nonsense"}\n', b"\xff\xfe\n", b'{"type": "ended", "run_id": 7}\n', b"\n"],
)
def test_what_is_no_message_is_refused_with_what_was_wrong(pipe, garbage):
    say(pipe, garbage)
    with pytest.raises(BadMessage, match="which is no message"):
        pipe.receive(timeout=0)


def test_a_line_without_an_end_is_not_read_for_ever(pipe):
    def flood() -> None:
        chunk = b"x" * 65536
        for _ in range(LONGEST_MESSAGE // len(chunk) + 1):
            os.write(pipe.runner_write_fd, chunk)

    writer = threading.Thread(target=flood, daemon=True)
    writer.start()
    with pytest.raises(BadMessage, match="bytes without a line break"):
        receive_for_ever(pipe)
    writer.join()


def test_a_message_reaches_the_runner_as_one_line(pipe):
    pipe.send(Directive(stop=True), timeout=1)
    received = os.read(pipe.runner_read_fd, 1000)
    assert received.endswith(b"\n")
    assert to_runner.validate_json(received) == Directive(stop=True)


def test_sending_to_nobody_is_reported(pipe):
    os.close(pipe.runner_read_fd)
    with pytest.raises(PipeClosed):
        pipe.send(Directive(), timeout=1)


def test_sending_to_one_who_does_not_read_ends(pipe):
    with pytest.raises(TimeoutError):
        send_for_ever(pipe)
