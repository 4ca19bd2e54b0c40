"""The scale on which the GP compares losses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.schedules import Linear, Schedule
from tuner.search.configuration import Configuration
from tuner.search.sampler.losses import LossScale, Observation

GAPS = st.floats(-1e3, 1e6)
SCALES = st.builds(LossScale, best=st.floats(-1e3, 1e3), unit=st.floats(1e-3, 1e3))


def observations(*rows: list[float]) -> list[Observation]:
    """The losses of each configuration, on one seed after the other."""
    return [
        Observation(
            configuration=Configuration(schedule=Schedule(peak_lr=1e-3 * (place + 1), family=Linear())),
            seed=seed,
            loss=loss,
        )
        for place, losses in enumerate(rows)
        for seed, loss in enumerate(losses)
    ]


@given(scale=SCALES, gap=GAPS)
def test_what_is_compressed_expands_to_itself(scale: LossScale, gap: float) -> None:
    losses = np.array([scale.best + gap * scale.unit])
    assert scale.expand(scale.compress(losses)) == pytest.approx(losses, rel=1e-9, abs=1e-9 * scale.unit)


@given(scale=SCALES, gap=GAPS, more=st.floats(1e-3, 1e3))
def test_a_higher_loss_has_a_higher_z(scale: LossScale, gap: float, more: float) -> None:
    low, high = scale.compress(scale.best + scale.unit * np.array([gap, gap + more]))
    assert low < high


@given(scale=SCALES, z=st.floats(-10.0, 10.0))
def test_the_slope_is_the_loss_per_z(scale: LossScale, z: float) -> None:
    step = 1e-5
    low, high = scale.expand(np.array([z - step, z + step]))
    assert scale.slope(np.array([z]))[0] == pytest.approx((high - low) / (2.0 * step), rel=1e-3)


def test_z_is_zero_at_the_least_mean_and_linear_below_it() -> None:
    scale = LossScale.of(observations([1.0, 3.0], [2.2, 2.2], [6.0]))
    assert scale.best == 2.0  # of the first: its lowest loss is luck
    assert scale.compress(np.array([2.0, 2.0 - scale.unit])) == pytest.approx([0.0, -1.0])


def test_its_unit_is_the_median_gap_to_the_best() -> None:
    assert LossScale.of(observations([1.0], [1.5], [4.0], [3.0])).unit == 2.0


@pytest.mark.parametrize("rows", [([2.0],), ([2.0], [2.0]), ([2.0, 2.0],)])
def test_without_a_gap_its_unit_is_one(rows: tuple[list[float], ...]) -> None:
    assert LossScale.of(observations(*rows)) == LossScale(best=2.0, unit=1.0)


def test_losses_far_beyond_all_others_stay_finite() -> None:
    scale = LossScale(best=1.0, unit=1e-9)
    z = scale.compress(np.array([1e200]))
    assert np.isfinite(z).all()
    assert np.isfinite(scale.expand(z)).all()
    assert np.isfinite(scale.slope(np.array([1e9]))).all()
