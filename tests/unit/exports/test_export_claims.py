"""Every export reproduces the schedule's rates, resumed or not, and is native exactly where the library allows it.

What the libraries of `make test-exports` run is in test_exports_in_libraries.py.
"""

from __future__ import annotations

import ast
import importlib
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exports.drivers import DRIVERS, Ratios, executed, sgd
from tests.unit.schedules.strategies import EXAMPLES, Case, cases, example
from tuner.errors import InvalidValue
from tuner.exports import EXPORTERS, ExportFormat, TargetRun, export
from tuner.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Linear,
    MultiStep,
    OneCycle,
    Polynomial,
    Rex,
    Schedule,
    Sgdr,
    Step,
    Updates,
    Warmup,
    Wsd,
)

HORIZONS = st.one_of(st.integers(1, 60), st.integers(1, 100), st.integers(1, 600), st.integers(1, 5_000))
HERE = ("python", "torch", "torch-builtin", "huggingface", "lightning", "deepspeed")
CODE = tuple(name for name, each in EXPORTERS.items() if each.extension == "py")
RUN = TargetRun(total_steps=200)
SINGLE = 1e-5
"""Of the peak: what float32 leaves of a rate in runs of up to 5,000 updates, where a curve is steepest."""


def text(schedule: Schedule, name: str, run: TargetRun = RUN) -> str:
    return "".join(export(schedule, format=ExportFormat(name), run=run).chunks)


def assert_equal(
    name: str, schedule: Schedule, total_steps: int, *, stop: int | None = None, ratios: Ratios = (1.0,)
) -> None:
    """To 1e-9 of the rate, or 1e-12 of the peak where the rate is a difference of nearly equal numbers.

    Keras computes in float32: to 1e-5 of the peak. Groups have the ratios to the peak that they were built with.
    """
    code = text(schedule, name, TargetRun(total_steps=total_steps))
    lrs = DRIVERS[name](code, peak=schedule.peak_lr, updates=total_steps, stop=stop, ratios=ratios)
    relative, absolute = (0.0, SINGLE) if name == "keras" else (1e-9, 1e-12)
    want = np.outer(schedule.lrs(total_steps), ratios)
    atol = absolute * schedule.peak_lr * min(ratios)
    np.testing.assert_allclose(lrs, want, rtol=relative, atol=atol, err_msg=code)


def the_lambda_in(case: Case, name: str) -> str:
    """The function form of an export for PyTorch; empty where the target's own terms are used."""
    code = text(case.schedule, name, TargetRun(total_steps=case.total_steps))
    return code[code.index("\nPEAK_LR = ") :] if "def make_scheduler(" in code else ""


@pytest.mark.parametrize("name", ["python", "torch", "torch-builtin", "huggingface"])
@given(data=st.data())
@settings(max_examples=200)
def test_every_schedule_is_the_same_update_for_update_resumed_anywhere(name: str, data: st.DataObject):
    case: Case = data.draw(cases(horizons=HORIZONS))
    stop = data.draw(st.integers(0, case.total_steps - 1))
    if name == "huggingface" and (code := the_lambda_in(case, name)):
        assert code.startswith(the_lambda_in(case, "torch"))  # which is run here anyway
        return
    assert_equal(name, case.schedule, case.total_steps, stop=stop)


@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("name", HERE)
def test_every_family_is_the_same_with_and_without_a_warm_up(name: str, floor: float):
    for family in EXAMPLES:
        for warmup in (True, False):
            assert_equal(name, example(family, floor=floor, warmup=warmup), 120, stop=37)


@given(case=cases(horizons=HORIZONS))
@settings(max_examples=50)
def test_a_function_is_level_after_the_last_update(case: Case):
    lr = executed(text(case.schedule, "python", TargetRun(total_steps=case.total_steps)))["lr"]
    end = case.schedule.lr(case.total_steps, total_steps=case.total_steps)
    for update in (case.total_steps, case.total_steps + 1, 10 * case.total_steps):
        assert lr(update) == pytest.approx(end, rel=1e-9, abs=1e-12 * case.schedule.peak_lr)


