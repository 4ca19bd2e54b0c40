"""The document in the repository is the one that the service publishes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).parents[2] / "scripts" / "write_openapi.py"


def test_the_committed_document_is_the_published_one():
    done = subprocess.run([sys.executable, str(_SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_document_holds_no_examples_of_python_docstrings():
    text = (_SCRIPT.parents[1] / "docs" / "openapi.json").read_text()
    assert ">>>" not in text
    assert "\\n\\nRaises:" not in text
