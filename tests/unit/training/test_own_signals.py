"""Code that kills its own process is told from somebody who does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SETUP = """
import os, signal, subprocess, sys
from tuner.training.runner.own_signals import announce_own_signals
announce_own_signals()
"""


def ended(code: str) -> tuple[int, str]:
    process = subprocess.run(
        [sys.executable, "-c", SETUP + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )
    return process.returncode, process.stderr


@pytest.mark.parametrize(
    "send",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(0, 9)",
        "os.kill(-os.getpgrp(), signal.SIGKILL)",
        "os.killpg(os.getpgrp(), signal.SIGKILL)",
        "os.killpg(0, signal.SIGKILL)",
        "signal.raise_signal(signal.SIGKILL)",
        "os.fork() and os.wait() or os.kill(os.getppid(), signal.SIGKILL)",
    ],
)
def test_a_deadly_signal_to_the_own_process_is_written_down_before_it_is_sent(send: str) -> None:
    code, words = ended(send)
    assert code == -signal.SIGKILL
    assert words == "the code of the run sent its own process SIGKILL\n"


@pytest.mark.parametrize(
    "send",
    [
        "child = subprocess.Popen(['sleep', '60']); os.kill(child.pid, signal.SIGKILL); child.wait()",
        "child = subprocess.Popen(['sleep', '60']); child.terminate(); child.wait()",
        "os.kill(os.getpid(), 0)",
        "os.fork() and os.wait() or signal.raise_signal(signal.SIGKILL)",
        "signal.signal(signal.SIGUSR1, lambda *_: None); os.kill(os.getpid(), signal.SIGUSR1)",
    ],
)
def test_signals_to_others_and_harmless_ones_are_sent_without_a_word(send: str) -> None:
    assert ended(send) == (0, "")


def test_a_wrong_call_is_refused_as_before() -> None:
    code, words = ended("os.kill('all')")
    assert code == 1
    assert "TypeError" in words
