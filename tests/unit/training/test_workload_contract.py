from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import Field

from tuner.errors import InvalidValue, WorkloadError
from tuner.jobs.records import Level
from tuner.search.settings import MIN_HORIZON, SearchSettings
from tuner.search.space import OptimizerKind, default_space
from tuner.training.data import ShuffledBatches, derived_seed
from tuner.training.options import parse_options
from tuner.training.workload import WorkloadOptions, describe


class Options(WorkloadOptions):
    optimizer: OptimizerKind = Field(default=OptimizerKind.SGD, description="Which.")
    width: int = Field(default=4, ge=1, le=8, description="Units.")
    rate: float = Field(default=0.5, gt=0, lt=1, description="A fraction.")
    size: int = Field(default=8, ge=8, multiple_of=8, description="Units.")
    flag: bool = Field(default=True, description="Whether.")


class Unstorable(WorkloadOptions):
    name: str = Field(default="caf\udce9", description="A file.")


class TestOptions:
    def test_those_left_out_take_their_defaults(self):
        assert parse_options(Options, {"width": 5}) == Options(width=5)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"width": 9}, r"options\.width must be at most 8, got 9"),
            ({"width": 1.5}, r"options\.width must be a whole number, got 1\.5"),
            ({"rate": 1.0}, r"options\.rate must be below 1, got 1\.0"),
            ({"size": 12}, r"options\.size must be a multiple of 8, got 12"),
            ({"optimizer": "lion"}, r"options\.optimizer must be one of 'sgd', 'adam', got 'lion'"),
            ({"flag": "perhaps"}, r"options\.flag must be true or false, got 'perhaps'"),
            ({"widht": 4}, r"options must be one of the options: flag, optimizer, rate, size, width, got 'widht'"),
        ],
    )
    def test_a_refusal_names_field_value_and_what_is_allowed(self, given, message):
        with pytest.raises(InvalidValue, match=message):
            parse_options(Options, given)

    def test_a_workload_without_options_takes_none(self):
        with pytest.raises(InvalidValue, match="there are no options, got 'width'"):
            parse_options(WorkloadOptions, {"width": 1})


class TestDescription:
    def test_the_schema_stands_alone(self, counting):
        workload = counting()
        workload.Options = Options
        schema = describe(workload).options_schema
        assert "$defs" not in schema
        assert schema["properties"]["optimizer"]["enum"] == ["sgd", "adam"]
        assert schema["additionalProperties"] is False

    def test_the_level_is_reported(self, line, counting):
        assert describe(line).level is Level.DECLARED
        assert describe(counting()).level is Level.STEPWISE

    @pytest.mark.parametrize("attribute", ["name", "version", "description", "default_steps", "optimizer"])
    def test_a_missing_attribute_is_named(self, counting, attribute):
        class Incomplete(counting.__base__):  # type: ignore[name-defined]
            start = counting.start

        for other in {"name", "version", "description", "default_steps", "optimizer"} - {attribute}:
            setattr(Incomplete, other, getattr(counting, other))
        with pytest.raises(WorkloadError, match=f"Incomplete must set the class attribute '{attribute}'"):
            describe(Incomplete())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"version": 2}, "version must be text, got 2"),
            ({"description": "trains on caf\udce9"}, "must be text without NUL and unpaired surrogates"),
            ({"version": "1\0"}, "must be text without NUL and unpaired surrogates"),
            ({"Options": Unstorable}, "Options.properties.name.default must be text without NUL and unpaired"),
            ({"name": "My Workload"}, "must be lower-case words joined by hyphens"),
            ({"default_steps": 9}, "default_steps must be at least 10, the least horizon of a search, got 9"),
            ({"optimizer_option": "nothing"}, "must name an option whose default is sgd"),
            ({"optimizer_option": "optimizer", "optimizer": OptimizerKind.ADAM}, "whose default is adam"),
            ({"peak_lr": {OptimizerKind.SGD: (0.1, 0.1)}}, "peak_lr of sgd must be a rate above 0, or a range 0 < low"),
            ({"peak_lr": {OptimizerKind.SGD: 0.0}}, "peak_lr of sgd must be a rate above 0, or a range 0 < low"),
        ],
    )
    def test_an_attribute_that_cannot_be_is_refused(self, counting, change, message):
        workload = counting()
        workload.Options = Options
        for name, value in change.items():
            setattr(workload, name, value)
        with pytest.raises(WorkloadError, match=message):
            describe(workload)

    def test_the_rate_that_is_used_today_becomes_the_middle_of_a_range(self, counting):
        workload = counting()
        workload.peak_lr = {OptimizerKind.ADAM: 2e-5, OptimizerKind.SGD: (0.1, 0.4)}
        low, high = describe(workload).peak_lr["adam"]
        assert (low * high) ** 0.5 == pytest.approx(2e-5, rel=0.01)
        assert high / low > 100
        assert describe(workload).peak_lr["sgd"] == (0.1, 0.4)

    def test_the_least_horizon_of_a_search_is_enough_by_default(self, counting):
        workload = counting()
        workload.default_steps = MIN_HORIZON
        steps = describe(workload).default_steps
        assert SearchSettings(total_steps=steps, space=default_space(workload.optimizer)).total_steps == steps

    @pytest.mark.parametrize(
        ("field", "needed"), [(Field(description="Units."), "default"), (Field(default=1), "description")]
    )
    def test_an_option_without_default_or_description_is_refused(self, counting, field, needed):
        class Bare(WorkloadOptions):
            width: int = field

        workload = counting()
        workload.Options = Bare
        with pytest.raises(WorkloadError, match=f"the option 'width' needs a {needed}"):
            describe(workload)


class TestDataOrder:
    def batches(self, **changes):
        import torch

        values: dict[str, Any] = {"rows": 10, "batch_size": 3, "seed": 1, "device": torch.device("cpu")}
        return ShuffledBatches(**values | changes)

    def test_it_is_a_function_of_seed_and_step(self):
        forward, backward = self.batches(), self.batches()
        expected = [forward.indices(step).tolist() for step in range(9)]
        assert [backward.indices(step).tolist() for step in reversed(range(9))] == expected[::-1]
        assert [self.batches(seed=2).indices(step).tolist() for step in range(9)] != expected

    def test_an_epoch_sees_a_row_once_and_epochs_differ(self):
        order = self.batches()
        epochs = [[row for step in range(3) for row in order.indices(3 * epoch + step).tolist()] for epoch in range(2)]
        assert all(len(set(rows)) == 9 for rows in epochs)
        assert epochs[0] != epochs[1]

    @pytest.mark.parametrize("batch_size", [0, 11])
    def test_a_batch_that_cannot_be_is_refused(self, batch_size):
        with pytest.raises(InvalidValue, match=r"batch_size must be in \[1, 10\]"):
            self.batches(batch_size=batch_size)

    def test_derived_seeds_are_the_same_everywhere(self):
        assert derived_seed(1, "epoch", 0) == 264540508802710420
        assert derived_seed(1, "epoch", 12) != derived_seed(1, "epoch", 1, 2)


def test_the_protocol_does_not_load_torch():
    code = "import sys, tuner.training.protocol; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
