"""Tables: for a terminal of any width, and for other programs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuner.cli import output
from tuner.cli.tables import fitted, tab_separated

HEADINGS = ("ID", "STATE", "WHY")
ROWS = [("3f2a91c0", "running", "one two three four five six seven"), ("41b7", "queued", "")]
WORDS = st.text(st.sampled_from("abc xyz"), max_size=30)


def test_columns_are_aligned_and_no_line_is_padded():
    assert fitted(HEADINGS, ROWS, width=80) == [
        "ID        STATE    WHY",
        "3f2a91c0  running  one two three four five six seven",
        "41b7      queued",
    ]


def test_the_widest_column_is_wrapped_where_the_terminal_is_narrow():
    assert fitted(HEADINGS, ROWS, width=40) == [
        "ID        STATE    WHY",
        "3f2a91c0  running  one two three four",
        "                   five six seven",
        "41b7      queued",
    ]


def test_rows_become_records_where_no_columns_fit():
    assert fitted(HEADINGS, ROWS, width=20) == [
        "ID     3f2a91c0",
        "STATE  running",
        "WHY    one two three",
        "       four five six",
        "       seven",
        "",
        "ID     41b7",
        "STATE  queued",
    ]


@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5), width=st.integers(40, 200))
def test_a_table_is_never_wider_than_the_terminal_and_loses_no_word(rows, width):
    lines = fitted(HEADINGS, rows, width=width)
    assert all(len(line) <= width and line == line.rstrip() for line in lines)
    shown = sorted(" ".join(lines).split())
    assert [word for row in rows for cell in row for word in cell.split() if word not in shown] == []


def test_other_programs_get_one_row_a_line_with_tabs_between():
    assert tab_separated(HEADINGS, [("1", "a\nb", "")]) == ["ID\tSTATE\tWHY", "1\ta b\t"]


def test_a_table_is_for_people_on_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.setattr(output, "terminal_width", lambda: 80)
    for terminal, shown in ((True, "A   B\nxx  y\n"), (False, "A\tB\nxx\ty\n")):
        monkeypatch.setattr(output, "is_tty", lambda terminal=terminal: terminal)
        output.show_table(("A", "B"), [("xx", "y")])
        assert capsys.readouterr().out == shown


def test_ids_are_short_on_a_terminal_and_whole_elsewhere(monkeypatch):
    for terminal, shown in ((True, "3f2a91c0"), (False, "3f2a91c0-11f0")):
        monkeypatch.setattr(output, "is_tty", lambda terminal=terminal: terminal)
        assert output.short_id("3f2a91c0-11f0") == shown
