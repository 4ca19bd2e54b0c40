"""Waiting for real processes: poll a condition until a deadline."""

import time
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the logins and variables of the person who runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    for name in ("TUNER_URL", "TUNER_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def until() -> Callable[..., Any]:
    """Poll ``condition`` until it is truthy and return what it returned; fail after ``seconds``."""

    def wait(condition: Callable[[], Any], *, seconds: float = 20.0, what: str = "the condition") -> Any:
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come true in {seconds} s")
            time.sleep(0.02)

    return wait
