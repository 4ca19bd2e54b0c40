"""Every public name shows its use in its docstring: a small example, which runs here as a doctest."""

from __future__ import annotations

import doctest
from importlib import import_module
from inspect import isclass, isfunction

import pytest

import tuner
import tuner.exports
import tuner.optuna
import tuner.schedules
import tuner.sdk
from tests.architecture.test_public_face import assert_public
from tuner.schedules import FAMILIES

NAMES = [f"tuner.{name}" for name in tuner.__all__]
FAMILY_NAMES = [f"tuner.schedules.{family.__name__}" for family in FAMILIES.values()]
OTHERS = [
    f"{module.__name__}.{name}"
    for module in (tuner.schedules, tuner.exports, tuner.sdk, tuner.optuna)
    for name in sorted({*module.__all__} - {*tuner.__all__})
    if isclass(found := getattr(module, name)) or isfunction(found)
]
BOUNDARIES = "for u in (0, 9, 10, 60, 109)"
"""The updates 0, W - 1, W, the middle of the rest and T - 1 of a run with W = 10 and T = 110."""


def docstring_examples(name: str) -> doctest.DocTest:
    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute)
    (test,) = doctest.DocTestFinder(recurse=False, exclude_empty=False).find(found, name, globs={})
    return test


@pytest.mark.parametrize("name", [*NAMES, *FAMILY_NAMES])
def test_every_public_name_has_an_example(name):
    assert docstring_examples(name).examples, f"{name} needs an example (>>> ...) in its docstring"


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_every_family_shows_its_rates_at_the_boundaries(name):
    sources = [example.source for example in docstring_examples(name).examples]
    assert any(BOUNDARIES in source for source in sources), f"{name} needs an example with its rates {BOUNDARIES}"


@pytest.mark.parametrize("name", sorted({*NAMES, *FAMILY_NAMES, *OTHERS}))
def test_the_examples_run_and_import_public_names_alone(name):
    test = docstring_examples(name)
    for example in test.examples:
        assert_public(example.source, origin=name)
    printed: list[str] = []
    assert doctest.DocTestRunner().run(test, out=printed.append).failed == 0, "".join(printed)
