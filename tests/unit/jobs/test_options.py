from __future__ import annotations

from typing import Any

import pytest

from tests.integration.store.builders import spec
from tuner.jobs.options import batch_rule, usual_options
from tuner.schedules.scaling import ScalingRule
from tuner.search.space import Choice, FloatRange


def asked(given: dict[str, Any]) -> Any:
    ranges = {"clip": FloatRange(low=0.1, high=10.0, log=True), "norm": Choice(values=("layer", "batch"))}
    plain = spec()
    return plain.model_copy(update={"options": given, "search": plain.search.model_copy(update={"options": ranges})})


def test_a_search_starts_with_the_jobs_options() -> None:
    assert usual_options(asked({"clip": 1.5, "norm": "batch", "width": 8})) == (("clip", 1.5), ("norm", "batch"))
    assert usual_options(spec(options={"clip": 1.5})) == ()


@pytest.mark.parametrize(("clip", "begins"), [(None, 0.1), ("off", 0.1), ([1], 0.1), (99.0, 10.0)])
def test_a_value_outside_the_range_becomes_the_nearest_one(clip: Any, begins: float) -> None:
    assert usual_options(asked({"clip": clip, "norm": None})) == (("clip", begins), ("norm", "layer"))


def test_the_peak_follows_the_batch_size_by_the_rule_of_the_optimizer() -> None:
    assert batch_rule({"optimizer": "sgd"}) is ScalingRule.LINEAR
    assert batch_rule({"optimizer": "adam"}) is batch_rule({}) is ScalingRule.SQRT