LINEAR = Warmup(shape="linear", updates=20)
TO_ITS_START = Warmup(shape="linear", updates=20, start_factor=0.1)
CURVED = Warmup(shape="cosine", updates=20)
FLAT = Warmup(shape="constant", updates=20, start_factor=0.1)
IN_STEPS = MultiStep(gamma=0.3, milestones=(0.4, Updates(updates=100)))
IN_UPDATES = Wsd(cooldown=Updates(updates=60), shape="cosine")
ONE_MINUS_SQRT = Wsd(cooldown=Updates(updates=60))
NATIVE: dict[str, Any] = {
    "torch-builtin": [
        (Constant(), LINEAR, 0.0),
        (Cosine(), LINEAR, 0.0),
        (Linear(), FLAT, 0.1),
        (IN_STEPS, LINEAR, 0.0),
        (IN_UPDATES, LINEAR, 0.0),
        (Polynomial(), LINEAR, 0.0),
        (Sgdr(cycles=2, multiplier=2.0), Warmup(shape="linear", updates=50), 0.0),
        (Cyclic(cycles=2), Warmup(), 0.1),
        (Exponential(rate=3.0), LINEAR, 0.0),
        (OneCycle(), Warmup(), 0.0),
    ],
    "huggingface": [
        (Constant(), LINEAR, 0.0),
        (Cosine(), Warmup(), 0.1),
        (Linear(), Warmup(), 0.1),
        (Cosine(), Warmup(shape="linear", updates=10), 0.1),
        (ONE_MINUS_SQRT, TO_ITS_START, 0.145),
        (Polynomial(), Warmup(), 0.0),
    ],
    "timm": [
        (Constant(), LINEAR, 0.0),
        (Cosine(), LINEAR, 0.1),
        (Linear(), TO_ITS_START, 0.0),
        (IN_STEPS, LINEAR, 0.0),
        (Wsd(cooldown=Updates(updates=60), shape="exponential"), LINEAR, 0.1),
        (Sgdr(cycles=4), Warmup(), 0.1),
        (Polynomial(), Warmup(), 0.1),
    ],
    "composer": [(IN_STEPS, Warmup(), 0.0), (Step(), Warmup(), 0.0), (Constant(), FLAT, 0.0)],
    "keras": [(Cosine(), Warmup(), 0.1), (Linear(), Warmup(), 0.1), (IN_STEPS, Warmup(), 0.2)],
    "optax": [
        (Cosine(), LINEAR, 0.1),
        (IN_STEPS, LINEAR, 0.2),
        (IN_UPDATES, FLAT, 0.1),
        (Exponential(rate=3.0), LINEAR, 0.1),
        (Polynomial(), LINEAR, 0.1),
    ],
    "deepspeed": [(Constant(), Warmup(), 0.0)],
    "megatron": [(Constant(), LINEAR, 0.0), (Cosine(), LINEAR, 0.1), (ONE_MINUS_SQRT, LINEAR, 0.1)],
}
NOT_NATIVE: dict[str, Any] = {
    "torch-builtin": [
        (Rex(), LINEAR, 0.0),
        (Cosine(), CURVED, 0.0),
        (ONE_MINUS_SQRT, LINEAR, 0.0),
        (Cosine(), LINEAR, 0.1),
        (IN_UPDATES, LINEAR, 0.1),
        (Sgdr(cycles=2), Warmup(), 0.1),
    ],
    "huggingface": [
        (Cosine(), LINEAR, 0.0),
        (Linear(), LINEAR, 0.0),
        (Rex(), Warmup(), 0.0),
        (Constant(), FLAT, 0.0),
        (Polynomial(), Warmup(), 0.1),
    ],
    "timm": [(Polynomial(), LINEAR, 0.0), (Cosine(), CURVED, 0.0), (IN_STEPS, LINEAR, 0.2)],
    "composer": [
        (Cosine(), Warmup(), 0.0),
        (Constant(), LINEAR, 0.0),
        (Step(), FLAT, 0.0),
        (IN_STEPS, Warmup(), 0.2),
        (Constant(), Warmup(shape="constant", updates=1, start_factor=0.5), 0.0),
    ],
    "keras": [(Cosine(), LINEAR, 0.0), (Rex(), Warmup(), 0.0)],
    "optax": [(Rex(), LINEAR, 0.0), (Cosine(), CURVED, 0.0)],
    "deepspeed": [(Constant(), LINEAR, 0.0), (Linear(), Warmup(), 0.0)],
    "megatron": [(Polynomial(), LINEAR, 0.0), (Constant(), CURVED, 0.0)],
}


