import io
import sys

import pytest

from tuner.cli.parsing import parse_assignments, parse_budget, parse_ranges, parse_share, read_document
from tuner.errors import InvalidValue


class TestAssignments:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("a=3", 3),
            ("a=0.1", 0.1),
            ("a=1e-3", 1e-3),
            ("a=true", True),
            ("a=True", True),
            ("a=False", False),
            ("a=None", None),
            ("a=null", None),
            ("a=[3, 5]", [3, 5]),
            ("a=adam", "adam"),
            ("a=", ""),
            ("a=x=y", "x=y"),
            ('a="3"', "3"),
        ],
    )
    def test_a_value_is_json_where_it_is_valid_json_and_text_otherwise(self, text, value):
        assert parse_assignments([text], option="--option") == {"a": value}

    @pytest.mark.parametrize("text", ["a", "=3", ""])
    def test_a_text_without_name_or_value_is_refused(self, text):
        with pytest.raises(InvalidValue, match=r"--option must be NAME=VALUE, (got '\S+'|but it is empty)$"):
            parse_assignments([text], option="--option")

    def test_a_repeated_name_is_refused(self):
        with pytest.raises(InvalidValue, match="a occurs twice"):
            parse_assignments(["a=1", "a=2"], option="--option")


class TestRanges:
    @pytest.mark.parametrize(
        ("text", "parameter"),
        [
            ("a=1e-4..0.1:log", {"kind": "float", "low": 1e-4, "high": 0.1, "log": True}),
            ("a=0..1.5", {"kind": "float", "low": 0, "high": 1.5, "log": False}),
            ("a=8..64", {"kind": "int", "low": 8, "high": 64, "log": False}),
            ("a=8..64:log", {"kind": "int", "low": 8, "high": 64, "log": True}),
            ("a=-1..1.0", {"kind": "float", "low": -1, "high": 1.0, "log": False}),
            ("a=0.8,0.9,0.95", {"kind": "choice", "values": [0.8, 0.9, 0.95]}),
            ("a=true,false", {"kind": "choice", "values": [True, False]}),
            ("a=layer, batch", {"kind": "choice", "values": ["layer", "batch"]}),
        ],
    )
    def test_a_range_has_two_ends_and_a_choice_several_values(self, text, parameter):
        assert parse_ranges([text], option="--vary") == {"a": parameter}

    @pytest.mark.parametrize("text", ["a=3", "a=", "a=1..", "a=..1", "a=1..x", "a=1..2:lin", "a=true..false"])
    def test_any_other_text_is_refused_with_examples(self, text):
        with pytest.raises(InvalidValue, match=r"--vary must be NAME=LOW\.\.HIGH") as error:
            parse_ranges([text], option="--vary")
        assert "momentum=0.8,0.9,0.95" in error.value.hint

    @pytest.mark.parametrize("texts", [["=1..2"], ["a"], ["a=1..2", "a=3..4"]])
    def test_each_needs_a_name_of_its_own(self, texts):
        with pytest.raises(InvalidValue):
            parse_ranges(texts, option="--vary")


class TestDocument:
    def test_it_is_read_from_a_file(self, tmp_path):
        file = tmp_path / "spec.json"
        file.write_text('{"workload": "digits-mlp"}')
        assert read_document(str(file), option="--spec") == {"workload": "digits-mlp"}

    def test_it_is_read_from_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO('{"a": 1}'))
        assert read_document("-", option="--spec") == {"a": 1}

    @pytest.mark.parametrize(
        ("content", "allowed"),
        [(b"{", "a JSON document"), (b"[1]", "a JSON object"), (b"\xff", "a file that can be read"), (b"", "a JSON d")],
    )
    def test_anything_but_a_json_object_is_refused(self, content, allowed, tmp_path):
        file = tmp_path / "spec.json"
        file.write_bytes(content)
        with pytest.raises(InvalidValue, match=f"--spec must be {allowed}"):
            read_document(str(file), option="--spec")

    def test_a_file_that_is_not_there_is_refused_with_the_reason(self, tmp_path):
        with pytest.raises(InvalidValue, match="No such file"):
            read_document(str(tmp_path / "none.json"), option="--spec")

    def test_a_key_that_stands_twice_is_refused(self, tmp_path):
        file = tmp_path / "job.json"
        file.write_text('{"workload": "a", "search": {"trials": 1, "trials": 9}}')
        with pytest.raises(InvalidValue, match=r"search\.trials must be given once, got 9"):
            read_document(str(file), option="--spec")


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), (" 12.5% ", 0.125), (None, None)])
def test_a_share_is_a_percentage_or_a_fraction(text, share):
    assert parse_share(text, option="--worth") == share


def test_a_share_above_one_needs_a_percent_sign():
    with pytest.raises(InvalidValue, match=r"--worth must be a share, as in 5% or 0\.05, got '5'\. Did you mean 5%\?"):
        parse_share("5", option="--worth")
    assert parse_share("150%", option="--worth") == 1.5


@pytest.mark.parametrize("text", ["", "%", "5%%", "five"])
def test_a_text_that_is_no_share_is_refused(text):
    with pytest.raises(InvalidValue, match="--worth must be a share"):
        parse_share(text, option="--worth")


@pytest.mark.parametrize(("text", "budget"), [("5", 5.0), ("2.5", 2.5), ("quick", "quick"), (None, None)])
def test_a_budget_is_a_number_or_a_name_that_the_service_knows(text, budget):
    assert parse_budget(text) == budget
