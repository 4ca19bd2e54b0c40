"""`python -m benchmarks load` runs each attack against a service of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.load import main


@pytest.mark.parametrize("attack", ["half-headers", "hammer"])
def test_it_prints_the_memory_of_the_service_and_the_latencies_of_a_caller_beside_the_attack(
    attack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["--attack", attack, "--seconds", "1", "--out", str(tmp_path / "load.json")]) == 0
    calm, attacked = json.loads((tmp_path / "load.json").read_text())
    assert (calm["attack"], attacked["attack"]) == ("none", attack)
    assert (calm["failed"], calm["responses"]) == (0, "")
    assert attacked["responses"]
    assert 0 < calm["peak_mib"] <= attacked["peak_mib"] < 1024
    assert attack in capsys.readouterr().out
