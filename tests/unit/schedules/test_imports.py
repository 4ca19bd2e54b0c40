from __future__ import annotations

import subprocess
import sys


def test_importing_the_schedules_loads_neither_torch_nor_a_database_nor_web_code():
    heavy = ["torch", "sqlalchemy", "optuna", "fastapi", "scipy", "matplotlib", "typer", "transformers"]
    script = f"import sys, tuner.schedules; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