@pytest.mark.parametrize("name", NATIVE)
def test_an_export_is_native_where_the_library_can_express_the_schedule(name: str):
    for family, warmup, floor in NATIVE[name]:
        schedule = Schedule(peak_lr=0.02, family=family, warmup=warmup, floor=floor)
        written = export(schedule, format=ExportFormat(name), run=RUN)
        assert written.fallback_reason == "", schedule.label
        code = "".join(written.chunks)
        assert "Exactly this schedule" in code
        assert "lr_factor" not in code
        if name in HERE:
            assert_equal(name, schedule, RUN.total_steps, stop=77)


@pytest.mark.parametrize("name", NOT_NATIVE)
def test_an_export_is_a_function_with_the_reason_where_the_library_cannot(name: str):
    for family, warmup, floor in NOT_NATIVE[name]:
        schedule = Schedule(peak_lr=0.02, family=family, warmup=warmup, floor=floor)
        written = export(schedule, format=ExportFormat(name), run=RUN)
        code = "".join(written.chunks)
        assert written.fallback_reason, schedule.label
        assert written.fallback_reason in code.replace("\n# ", " ")
        assert "def lr_factor" in code


def test_the_reason_includes_the_error_of_the_nearest_native_schedule():
    cosine = Schedule(peak_lr=0.02, family=Cosine(), warmup=LINEAR)
    reason = export(cosine, format=ExportFormat.HUGGINGFACE, run=RUN).fallback_reason
    assert 'lr_scheduler_type="cosine" with warmup_steps=20, are off by up to 0.05 of the peak' in reason
    nearest_lrs = 0.02 * np.arange(20) / 20
    assert np.abs(cosine.lrs(200)[:20] - nearest_lrs).max() / 0.02 == pytest.approx(0.05)

    rex = Schedule(peak_lr=0.02, family=Rex())
    reason = export(rex, format=ExportFormat.MEGATRON, run=RUN).fallback_reason
    nearest = Schedule(peak_lr=0.02, family=Wsd(cooldown=0.8, shape="linear"))
    error = np.abs(rex.lrs(200) - nearest.lrs(200)) / 0.02
    off = f"would be off by up to {error.max():.3g} of the peak, at update {error.argmax()}"
    assert f"The nearest of its styles, {nearest.family.label}, {off}" in reason
    assert error.max() < np.abs(rex.lrs(200) - Schedule(peak_lr=0.02, family=Linear()).lrs(200)).max() / 0.02


@pytest.mark.parametrize("name", CODE)
@pytest.mark.parametrize("family", EXAMPLES)
def test_code_states_unit_length_batch_optimizer_and_how_to_scale(name: str, family: str):
    schedule = example(family, floor=0.1)
    code = text(schedule, name, TargetRun(total_steps=100, batch_size=256, optimizer="AdamW", fitted_from=300))
    ast.parse(code)
    comments = " ".join(line.removeprefix("# ") for line in code.splitlines() if line.startswith("# "))
    for fact in (
        schedule.label,
        schedule.digest,
        "Unit: optimizer updates; not epochs, not micro-batches. Total updates: 100.",
        "Effective batch size: 256 samples of one update. Optimizer: AdamW.",
        "Fitted from 300 updates to 100.",
        "Another total: export again with it",
        "peak * sqrt(new / old) with Adam and its variants, and peak * new / old with SGD. Neither happens by itself",
    ):
        assert fact in comments


