"""Exports keep the ratio of every parameter group, of every optimizer, to the reference's largest rate.

What the libraries of `make test-exports` run is skipped where they are not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exports.drivers import executed, rates_of, sgd, timm_schedulers
from tests.unit.exports.libraries import MODULES, needed
from tests.unit.exports.test_export_claims import HORIZONS, NATIVE, NOT_NATIVE, assert_equal, text
from tests.unit.schedules.strategies import EXAMPLES, Case, cases, example
from tuner.exports import EXPORTERS, TargetRun
from tuner.schedules import Cosine, Cyclic, OneCycle, Schedule, ScheduleLR, Warmup

HERE = ("torch", "torch-builtin", "huggingface", "lightning", "deepspeed")
WITH_GROUPS = (*HERE, "timm", "megatron")
RATIOS = (1.0, 0.05, 0.3)
WARMUP = Warmup(shape="linear", updates=20)


def library_of(name: str) -> None:
    if name == "huggingface":
        needed("transformers")
    if name in MODULES:
        needed(MODULES[name])


@pytest.mark.parametrize("name", WITH_GROUPS)
def test_the_smaller_groups_of_an_optimizer_follow_at_their_ratio(name: str):
    library_of(name)
    for family in EXAMPLES:
        for floor in (0.0, 0.1):
            for warmup in (True, False):
                assert_equal(name, example(family, floor=floor, warmup=warmup), 120, stop=37, ratios=RATIOS)


@pytest.mark.parametrize("name", WITH_GROUPS)
def test_they_do_so_in_every_schedule_that_is_claimed_to_be_native_or_not(name: str):
    library_of(name)
    for family, warmup, floor in (*NATIVE.get(name, ()), *NOT_NATIVE.get(name, ())):
        assert_equal(
            name, Schedule(peak_lr=0.02, family=family, warmup=warmup, floor=floor), 200, stop=77, ratios=RATIOS
        )


@pytest.mark.parametrize("name", WITH_GROUPS)
@pytest.mark.timeout(600)
def test_any_groups_follow_any_schedule_resumed_anywhere(name: str):
    library_of(name)

    @given(case=cases(horizons=HORIZONS), ratio=st.floats(1e-4, 1.0), data=st.data())
    @settings(max_examples=60)
    def check(case: Case, ratio: float, data: st.DataObject) -> None:
        stop = data.draw(st.integers(0, case.total_steps - 1))
        assert_equal(name, case.schedule, case.total_steps, stop=stop, ratios=(1.0, ratio))

    check()


def test_a_small_group_comes_down_to_its_own_floor():
    schedule = Schedule(peak_lr=0.01, family=Cosine(), floor=0.1)
    for name in ("torch-builtin", "timm"):
        if name == "timm":
            needed("timm")
        names = executed_with_timm(text(schedule, name, TargetRun(total_steps=100)))
        optimizer = sgd(0.01, (1.0, 0.05))
        scheduler = names["make_scheduler"](optimizer)
        for update in range(98):
            optimizer.step()
            scheduler.step_update(update + 1) if name == "timm" else scheduler.step()
        assert rates_of(optimizer)[1] == pytest.approx(0.05 * schedule.lrs(100)[98])  # it was .00099 once
        assert rates_of(optimizer)[1] < 0.0001


def executed_with_timm(code: str) -> dict[str, Any]:
    if "from timm" in code:
        timm_schedulers()
    return executed(code)


def followed(names: dict[str, Any], *optimizers: torch.optim.Optimizer, updates: int) -> np.ndarray:
    """The rates of all groups of several optimizers, each with the scheduler that the code makes for it."""
    first, *others = optimizers
    schedulers = [names["make_scheduler"](first)]
    schedulers += [names["make_scheduler"](other, reference=first) for other in others]
    rates = []
    for update in range(updates):
        rates.append([rate for optimizer in optimizers for rate in rates_of(optimizer)])
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step_update(update + 1) if hasattr(scheduler, "step_update") else scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize("name", ["torch", "torch-builtin", "huggingface", "lightning", "timm", "deepspeed"])
def test_adamw_beside_muon_follows_at_its_ratio(name: str):
    library_of(name)
    for schedule in (
        Schedule(peak_lr=0.02, family=Cosine(), warmup=WARMUP, floor=0.1),
        Schedule(peak_lr=0.02, family=Cosine(), warmup=WARMUP),
        Schedule(peak_lr=0.02, family=OneCycle()),
        Schedule(peak_lr=0.02, family=Cyclic(cycles=3), floor=0.1),
    ):
        names = executed_with_timm(text(schedule, name, TargetRun(total_steps=120)))
        if "make_scheduler" not in names:
            continue
        muon = torch.optim.Muon([torch.nn.Parameter(torch.zeros(2, 2))], lr=0.02)
        rates = followed(names, muon, torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=3e-4), updates=120)
        np.testing.assert_allclose(rates, np.outer(schedule.lrs(120), [1, 0.015]), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("how", ["tuning", "export"])
def test_an_update_that_a_gradient_scaler_skipped_is_none_of_the_schedule(how: str):
    schedule = Schedule(peak_lr=0.02, family=Cosine(), warmup=Warmup(shape="linear", updates=5))
    optimizer = sgd(0.02)
    weight = optimizer.param_groups[0]["params"][0]
    scheduler: Any = (
        ScheduleLR(optimizer, schedule, total_steps=40)
        if how == "tuning"
        else executed(text(schedule, "torch", TargetRun(total_steps=40)))["make_scheduler"](optimizer)
    )
    scaler = torch.amp.GradScaler("cpu")
    made: list[float] = []
    for attempt in range(60):  # the loop of docs/exports.md
        optimizer.zero_grad()
        scaler.scale((weight * (float("inf") if attempt % 3 == 1 else 1.0)).sum()).backward()
        rate, before = rates_of(optimizer)[0], weight.item()
        scale = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        if scaler.get_scale() >= scale:
            assert weight.item() == pytest.approx(before - rate, abs=1e-6)
            made.append(rate)
            scheduler.step()
    np.testing.assert_allclose(made, schedule.lrs(40), rtol=1e-9, atol=1e-16)


@pytest.mark.filterwarnings("ignore")  # of what transformers would rather have
def test_keywords_of_transformers_do_not_depend_on_the_default_rate_of_an_optimizer():
    needed("transformers")
    from transformers.optimization import get_scheduler

    for name in EXAMPLES:
        for floor in (0.0, 0.1):
            schedule = example(name, floor=floor, warmup=False)
            arguments = executed(text(schedule, "huggingface", TargetRun(total_steps=100))).get("ARGUMENTS")
            if arguments is None:
                continue
            optimizer = sgd(schedule.peak_lr, (1.0, 0.05))
            optimizer.defaults["lr"] = 1e-3  # torch's, where each group has a rate of its own
            scheduler = get_scheduler(
                arguments["lr_scheduler_type"],
                optimizer,
                num_warmup_steps=arguments["warmup_steps"],
                num_training_steps=arguments["max_steps"],
                scheduler_specific_kwargs=arguments.get("lr_scheduler_kwargs"),
            )
            rates = []
            for _ in range(100):
                rates.append(rates_of(optimizer))
                optimizer.step()
                scheduler.step()
            np.testing.assert_allclose(rates, np.outer(schedule.lrs(100), [1, 0.05]), rtol=1e-9, atol=1e-15)


def test_an_optimizer_beside_one_with_another_peak_is_refused():
    names = executed(text(example("cosine"), "torch"))
    with pytest.raises(ValueError, match="the reference optimizer's largest lr must be"):
        names["make_scheduler"](sgd(1.0), reference=sgd(3.0))


@pytest.mark.parametrize("name", ["torch", "torch-builtin"])
def test_a_layer_decay_of_timm_is_refused_where_it_would_be_lost(name: str):
    make: Callable[..., Any] = executed(text(example("cosine"), name))["make_scheduler"]
    optimizer = sgd(example("cosine").peak_lr)
    optimizer.param_groups[0]["lr_scale"] = 0.5
    with pytest.raises(ValueError, match=r"lr_scale.*multiply"):
        make(optimizer)


def test_timm_keeps_a_layer_decay_and_the_ratios():
    needed("timm")
    timm_schedulers()
    schedule = Schedule(peak_lr=0.02, family=Cosine(), warmup=WARMUP, floor=0.1)
    for again in (False, True):
        optimizer = sgd(0.02, (1.0, 0.5))
        optimizer.param_groups[1]["lr_scale"] = 0.5
        names = executed(text(schedule, "timm", TargetRun(total_steps=120)))
        scheduler = names["make_scheduler"](optimizer)
        if again:  # as a script that makes it anew with the same optimizer
            scheduler.step_update(60)
            scheduler = names["make_scheduler"](optimizer)
        for update in (0, 1, 20, 119):
            scheduler.step_update(update)
            assert rates_of(optimizer) == pytest.approx(schedule.lrs(120)[update] * np.array([1, 0.25]), rel=1e-9)


def test_optax_scales_the_schedule_for_the_groups_of_another_rate():
    needed("optax")
    import jax
    import optax

    schedule = Schedule(peak_lr=0.02, family=Cosine(), warmup=WARMUP, floor=0.1)
    code = text(schedule, "optax", TargetRun(total_steps=120))
    assert "lambda count: ratio * learning_rate(count)" in code.replace("\n# ", " ")
    learning_rate = executed(code)["learning_rate"]
    parts = {"main": optax.sgd(learning_rate), "small": optax.sgd(lambda count: 0.015 * learning_rate(count))}
    params = {"main": jax.numpy.ones(()), "small": jax.numpy.ones(())}
    optimizer = optax.multi_transform(parts, {"main": "main", "small": "small"})
    state, rates = optimizer.init(params), []
    for _ in range(120):
        changes, state = optimizer.update(params, state)
        rates.append([-float(changes["main"]), -float(changes["small"])])
    want = np.outer(schedule.lrs(120), [1, 0.015])
    np.testing.assert_allclose(rates, want, rtol=1e-4)


@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("name", EXAMPLES)
def test_keras_makes_the_schedule_of_another_optimizer_by_its_ratio(name: str, floor: float):
    needed("keras")
    for warmup in (True, False):
        schedule = example(name, floor=floor, warmup=warmup)
        code = text(schedule, "keras", TargetRun(total_steps=120))
        small = executed(code)["make_learning_rate"](0.05)
        if not isinstance(small, float):
            small = type(small).from_config(small.get_config())  # as a saved model restores it
        rates = [small if isinstance(small, float) else float(small(update)) for update in range(120)]
        np.testing.assert_allclose(rates, 0.05 * schedule.lrs(120), rtol=0, atol=1e-5 * 0.05 * schedule.peak_lr)


@pytest.mark.parametrize("name", [name for name in EXPORTERS if name not in ("json", "csv")])
def test_every_export_states_the_rule(name: str):
    for schedule in (example("cosine"), example("constant", warmup=False), example("rex", floor=0.1)):
        stated = text(schedule, name).replace("\n# ", " ")
        assert "of several optimizers the first" in stated
        assert "keeps its ratio to it" in stated
