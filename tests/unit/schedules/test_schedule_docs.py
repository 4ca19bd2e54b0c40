from __future__ import annotations

import re
from pathlib import Path

from tuner.schedules import FAMILIES

_DOCS = (Path(__file__).parents[3] / "docs" / "schedules.md").read_text()


def test_the_table_of_families_tells_every_family_and_every_parameter():
    table = _DOCS.split("## Families")[1].split("##")[0]
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \|.*$", table, flags=re.MULTILINE)}
    assert rows.keys() == FAMILIES.keys()
    for name, family in FAMILIES.items():
        for parameter in set(family.model_fields) - {"name"}:
            assert f"`{parameter}`" in rows[name], (name, parameter)


def test_the_defaults_in_the_table_are_those_of_the_code():
    for name, family in FAMILIES.items():
        row = next(line for line in _DOCS.splitlines() if line.startswith(f"| `{name}` |"))
        for parameter, field in family.model_fields.items():
            if isinstance(field.default, int | float) and not isinstance(field.default, bool):
                assert re.search(rf"`{parameter}`( d)? \({field.default:g}\)", row), (name, parameter)
