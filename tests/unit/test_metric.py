"""What a metric accepts, refuses, and converts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tuner.errors import InvalidValue
from tuner.metric import DEFAULT_METRIC, Metric, check_monitored, sounds_maximized

ACCURACY = Metric(name="accuracy", direction="maximize", unit="%")


def test_the_default_is_the_validation_loss_minimized() -> None:
    assert (DEFAULT_METRIC.name, DEFAULT_METRIC.direction, DEFAULT_METRIC.unit) == ("validation loss", "minimize", "")


@pytest.mark.parametrize("metric", [DEFAULT_METRIC, ACCURACY])
@pytest.mark.parametrize("value", [93.5, 0.0, -4.0])
def test_a_value_comes_back_from_its_loss_without_a_negative_zero(metric: Metric, value: float) -> None:
    assert metric.value(metric.loss(value)) == value
    assert not str(metric.value(metric.loss(value))).startswith("-0")


def test_the_better_value_has_the_lower_loss() -> None:
    assert ACCURACY.loss(94.0) < ACCURACY.loss(93.0)
    assert DEFAULT_METRIC.loss(0.1) < DEFAULT_METRIC.loss(0.2)


@pytest.mark.parametrize(
    "name",
    ["accuracy", "eval_accuracy", "evalAccuracy", "val_acc", "top5_acc", "F1", "f1-macro", "auc", "AUROC",
     "sacrebleu bleu", "mean reward", "episode return", "precision", "recall", "mAP", "rouge", "r2", "score"],
)  # fmt: skip
def test_a_name_that_sounds_maximized_needs_a_direction(name: str) -> None:
    assert sounds_maximized(name)
    with pytest.raises(ValidationError, match=r'direction must be "maximize" or "minimize".*direction="maximize"'):
        Metric(name=name)
    assert Metric(name=name, direction="minimize").direction == "minimize"


@pytest.mark.parametrize("name", ["validation loss", "perplexity", "wer", "error", "accumulated loss", "mapped cost"])
def test_other_names_are_minimized(name: str) -> None:
    assert not Metric(name=name).maximized


@pytest.mark.parametrize("fields", [{"name": ""}, {"name": "a\nb"}, {"unit": "x" * 21}, {"direction": "max"}, {"x": 1}])
def test_other_fields_are_refused(fields: dict) -> None:
    with pytest.raises(ValidationError):
        Metric(**fields)


def test_a_stored_metric_is_read_back_equal() -> None:
    assert Metric.model_validate_json(ACCURACY.model_dump_json()) == ACCURACY


def test_values_are_written_with_their_unit() -> None:
    assert (ACCURACY.text(93.125), DEFAULT_METRIC.text(0.5), ACCURACY.text(None)) == ("93.12 %", "0.5000", "diverged")


@pytest.mark.parametrize(
    ("name", "metric", "stated"),
    [
        ("eval_accuracy", DEFAULT_METRIC, None),
        ("eval_loss", ACCURACY, None),
        ("eval_quality", DEFAULT_METRIC, True),
        ("eval_quality", ACCURACY, False),
    ],
)
def test_a_monitored_quantity_of_the_other_direction_is_refused(name: str, metric: Metric, stated: bool | None) -> None:
    with pytest.raises(InvalidValue, match="of the direction of the workload's metric"):
        check_monitored("monitor", name=name, metric=metric, higher_is_better=stated)


def test_a_monitored_quantity_of_the_same_direction_passes() -> None:
    check_monitored("monitor", name="eval_accuracy", metric=ACCURACY, higher_is_better=True)
    check_monitored("monitor", name="eval_loss", metric=DEFAULT_METRIC)
    check_monitored("monitor", name="brier_score", metric=Metric(name="Brier score", direction="minimize"))
