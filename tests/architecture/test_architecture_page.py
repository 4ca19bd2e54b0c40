"""The pages about the structure against the tree: folders, arrows, paths, headings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PRIVATE = {"__init__.py", "__pycache__", "py.typed"}
STRUCTURE = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "architecture.md",
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]


def drawn(folder: str, *, indent: int) -> set[str]:
    """The names that the page lists under a folder, one indentation deeper than it."""
    lines = PAGE.split("```")[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{' ' * (indent - 2)}{folder}/"))
    below = []
    for line in lines[start + 1 :]:
        if not line.startswith(" " * indent):
            break
        below.append(line)
    return {match.group(1) for line in below if (match := re.match(rf" {{{indent}}}(\S+)", line))}


def there(folder: str) -> set[str]:
    """The names that a folder has; of packages with a slash."""
    entries = [entry for entry in (ROOT / folder).iterdir() if entry.name not in PRIVATE]
    return {f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries}


def test_every_room_of_the_library_is_listed_and_no_other():
    assert drawn("tuner", indent=2) == there("tuner")


def test_every_room_of_the_store_is_listed_and_no_other():
    assert drawn("store", indent=4) == there("tuner/store")


def test_every_folder_of_the_repository_is_listed():
    listed = set(re.findall(r"^(\w+)/ ", PAGE.split("```")[1], flags=re.MULTILINE))
    folders = {path.parent.name for path in ROOT.glob("[a-z]*/*") if path.suffix in {".py", ".md", ".sh"}}
    assert folders <= listed
    assert all((ROOT / folder).is_dir() for folder in listed)


def test_the_arrows_are_the_layers_that_the_import_rules_hold():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    library = next(contract for contract in contracts if contract.get("containers") == ["tuner"])
    layers = [set(layer.split(" | ")) for layer in library["layers"]]
    line = next(part for part in PAGE.split("\n\n") if part.startswith("`cli` →"))
    assert [set(re.findall(r"`(\w+)`", layer)) for layer in line.split("→")] == layers


@pytest.mark.parametrize("page", STRUCTURE, ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page: Path):
    named = re.findall(r"`((?:tuner|service|worker|migrations|tests|docs|benchmarks)/[\w/.-]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_headings_that_the_code_refers_to_are_there():
    referred = {
        (match.group(1), match.group(2), file.relative_to(ROOT))
        for package in ("tuner", "service", "worker", "migrations")
        for file in sorted((ROOT / package).rglob("*.py"))
        for match in re.finditer(r'docs/([\w/-]+\.md), "([^"]+)"', file.read_text())
    }
    assert referred
    missing = [
        (page, heading, str(file))
        for page, heading, file in referred
        if not re.search(rf"^#+ {re.escape(heading)}$", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_links_between_pages_lead_to_a_page_and_a_heading(page: Path):
    broken = []
    for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)", page.read_text()):
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            broken.append(target)
        elif anchor and anchor not in anchors(file):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
