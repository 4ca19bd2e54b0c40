from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tuner.errors import InvalidValue
from tuner.jobs.admission.strict_json import (
    MAX_DEPTH,
    Refusal,
    parse_strict,
    refusal_of,
    refusals,
    request_digest,
    shown,
)


class Apple(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["apple"]
    seeds: int = Field(ge=0)


class Pear(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["pear"]
    grams: float = Field(gt=0)

    @model_validator(mode="after")
    def _light(self) -> Pear:
        if self.grams > 500:
            raise InvalidValue("grams", value=self.grams, allowed="at most 500", hint="Cut it")
        return self


class Basket(BaseModel):
    model_config = ConfigDict(extra="forbid")

    fruits: list[Annotated[Apple | Pear, Field(discriminator="kind")]] = []
    label: str | None = None
    named: dict[str, Apple] = {}


def refused(payload: Any) -> tuple[Refusal, ...]:
    with pytest.raises(ValidationError) as caught:
        parse_strict(Basket, payload)
    return refusals(caught.value.errors(), model=Basket)


@pytest.mark.parametrize(
    ("payload", "field", "message"),
    [
        ({"labl": "x"}, "labl", "labl is not one of the known fields: fruits, label, named. Did you mean 'label'?"),
        ({"fruits": [{"kind": "apple"}]}, "fruits.0.seeds", "fruits.0.seeds is missing"),
        ({"fruits": [{"kind": "plum"}]}, "fruits.0.kind", "fruits.0.kind must be one of 'apple', 'pear', got \"plum\""),
        ({"fruits": [{}]}, "fruits.0.kind", "fruits.0.kind is missing"),
        (
            {"fruits": [{"kind": "apple", "seeds": True}]},
            "fruits.0.seeds",
            "fruits.0.seeds must be a whole number, got true",
        ),
        (
            {"fruits": [{"kind": "apple", "seeds": -1}]},
            "fruits.0.seeds",
            "fruits.0.seeds must be at least 0, got -1",
        ),
        (
            {"fruits": [{"kind": "pear", "grams": 501.0}]},
            "fruits.0.grams",
            "fruits.0.grams must be at most 500, got 501.0. Cut it",
        ),
        (
            {"named": {"a": {"kind": "apple", "seeds": 1, "x": 2}}},
            "named.a.x",
            "named.a.x is not one of the known fields: kind, seeds. Leave it out.",
        ),
        ({"fruits": "all"}, "fruits", 'fruits must be a JSON array, got "all"'),
        ([], "request", "request must be a JSON object, got []"),
    ],
)
def test_a_refusal_names_the_field_as_the_sender_wrote_it(payload: Any, field: str, message: str):
    first, *rest = refused(payload)
    assert (first.field, first.message) == (field, message)
    assert first.allowed
    assert rest == []


def test_the_refusal_of_an_unknown_field_lists_the_known_ones():
    assert refused({"x": 1})[0].allowed == "one of the known fields: fruits, label, named"


def test_a_long_value_is_cut():
    assert len(shown("x" * 10_000)) < 300
    assert len(shown(list(range(10_000)))) < 300


def test_the_librarys_own_refusal_has_the_same_form():
    refusal = refusal_of(InvalidValue("a.b", value=3, allowed="4", hint="Try 4"))
    assert refusal.message == "a.b must be 4, got 3. Try 4"
    assert refusal.loc == ("a", "b")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"label": "a\0"}, "label"),
        ({"label": "\ud800"}, "label"),
        ({"a\0": 1}, "request"),
        ({"fruits": [{"kind": "pear", "grams": float("inf")}]}, "fruits.0.grams"),
    ],
)
def test_text_and_numbers_that_no_database_stores_are_refused(payload: Any, field: str):
    with pytest.raises(InvalidValue) as caught:
        parse_strict(Basket, payload)
    assert caught.value.field == field


def test_nesting_is_bounded():
    payload: Any = 1
    for _ in range(MAX_DEPTH + 1):
        payload = [payload]
    with pytest.raises(InvalidValue, match="deep"):
        parse_strict(Basket, payload)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["fruits", "kind", "seeds", "x"]), inner),
    )
)
def test_any_payload_is_read_or_refused_with_words(payload: Any):
    found: tuple[Refusal, ...] = ()
    try:
        parse_strict(Basket, payload)
    except InvalidValue as error:
        found = (refusal_of(error),)
    except ValidationError as error:
        found = refusals(error.errors(), model=Basket)
    assert all(one.field and one.message and one.allowed for one in found)


class TestTheDigestOfARequest:
    def test_the_order_of_fields_does_not_matter(self):
        assert request_digest({"a": 1, "b": {"c": 2, "d": 3}}) == request_digest({"b": {"d": 3, "c": 2}, "a": 1})

    @pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": [1]}, {"a": 1, "b": None}, {"b": 1}, {}])
    def test_everything_else_does(self, other: dict[str, object]):
        assert request_digest({"a": 1}) != request_digest(other)

    def test_any_text_has_one(self):
        assert len(request_digest({"a": "\ud800 é \0"})) == 64
