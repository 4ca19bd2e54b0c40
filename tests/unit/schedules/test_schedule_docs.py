from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tuner.schedules import FAMILIES

_PAGES = Path(__file__).parents[3] / "docs"
_DOCS = (_PAGES / "schedules.md").read_text()


def test_the_table_of_families_lists_every_family_and_every_parameter():
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


@pytest.mark.parametrize("page", ["schedules.md", "exports.md"])
def test_the_code_of_the_page_runs(page):
    optimizers = [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr) for lr in (1.0, 0.02, 3e-4)]
    names: dict = dict(zip(("optimizer", "muon", "adam"), optimizers, strict=True))
    blocks = re.findall(r"```python\n(.*?)```", (_PAGES / page).read_text(), flags=re.DOTALL)
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    if page == "schedules.md":
        assert f'"{names["schedule"].label}"' in blocks[0]
        assert names["follows"].lr(400, total_steps=1000, losses=names["losses"]) == 0.005
        assert names["optimizer"].param_groups[0]["lr"] == names["schedule"].lr(1, total_steps=20_000)
        assert names["adam"].param_groups[0]["lr"] == pytest.approx(names["muon"].param_groups[0]["lr"] * 0.015)
    else:
        assert names["exported"].fallback_reason == ""
        assert "optax.cosine_decay_schedule(" in names["code"]
