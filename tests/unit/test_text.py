"""Text of any origin: what every store takes, and what does nothing to a terminal."""

from __future__ import annotations

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tuner.cli.tables import fitted, tab_separated
from tuner.text import escaped_text, is_storable, one_line, visible_text

ANY = st.text(st.characters(), max_size=60)


@given(ANY)
def test_escaped_text_is_text_that_every_store_takes(text):
    made = escaped_text(text)
    assert made.encode("utf-8").decode() == made
    assert "\0" not in made
    assert is_storable(made)
    assert (made == text) == is_storable(text)


@given(ANY)
def test_visible_text_has_no_control_but_line_breaks_and_tabs(text):
    made = visible_text(text)
    hidden = {one for one in made if unicodedata.category(one)[0] == "C" or unicodedata.category(one) in ("Zl", "Zp")}
    assert hidden <= set("\n\t\u200d")
    assert visible_text(made) == made


@given(ANY)
def test_one_line_is_one(text):
    assert len(one_line(text).splitlines()) <= 1


def test_the_name_of_a_file_is_escaped_as_python_prints_it():
    assert escaped_text(os.fsdecode(b"caf\xe9.png")) == "caf\\udce9.png"
    assert escaped_text("\u00e9clair, \u732b") == "\u00e9clair, \u732b"


def test_a_name_with_line_breaks_or_terminal_sequences_stays_in_its_cell():
    rows = [["1", "a name\nand \x1b]0;a title\x07 more", "x"]]
    assert tab_separated(("ID", "NAME", "X"), rows)[1:] == ["1\ta name and \\x1b]0;a title\\x07 more\tx"]
    assert fitted(("ID", "NAME", "X"), rows, width=80)[1:] == ["1   a name and \\x1b]0;a title\\x07 more  x"]
