"""`python -m benchmarks`: which names it knows, and what `tables` does when all tables are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.lab.designs import designs
from benchmarks.tables import main

ROOT = Path(__file__).resolve().parents[3]


def test_the_laboratory_is_no_benchmark_and_its_tables_are_one():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "lab"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "there is no benchmark lab" in run.stderr
    assert "tables" in run.stderr


def test_tables_that_exist_are_not_made_again(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{name}: exists" for name in (*designs(), "power-law-optima")]
