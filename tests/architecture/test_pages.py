"""Every page of the repository: short lines, and links that lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 120
PAGES = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("page", PAGES)
def test_its_lines_have_at_most_120_columns_but_for_rows_of_tables(page: str):
    lines = (ROOT / page).read_text().splitlines()
    assert not [number for number, line in enumerate(lines, 1) if len(line) > LONGEST and not line.startswith("|")]


@pytest.mark.parametrize("page", PAGES)
def test_its_links_to_files_lead_to_one(page: str):
    text = re.sub(r"```.*?```|`[^`]*`", "", (ROOT / page).read_text(), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", text)]
    assert not [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()]