@pytest.mark.parametrize(
    ("warmup", "family", "note"),
    [
        (Warmup(), Cosine(), "it has no warm-up; all other lengths are fractions and scale with it"),
        (Warmup(shape="linear", fraction=0.1), Cosine(), "the warm-up is a fraction of the run, 20 updates here"),
        (LINEAR, ONE_MINUS_SQRT, "the warm-up is 20 updates and stays; lengths given in updates or epochs stay"),
    ],
)
def test_a_record_states_how_its_lengths_scale(warmup: Warmup, family: Cosine | Wsd, note: str):
    record = json.loads(text(Schedule(peak_lr=0.1, family=family, warmup=warmup), "record"))
    assert note in record["total_updates_note"]
    assert record["total_updates"] == 200


def test_a_record_holds_the_schedule_and_its_run():
    schedule = Schedule(peak_lr=0.1, family=Cosine(), warmup=LINEAR)
    record = json.loads(text(schedule, "record", TargetRun(total_steps=200, batch_size=64, optimizer="sgd")))
    assert Schedule.model_validate(record["schedule"]) == schedule
    assert (record["digest"], record["warmup_updates"]) == (schedule.digest, 20)
    assert (record["effective_batch_size"], record["optimizer"], record["fitted_from_updates"]) == (64, "sgd", None)


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_run_that_the_schedule_does_not_fit_into_is_refused_before_anything_is_written(name: str):
    with pytest.raises(InvalidValue, match=r"warmup\.updates"):
        export(
            Schedule(peak_lr=0.1, family=Cosine(), warmup=LINEAR),
            format=ExportFormat(name),
            run=replace(RUN, total_steps=20),
        )


@pytest.mark.parametrize("optimizer", ["AdamW\nimport os", "x" * 65, '"""', "a#b"])
def test_an_optimizer_is_a_name_and_cannot_be_code(optimizer: str):
    with pytest.raises(InvalidValue, match="optimizer"):
        TargetRun(total_steps=10, optimizer=optimizer)


def test_groups_follow_at_their_fraction_of_the_peak_and_another_peak_is_refused():
    schedule = Schedule(peak_lr=0.02, family=Cosine(), warmup=LINEAR)
    make = executed(text(schedule, "torch"))["make_scheduler"]
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.02, 0.005)]
    optimizer = torch.optim.SGD(groups)
    scheduler = make(optimizer)
    seen = []
    for _ in range(200):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(seen, np.outer(schedule.lrs(200), [1, 0.25]), rtol=1e-9, atol=1e-15)
    with pytest.raises(ValueError, match=r"must be 0\.02, it is 0\.1"):
        make(sgd(0.1))


def test_the_scheduler_is_pickled_in_one_process_and_goes_on_in_another(tmp_path, monkeypatch):
    schedule = Schedule(peak_lr=0.02, family=Wsd(cooldown=0.4), warmup=CURVED)
    (tmp_path / "exported_schedule.py").write_text(text(schedule, "torch"))
    monkeypatch.syspath_prepend(tmp_path)
    optimizer = sgd(0.02)
    scheduler = importlib.import_module("exported_schedule").make_scheduler(optimizer)
    lrs = []
    for _ in range(123):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    (tmp_path / "halfway").write_bytes(pickle.dumps((scheduler, lrs)))
    done = subprocess.run(
        [sys.executable, "-c", _SECOND_HALF], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), schedule.lrs(200), rtol=1e-9)


_SECOND_HALF = """
import json, pickle, sys
with open("halfway", "rb") as file:
    scheduler, lrs = pickle.load(file)
assert "tuner" not in sys.modules
for _ in range(77):
    lrs.append(scheduler.optimizer.param_groups[0]["lr"])
    scheduler.optimizer.step()
    scheduler.step()
print(json.dumps(lrs))
"""
