from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim.lr_scheduler import ReduceLROnPlateau

from tuner.errors import InvalidValue
from tuner.schedules import ReduceOnPlateau, ReduceOnPlateauSettings

_LOSSES = st.lists(st.sampled_from([3.0, 2.0, 1.9999, 1.5, 1.2, 1.0, 0.9, 0.5, math.nan, math.inf]), max_size=60)
_SETTINGS = st.builds(
    ReduceOnPlateauSettings,
    peak_lr=st.just(1.0),
    factor=st.sampled_from([0.1, 0.5, 0.9]),
    patience=st.integers(0, 4),
    cooldown=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 1e-4, 0.3]),
    threshold_mode=st.sampled_from(["relative", "absolute"]),
    floor=st.sampled_from([0.0, 0.2]),
    eps=st.sampled_from([0.0, 1e-8, 0.05, 0.5]),
)


@given(settings=_SETTINGS, losses=_LOSSES)
def test_it_reduces_when_torchs_does(settings: ReduceOnPlateauSettings, losses: list[float]):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=settings.peak_lr)
    theirs = ReduceLROnPlateau(
        optimizer,
        factor=settings.factor,
        patience=settings.patience,
        cooldown=settings.cooldown,
        threshold=settings.threshold,
        threshold_mode="rel" if settings.threshold_mode == "relative" else "abs",
        min_lr=settings.floor,
        eps=settings.eps,
    )
    ours = ReduceOnPlateau(settings)
    for loss in losses:
        theirs.step(loss)
        assert ours.observe(loss) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)


def test_by_default_it_makes_no_reduction_that_torch_would_leave_out():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-7)
    theirs, ours = (
        ReduceLROnPlateau(optimizer, patience=0),
        ReduceOnPlateau(ReduceOnPlateauSettings(peak_lr=1e-7, patience=0)),
    )
    for _ in range(6):
        theirs.step(1.0)
        assert ours.observe(1.0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
    assert ours.lr == pytest.approx(1e-8)


@given(settings=_SETTINGS, losses=_LOSSES, cut=st.integers(0, 60))
def test_a_resumed_schedule_continues_as_if_uninterrupted(
    settings: ReduceOnPlateauSettings, losses: list[float], cut: int
):
    whole = ReduceOnPlateau(settings)
    rates = [whole.observe(loss) for loss in losses]
    before, after = ReduceOnPlateau(settings), ReduceOnPlateau(settings)
    for loss in losses[:cut]:
        before.observe(loss)
    after.load_state_dict(json.loads(json.dumps(before.state_dict(), allow_nan=False)))
    assert after.lr == before.lr
    assert [after.observe(loss) for loss in losses[cut:]] == rates[cut:]


def test_a_negative_loss_improves_when_it_falls():
    schedule = ReduceOnPlateau(ReduceOnPlateauSettings(peak_lr=1.0, patience=0, threshold=0.1))
    assert [schedule.observe(loss) for loss in (-1.0, -1.05, -1.2)] == pytest.approx([1.0, 0.1, 0.1])


def test_the_state_of_other_settings_is_refused():
    state = ReduceOnPlateau(ReduceOnPlateauSettings(peak_lr=1.0)).state_dict()
    with pytest.raises(InvalidValue, match="settings must be"):
        ReduceOnPlateau(ReduceOnPlateauSettings(peak_lr=2.0)).load_state_dict(state)


def test_what_is_not_a_state_is_refused():
    with pytest.raises(ValidationError, match="reductions"):
        ReduceOnPlateau(ReduceOnPlateauSettings(peak_lr=1.0)).load_state_dict({"settings": {"peak_lr": 1.0}})


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("peak_lr", 0.0, "greater than 0"),
        ("factor", 1.0, "less than 1"),
        ("factor", 0.0, "greater than 0"),
        ("patience", -1, "greater than or equal to 0"),
        ("cooldown", 1.5, "valid integer"),
        ("threshold", math.nan, "finite number"),
        ("floor", 1.0, "less than 1"),
        ("eps", -1e-8, "greater than or equal to 0"),
    ],
)
def test_bad_settings_are_refused_with_field_and_range(field: str, value: float, allowed: str):
    with pytest.raises(ValidationError, match=rf"{field}\n.*{allowed}"):
        ReduceOnPlateauSettings.model_validate({"peak_lr": 1.0, field: value})
