"""The notebook of the examples in a kernel: the live display grows, values show themselves, and nothing warns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]  # of the libraries of Jupyter

FOLDER = Path(__file__).parents[3] / "examples" / "notebook"


@pytest.fixture(scope="module")
def executed() -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The outputs of each cell by its id, and the contents of the live display one after the other."""
    nbformat = pytest.importorskip("nbformat")
    nbclient: Any = pytest.importorskip("nbclient")
    notebook = nbformat.read(FOLDER / "tuning.ipynb", as_version=4)
    drawn: list[dict[str, str]] = []

    class Client(nbclient.NotebookClient):
        def process_message(self, message, *rest):
            if message["msg_type"] in ("display_data", "update_display_data") and message["content"]["transient"]:
                drawn.append(message["content"]["data"])
            return super().process_message(message, *rest)

    Client(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    return {cell["id"]: cell.get("outputs", []) for cell in notebook.cells}, drawn


def the_output(outputs: dict[str, Any], cell: str) -> dict[str, Any]:
    (output,) = outputs[cell]
    return output["data"]


def points_of(html: str) -> int:
    return sum(len(points.split()) for points in re.findall(r'<polyline points="([^"]*)"', html))


def test_the_live_display_is_one_output_whose_curves_grow_until_the_study_is_completed(executed):
    outputs, drawn = executed
    counts = [points_of(bundle["text/html"]) for bundle in drawn]
    assert len(counts) > 3
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[1] < counts[-1]
    assert ": running, " in drawn[1]["text/plain"]
    assert "Recommended: " in drawn[-1]["text/plain"]
    assert the_output(outputs, "tune") == drawn[-1]
    assert ": completed, " in drawn[-1]["text/html"]


def test_no_cell_writes_a_warning_though_there_are_no_widgets(executed):
    outputs, _ = executed
    assert [output for cell in outputs.values() for output in cell if output["output_type"] == "stream"] == []


def test_a_schedule_shows_its_curve_a_space_its_ranges_and_a_report_its_verdict(executed):
    outputs, _ = executed
    assert "cooldown: 0.1 to 1" in the_output(outputs, "space")["text/html"]
    assert "cosine, peak 1.0e-02" in the_output(outputs, "today")["image/svg+xml"]
    assert "<table>" in the_output(outputs, "report")["text/html"]
    assert the_output(outputs, "plot")["image/png"].startswith("iVBOR")
    assert the_output(outputs, "train")["text/plain"].startswith("[")
