from __future__ import annotations

import random
import signal

import numpy as np
import pytest
import torch

from tuner.errors import InvalidValue
from tuner.training.protocol import Outcome
from tuner.training.runner.tracebacks import MAX_CHARACTERS


class Trouble:
    """Raises the given error at update 12."""

    def __init__(self, error):
        self.error = error

    def __call__(self, step):
        if step == 12:
            raise self.error
        return 1.0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad batch\nsecond line"), "ValueError: bad batch"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "out of memory: MemoryError"),
        (torch.OutOfMemoryError("CUDA oom"), "out of memory: OutOfMemoryError: CUDA oom"),
        (GeneratorExit(), "GeneratorExit"),
    ],
)
def test_any_error_of_the_workload_is_a_failed_run(train, counting, error, reason):
    ended = train(counting(on_step=Trouble(error)))
    assert (ended.outcome, ended.reason, ended.step, ended.updates) == (Outcome.FAILED, reason, 12, 2)
    assert "in __call__" in ended.traceback


def test_ctrl_c_is_not_a_failure_of_the_workload(train, counting):
    with pytest.raises(KeyboardInterrupt):
        train(counting(on_step=Trouble(KeyboardInterrupt())))


def test_an_interrupt_is_the_workloads_own_where_ctrl_c_is_ignored(train, counting):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = train(counting(on_step=Trouble(KeyboardInterrupt("too slow"))))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ended.outcome, ended.reason, ended.lost) == (Outcome.FAILED, "KeyboardInterrupt: too slow", False)


def test_an_error_of_the_caller_is_not_a_failure_of_the_workload(train, counting):
    def directive(message):
        raise ConnectionError("the worker's own trouble")

    with pytest.raises(ConnectionError, match="own trouble"):
        train(counting(), directive=directive)


def test_a_long_traceback_keeps_its_end(train, counting):
    ended = train(counting(on_step=Trouble(ValueError("x" * 20_000 + " the end"))))
    assert len(ended.traceback) <= MAX_CHARACTERS + 60
    assert ended.traceback.rstrip().endswith("the end")


def test_leaving_the_process_is_reported_with_what_to_do_instead(train, counting):
    ended = train(counting(on_step=Trouble(SystemExit(0))))
    assert (ended.outcome, ended.reason) == (Outcome.FAILED, "SystemExit: 0")
    assert "let it return" in ended.hint


def test_a_lack_of_memory_is_reported_with_the_peak_and_what_helps(train, counting):
    ended = train(counting(on_step=Trouble(MemoryError("no room"))))
    assert ended.reason == "out of memory: MemoryError: no room"
    assert ended.hint.startswith("Most memory seen: ")
    assert "What usually helps: " in ended.hint


def test_updates_are_reported_at_once_and_then_no_closer_than_a_second(train, counting, monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr("tuner.training.runner.execute.time.monotonic", lambda: next(now) / 4)
    train(counting())
    steps = [message.step for message in train.signs]
    assert steps[0] == 1
    assert 2 <= len(steps) < 40
    assert steps == sorted(set(steps))


def test_an_unknown_workload_is_a_failed_run_that_names_the_known_ones(train, counting):
    ended = train(counting(), workload="nothing")
    assert ended.outcome is Outcome.FAILED
    assert "'nothing'" in ended.reason
    assert "counting" in ended.reason


def test_a_refused_option_is_a_failed_run_that_names_field_value_and_limit(train, line):
    ended = train(line, options={"slope": 11})
    assert ended.outcome is Outcome.FAILED
    assert "options.slope must be at most 10, got 11" in ended.reason


@pytest.mark.parametrize("loss", ["high", None, torch.ones(2)])
def test_a_loss_that_is_no_number_is_named(train, counting, loss):
    ended = train(counting(on_step=lambda step: loss))
    assert ended.outcome is Outcome.FAILED
    assert "train_step must give a number or a scalar tensor" in ended.reason


def test_something_that_is_not_a_training_is_refused(train, counting):
    workload = counting()
    workload.start = lambda options, *, seed, device: object()
    ended = train(workload)
    assert ended.outcome is Outcome.FAILED
    assert "must give a StepwiseTraining, got a object" in ended.reason


def test_the_same_seed_gives_the_same_losses(train, line):
    runs = []
    for seed in (7, 7, 8):
        train(line, seed=seed)
        runs.append([message.point for message in train.evaluated])
    assert runs[0] == runs[1] != runs[2]


def test_the_callers_generators_and_settings_are_as_before(train, line):
    def draws():
        return torch.rand(2).tolist(), np.random.rand(), random.random()

    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = draws()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    train(line)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    assert draws() == expected


def test_one_thread_trains_unless_set_otherwise(train, counting, monkeypatch):
    seen = []
    workload = counting(on_step=lambda step: seen.append(torch.get_num_threads()) or 1.0)
    train(workload)
    monkeypatch.setenv("TUNER_THREADS", "2")
    train(workload)
    assert sorted(set(seen)) == [1, 2]


@pytest.mark.parametrize("threads", ["0", "-1", "many", "1.5"])
def test_a_bad_number_of_threads_is_refused(train, counting, monkeypatch, threads):
    monkeypatch.setenv("TUNER_THREADS", threads)
    ended = train(counting())
    assert ended.outcome is Outcome.FAILED
    assert "threads must be an integer of at least 1" in ended.reason


def test_a_device_that_is_not_there_is_refused(train, line):
    from tuner.training.runner.execute import execute

    with pytest.raises(InvalidValue, match=r"device must be one of cpu.* got 'cuda:77'"):
        execute(train.request("line"), workloads={}, device="cuda:77", on_evaluation=print, on_snapshot=print)
