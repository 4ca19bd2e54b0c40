"""The tables of transitions, and the drawing of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from tuner.errors import IllegalTransition
from tuner.jobs.states import (
    JOB_TRANSITIONS,
    RUN_TRANSITIONS,
    TRIAL_TRANSITIONS,
    JobState,
    RunState,
    TrialState,
    check_transition,
    is_terminal,
)

TABLES: dict[str, Mapping[Any, frozenset[Any]]] = {
    "Job": JOB_TRANSITIONS,
    "Trial": TRIAL_TRANSITIONS,
    "Run": RUN_TRANSITIONS,
}
FIRST: dict[str, StrEnum] = {"Job": JobState.QUEUED, "Trial": TrialState.ACTIVE, "Run": RunState.QUEUED}
DRAWINGS = Path(__file__).parents[3] / "docs" / "states.md"


def drawn_edges(name: str) -> set[tuple[str, str]]:
    section = DRAWINGS.read_text().split(f"\n## {name}\n")[1].split("\n## ")[0]
    drawing = section.split("```mermaid\nstateDiagram-v2\n")[1].split("```")[0]
    edges = [re.fullmatch(r"(\S+) --> (\w+|\[\*\])(: .+)?", line.strip()) for line in drawing.strip().splitlines()]
    assert all(edges), drawing
    pairs = [(edge[1], edge[2]) for edge in edges if edge]
    assert len(pairs) == len(set(pairs)), f"an edge is drawn twice for {name}"
    return set(pairs)


@pytest.mark.parametrize("name", TABLES)
def test_the_drawing_and_the_table_have_the_same_edges(name: str) -> None:
    table = TABLES[name]
    edges = {(state.value, to.value) for state, following in table.items() for to in following}
    ends = {(state.value, "[*]") for state, following in table.items() if not following}
    assert drawn_edges(name) == edges | ends | {("[*]", FIRST[name].value)}


@pytest.mark.parametrize("name", TABLES)
def test_terminal_states_stay_unless_a_job_is_retried(name: str) -> None:
    for state, following in TABLES[name].items():
        if is_terminal(state):
            assert following <= {JobState.RUNNING, TrialState.ACTIVE, RunState.QUEUED}
        else:
            assert following


@pytest.mark.parametrize("name", TABLES)
def test_every_state_has_a_row_and_can_be_reached(name: str) -> None:
    table = TABLES[name]
    assert set(table) == set(type(FIRST[name]))
    reached, ahead = {FIRST[name]}, [FIRST[name]]
    while ahead:
        new = table[ahead.pop()] - reached
        reached |= new
        ahead += new
    assert reached == set(table)


@pytest.mark.parametrize("name", TABLES)
def test_every_step_is_allowed_or_refused_as_the_table_says(name: str) -> None:
    table = TABLES[name]
    for state in table:
        for to in table:
            if to in table[state]:
                check_transition(table, kind="thing", key="k", state=state, to=to)
            else:
                with pytest.raises(IllegalTransition, match=f"thing k is {state.value} and cannot be {to.value}"):
                    check_transition(table, kind="thing", key="k", state=state, to=to)
