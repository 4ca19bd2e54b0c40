"""The space of the search on the command line."""

import pytest

from tests.unit.cli.test_main import COMMANDS
from tuner.cli.jobs.space import parse_space
from tuner.cli.parsing import parse_share
from tuner.errors import InvalidValue
from tuner.jobs.spec import JobSpec, Resources
from tuner.search.settings import BUDGETS, SearchSettings
from tuner.search.space import OptimizerKind, default_space


def space(*, preset=None, training=None, peak_lr="", families=(), warmup="", warmup_shape="", floor=""):
    return parse_space(
        preset=preset,
        training=training,
        peak_lr=peak_lr,
        families=families,
        warmup=warmup,
        warmup_shape=warmup_shape,
        floor=floor,
    )


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"peak_lr": "1e-5..1e-3"}, {"peak_lr": {"low": 1e-5, "high": 1e-3}}),
        ({"peak_lr": "0.01"}, {"peak_lr": {"low": 0.01, "high": 0.01}}),
        ({"peak_lr": "1e-5.."}, {"peak_lr": {"low": 1e-5}}),
        ({"peak_lr": "..1e-3"}, {"peak_lr": {"high": 1e-3}}),
        ({"families": ["cosine", "wsd"]}, {"families": [{"name": "cosine"}, {"name": "wsd"}]}),
        ({"families": ["cosine, wsd", "wsd"]}, {"families": [{"name": "cosine"}, {"name": "wsd"}]}),
        ({"warmup": "0,0.02,10%"}, {"warmup": [0.0, 0.02, 0.1]}),
        ({"floor": "0,0.1"}, {"floor": [0.0, 0.1]}),
        ({"preset": "wide", "training": "lora"}, {"preset": "wide", "training": "lora"}),
        ({"warmup": "0,500,2.5epochs"}, {"warmup": [0.0, {"updates": 500}, {"epochs": 2.5}]}),
        (
            {"warmup_shape": "linear,exponential:0.001"},
            {"warmup_shape": ["linear", {"shape": "exponential", "start_factor": 0.001}]},
        ),
        (
            {"families": ["step every=5..30epochs gamma=0.1"]},
            {
                "families": [
                    {
                        "name": "step",
                        "fixed": {"gamma": 0.1},
                        "params": {"every.epochs": {"kind": "int", "low": 5, "high": 30, "log": False}},
                    }
                ]
            },
        ),
        (
            {"families": ["wsd cooldown=10%..50%", "wsd cooldown=50updates as=short"]},
            {
                "families": [
                    {"name": "wsd", "params": {"cooldown": {"kind": "float", "low": 0.1, "high": 0.5, "log": False}}},
                    {"name": "wsd", "alias": "short", "fixed": {"cooldown": {"updates": 50}}, "params": {}},
                ]
            },
        ),
        (
            {"families": ["cyclic period=4epochs mode=triangular,triangular2"]},
            {
                "families": [
                    {
                        "name": "cyclic",
                        "fixed": {"period": {"epochs": 4}},
                        "params": {"mode": {"kind": "choice", "values": ["triangular", "triangular2"]}},
                    }
                ]
            },
        ),
        ({}, {}),
    ],
)
def test_words_set_the_fields_that_they_name(words, field):
    assert space(**words) == field


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"peak_lr": "1e-3..1e-5"},
            "or one rate, the lower one first, got",
        ),
        ({"peak_lr": "0..1"}, "--peak-lr must be"),
        ({"peak_lr": ".."}, "--peak-lr must be"),
        ({"peak_lr": "1e-3..inf"}, "--peak-lr must be"),
        ({"peak_lr": "1e-5-1e-3"}, "or one rate, got '1e-5-1e-3'"),
        ({"peak_lr": "nan"}, "--peak-lr must be"),
        ({"families": ["cosin"]}, "got 'cosin'. Did you mean 'cosine'?"),
        ({"families": ["cosine,"]}, "--family must be one of"),
        (
            {"warmup": "1.5"},
            "--warmup must be parts of the run from 0 to below 1, updates or epochs, as in 0,0.02,10%,500",
        ),
        ({"warmup": "0epochs"}, "--warmup must be parts of the run"),
        ({"warmup_shape": "exponential:low"}, "--warmup-shape must be shapes, with the fraction of the peak"),
        ({"families": ["step every=5..30epochs gamma"]}, "or one with parameters: 'step gamma=0.1..0.5"),
        ({"families": ["step every=5epochs..30updates"]}, "--family must be in one unit"),
        ({"warmup": "0,,1%"}, "--warmup must be"),
        ({"floor": "low"}, "--floor must be parts of the peak"),
    ],
)
def test_words_of_another_form_are_refused_with_one_that_is_right(words, message):
    with pytest.raises(InvalidValue) as refused:
        space(**words)
    assert message in str(refused.value)


def default_of(name: str) -> str:
    (option,) = (one for one in COMMANDS["tuner submit"].params if one.name == name)
    return option.show_default


def test_the_defaults_that_the_help_says_are_those_of_the_search():
    usual = default_space(OptimizerKind.ADAM)
    shown = space(warmup=default_of("warmup"), floor=default_of("floor"))
    assert shown == {"warmup": list(usual.warmup), "floor": list(usual.floor)}
    settings = SearchSettings.model_fields
    assert int(default_of("seeds")) == settings["seeds"].default
    assert parse_share(default_of("worth"), option="--worth") == settings["worth"].default
    assert BUDGETS[default_of("budget")] == settings["budget"].default
    assert float(default_of("longer")) == JobSpec.model_fields["longer"].default
    assert default_of("priority") == JobSpec.model_fields["priority"].default.value
    assert default_of("device") == Resources().device
    assert int(default_of("devices")) == Resources().devices
