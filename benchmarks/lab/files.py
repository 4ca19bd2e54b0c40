"""Tables by name or by path: the laboratory's own, the recorded LLaMA runs, and any file of the format."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from benchmarks.lab.llama import read_llama
from benchmarks.lab.table import RecordedTable, read_table
from tuner.errors import InvalidValue

DATA: Final = Path(__file__).parents[1] / "data"


def load_table(name: str | Path) -> RecordedTable:
    """A table.

    Args:
        name: Of a table of benchmarks/data ("noisy-classification-a"), or the path of a file: JSON lines, or the CSV of
            the LLaMA runs.

    Raises:
        InvalidValue: There is no such table, or a line of it is no run.
    """
    return _load(_path(name))


def table_names() -> tuple[str, ...]:
    """The tables of benchmarks/data."""
    return tuple(sorted(path.name.partition(".")[0] for path in _own()))


@lru_cache(maxsize=8)
def _load(path: Path) -> RecordedTable:
    return read_llama(path) if ".csv" in path.suffixes else read_table(path)


def _path(name: str | Path) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    for own in _own():
        if own.name.partition(".")[0] == str(name):
            return own
    allowed = f"a file, or one of {', '.join(table_names())}"
    raise InvalidValue("table", value=str(name), allowed=allowed)


def _own() -> list[Path]:
    return [*DATA.glob("*.jsonl.gz"), *DATA.glob("*.csv.gz")]
