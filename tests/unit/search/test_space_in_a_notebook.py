"""A space as a notebook shows it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tuner.search.space import SearchSpace, default_space


def rows(space: SearchSpace) -> dict[str, str]:
    """The second cell of each row by the first; lines of a cell are joined by a stroke."""
    shown = space._repr_html_()
    ElementTree.fromstring(shown.replace("<br>", "<br/>"))
    found = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", shown)
    return {name: text.replace("<br>", " | ") for name, text in found}


def test_what_all_families_share_comes_first_and_then_each_with_its_own_parameters():
    space = default_space("sgd", peak_lr=(0.001, 1.0))
    table = rows(space)
    assert list(table)[-len(space.families) :] == list(space.keys)
    assert table["peak_lr"] == "0.001 to 1, spread over orders of magnitude"
    assert table["warmup"].startswith("0, ")
    assert table["wsd"] == "cooldown: 0.1 to 1 | shape: linear, 1-sqrt"
    assert table["constant"] == ""


def test_fixed_parameters_stand_before_the_varied_ones_and_texts_are_escaped():
    family = {
        "name": "step",
        "alias": "by-epoch",
        "fixed": {"gamma": 0.1, "every": {"updates_per_epoch": 100}},
        "params": {"every.epochs": {"kind": "int", "low": 2, "high": 5}},
    }
    space = SearchSpace.model_validate(
        {"peak_lr": {"low": 0.1, "high": 0.2}, "warmup": [0.0], "floor": [0.0], "families": [family]}
    )
    assert rows(space)["by-epoch"] == (
        "gamma = 0.1 | every = {&#x27;updates_per_epoch&#x27;: 100} | every.epochs: 2 to 5"
    )
