import io
import sys

import pytest

from tuner.cli.given import assignments, document
from tuner.errors import InvalidValue


class TestAssignments:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("a=3", 3),
            ("a=0.1", 0.1),
            ("a=1e-3", 1e-3),
            ("a=true", True),
            ("a=null", None),
            ("a=[3, 5]", [3, 5]),
            ("a=adam", "adam"),
            ("a=", ""),
            ("a=x=y", "x=y"),
            ('a="3"', "3"),
        ],
    )
    def test_a_value_is_json_where_it_reads_as_json_and_text_otherwise(self, text, value):
        assert assignments([text], option="--option") == {"a": value}

    @pytest.mark.parametrize("text", ["a", "=3", ""])
    def test_what_has_no_name_or_no_value_is_refused(self, text):
        with pytest.raises(InvalidValue, match=f"--option must be NAME=VALUE, got {text!r}"):
            assignments([text], option="--option")

    def test_a_name_that_is_given_twice_is_refused(self):
        with pytest.raises(InvalidValue, match="a is there twice"):
            assignments(["a=1", "a=2"], option="--option")


class TestDocument:
    def test_it_is_read_from_a_file(self, tmp_path):
        file = tmp_path / "spec.json"
        file.write_text('{"workload": "digits-mlp"}')
        assert document(str(file), option="--spec") == {"workload": "digits-mlp"}

    def test_it_is_read_from_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO('{"a": 1}'))
        assert document("-", option="--spec") == {"a": 1}

    @pytest.mark.parametrize(
        ("content", "allowed"),
        [(b"{", "a JSON document"), (b"[1]", "a JSON object"), (b"\xff", "a file that can be read"), (b"", "a JSON d")],
    )
    def test_anything_but_a_json_object_is_refused(self, content, allowed, tmp_path):
        file = tmp_path / "spec.json"
        file.write_bytes(content)
        with pytest.raises(InvalidValue, match=f"--spec must be {allowed}"):
            document(str(file), option="--spec")

    def test_a_file_that_is_not_there_is_refused_with_the_reason(self, tmp_path):
        with pytest.raises(InvalidValue, match="No such file"):
            document(str(tmp_path / "none.json"), option="--spec")
