"""Commands that train in an environment of their own, where there is no torch: Keras on TensorFlow, and JAX."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import tuner
from tuner.training.registry import load_provider

ROOT = Path(__file__).parents[2]
LIBRARIES = ["keras", "tensorflow-cpu", "jax", "optax", "scikit-learn"]

pytestmark = [pytest.mark.frameworks, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of a new environment with Schedule Tuner, without its extras, and the libraries."""
    if find_spec("tensorflow") is None or sys.platform != "linux":
        pytest.skip("NOT TESTED HERE: tensorflow-cpu is not installed; `make examples` installs it and runs this")
    folder = tmp_path_factory.mktemp("environment") / "venv"
    found = {"UV_SYSTEM_CERTS": "1", "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", "").replace(" ", ",")}
    environment = {**found, **os.environ}
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", folder], env=environment, check=True)
    made = folder / "bin" / "python"
    install = ["pip", "install", "--quiet", "--python", made, "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*uv, *install, "--editable", ROOT, *LIBRARIES], env=environment, check=True)
    return made


@pytest.mark.parametrize(
    ("example", "file", "backend"),
    [("keras_fit", "keras.toml", "tensorflow"), ("jax_optax", "jax.toml", "")],
)
def test_a_command_is_tuned_where_there_is_no_torch(example, file, backend, python, tmp_path, monkeypatch):
    there = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in there.stderr
    folder = shutil.copytree(ROOT / "examples" / example, tmp_path / example)
    command = (folder / file).read_text()
    assert '"{python}"' in command
    (folder / file).write_text(command.replace("{python}", str(python)))
    monkeypatch.setenv("KERAS_BACKEND", backend or "jax")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")

    (workload,) = load_provider(str(folder / file)).values()
    search = {"budget": 2, "trials": 2, "seeds": 1}
    report = tuner.tune(workload, total_steps=40, search=search, device="cpu")

    assert len(report.trials) == 2
    assert report.recommended.expected < 2.3  # guessing evenly
