"""One vocabulary of validation: the same limit is refused in the same words wherever a value enters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from tests.digits import DIGITS
from tuner.errors import MISSING, InvalidValue
from tuner.jobs.admission.admit import complete_options
from tuner.jobs.admission.strict_json import parse_strict, refusals
from tuner.search.space import Choice, FamilySpace, FloatRange, IntRange, SearchSpace
from tuner.training.commands.command import read_command_file
from tuner.training.options import WorkloadOptions, options_schema, parse_options
from tuner.validation import allowed_by, limits_of, one_of_names, phrase


class Options(WorkloadOptions):
    count: int = Field(default=2, ge=1, le=8, description="A count.")
    rate: float = Field(default=0.5, gt=0, lt=1, description="A rate.")
    size: int = Field(default=8, multiple_of=8, description="A size.")
    name: str = Field(default="abc", min_length=2, max_length=4, pattern="^[a-z]*$", description="A name.")
    flag: bool = Field(default=True, description="A flag.")
    mode: Literal["fast", "slow"] = Field(default="fast", description="A mode.")


def by_request(options: Mapping[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        parse_strict(Options, options)
    return refusals(caught.value.errors(), model=Options)[0].allowed


def by_admission(options: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidValue) as caught:
        complete_options(options, info=replace(DIGITS, options_schema=options_schema(Options)))
    return caught.value.allowed


def by_worker(options: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidValue) as caught:
        parse_options(Options, dict(options))
    return caught.value.allowed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, "at least 1"),
        ({"count": 9}, "at most 8"),
        ({"count": 1.5}, "a whole number"),
        ({"count": "many"}, "a whole number"),
        ({"rate": 0.0}, "above 0"),
        ({"rate": 1.0}, "below 1"),
        ({"rate": "high"}, "a number"),
        ({"size": 12}, "a multiple of 8"),
        ({"name": "a"}, "text of at least 2 characters"),
        ({"name": "abcde"}, "text of at most 4 characters"),
        ({"name": "ABC"}, "text that matches ^[a-z]*$"),
        ({"name": 1}, "text"),
        ({"flag": "perhaps"}, "true or false"),
        ({"mode": "slowly"}, "one of 'fast', 'slow'"),
    ],
    ids=str,
)
def test_a_request_its_admission_and_the_worker_refuse_in_the_same_words(options, words):
    assert {by_request(options), by_admission(options), by_worker(options)} == {words}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ('type = "integer"\ndefault = 0\nminimum = 1', "at least 1"),
        ('type = "integer"\ndefault = 9\nmaximum = 8', "at most 8"),
        ('type = "integer"\ndefault = "many"', "a whole number"),
        ('type = "number"\ndefault = "high"', "a number"),
        ('type = "string"\ndefault = "ABC"\npattern = "^[a-z]*$"', "text that matches ^[a-z]*$"),
        ('type = "string"\ndefault = "x"\nchoices = ["fast", "slow"]', "one of 'fast', 'slow'"),
        ('type = "boolean"\ndefault = "perhaps"', "true or false"),
        ('type = "integer"', "given"),
    ],
)
def test_a_command_file_is_refused_in_these_words(tmp_path, option, words):
    path = tmp_path / "command.toml"
    path.write_text(
        'name = "x"\nversion = "1"\ndescription = "X."\ncommand = ["true"]\ndefault_steps = 10\noptimizer = "sgd"\n'
        f'[options.count]\ndescription = "A count."\n{option}\n'
    )
    with pytest.raises(InvalidValue) as caught:
        read_command_file(path)
    assert caught.value.allowed == words


@pytest.mark.parametrize(
    ("family", "words"),
    [
        (FamilySpace(name="polynomial", params={"power": IntRange(low=0, high=3)}), "above 0"),
        (FamilySpace(name="wsd", params={"cooldown": FloatRange(low=0.1, high=2.0)}), "in [0, 1]"),
        (FamilySpace(name="wsd", params={"shape": Choice(values=("round",))}), "one of 'linear', '1-sqrt'"),
        (
            FamilySpace(name="wsd", params={"cool": Choice(values=(1,))}),
            "one of the parameters of wsd: cooldown, shape",
        ),
        (FamilySpace(name="rex", params={"cool": Choice(values=(1,))}), "absent: there are no parameters of rex"),
    ],
    ids=["above", "range", "choice", "name", "none"],
)
def test_a_search_space_is_refused_in_these_words(family, words):
    with pytest.raises(ValidationError) as caught:
        SearchSpace(peak_lr=FloatRange(low=1e-3, high=1.0, log=True), warmup=(0.0,), floor=(0.0,), families=(family,))
    assert allowed_by(caught.value.errors()[0]).startswith(words)


CONSTRAINTS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}


@given(
    keyword=st.sampled_from(list(CONSTRAINTS)),
    limit=st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9, allow_nan=False),
)
def test_a_limit_of_a_schema_and_of_a_model_has_one_phrase_whatever_the_number(keyword, limit):
    adapter = TypeAdapter(Annotated[float, Field(**{CONSTRAINTS[keyword]: limit})])
    beyond = limit - 1 if keyword.lower().endswith("minimum") else limit + 1
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(float(beyond))
    assert allowed_by(caught.value.errors()[0]) == phrase(keyword, adapter.json_schema()[keyword])


class TestTheWords:
    def test_an_object_is_not_called_a_list(self):
        with pytest.raises(ValidationError) as caught:
            TypeAdapter(Annotated[dict[str, int], Field(max_length=1)]).validate_python({"a": 1, "b": 2})
        assert allowed_by(caught.value.errors()[0]) == "an object of at most 1"

    def test_a_choice_that_holds_the_word_or_is_not_torn(self):
        class Either(BaseModel):
            one: Literal["this or that"]
            two: Literal["this or that", "none"]

        with pytest.raises(ValidationError) as caught:
            Either.model_validate({"one": "", "two": ""})
        assert [allowed_by(error) for error in caught.value.errors()] == [
            "'this or that'",
            "one of 'this or that', 'none'",
        ]

    def test_a_limit_without_a_phrase_keeps_the_validators_words(self):
        assert phrase("uniqueItems", True, message="[1, 1] has repeats") == "valid ([1, 1] has repeats)"
        assert phrase("format", "uri") == "valid (format)"

    def test_all_limits_of_an_option_stand_in_one_line(self):
        properties = options_schema(Options)["properties"]
        assert limits_of(properties["count"]) == "a whole number, at least 1, at most 8"
        assert limits_of(properties["mode"]) == "one of 'fast', 'slow'"

    def test_names_are_listed_with_what_they_name(self):
        assert one_of_names(["a", "b"], kind="options") == "one of the options: a, b"
        assert one_of_names([], kind="options") == "absent: there are no options"


class TestTheSentence:
    @pytest.mark.parametrize(
        ("value", "end"), [(0, ", got 0"), ("x", ", got 'x'"), ("", ", but it is empty"), (None, ", got None")]
    )
    def test_it_tells_the_value(self, value, end):
        assert str(InvalidValue("width", value=value, allowed="at least 1", hint="Units")) == (
            f"width must be at least 1{end}. Units"
        )

    def test_what_was_left_out_has_no_value(self):
        assert str(InvalidValue("--job", allowed="given with --trial")) == "--job must be given with --trial"
        assert InvalidValue("--job", allowed="given").value is MISSING
