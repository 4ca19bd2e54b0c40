"""Exports of reduce on plateau: PyTorch's own class, and those of libraries that have one; the others are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exports.drivers import executed, through_bytes
from tests.unit.exports.libraries import needed
from tests.unit.exports.test_exports_in_libraries import Regression
from tests.unit.schedules.test_reduce_on_plateau import _LOSSES as LOSSES
from tests.unit.schedules.test_reduce_on_plateau import _SCHEDULES as SCHEDULES
from tuner.errors import InvalidValue
from tuner.exports import TargetRun, export
from tuner.metric import Metric
from tuner.schedules import ReduceOnPlateau, Schedule, ScheduleLR, Warmup

ACCURACY = Metric(name="accuracy", direction="maximize")
PLAIN = Schedule(peak_lr=0.1, family=ReduceOnPlateau(factor=0.5, patience=1, cooldown=1), floor=0.1)
ABSOLUTE = PLAIN.model_copy(
    update={"family": ReduceOnPlateau(factor=0.5, patience=1, cooldown=2, threshold_mode="absolute", threshold=0.05)}
)
WARM = PLAIN.model_copy(update={"warmup": Warmup(shape="cosine", updates=35)})
EVERY = 10
VALUES = [3.0, 2.0, 2.0, 1.98, 1.5, 1.5, 1.5, 1.49, 1.6, 1.7, 1.5, 1.5, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3]


def code(schedule: Schedule, format: str, *, total: int, metric: Metric | None = None) -> str:
    run = TargetRun(total_steps=total) if metric is None else TargetRun(total_steps=total, metric=metric)
    return "".join(export(schedule, format=format, run=run).chunks)


def expected(schedule: Schedule, values: list[float], *, metric: Metric | None = None) -> list[float]:
    losses = values if metric is None else [metric.loss(value) for value in values]
    total = EVERY * len(values)
    return schedule.lrs(total, losses=[(EVERY * (place + 1), loss) for place, loss in enumerate(losses)]).tolist()


def trained(schedule: Schedule, values: list[float], *, source: str, stop: int) -> list[float]:
    """The rates of a loop with the exported scheduler, which is rebuilt and loaded after ``stop`` updates."""
    make = executed(source)["make_scheduler"]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=schedule.peak_lr)
    scheduler, rates = make(optimizer), []
    for update in range(EVERY * len(values)):
        if update == stop:
            saved = through_bytes((optimizer.state_dict(), scheduler.state_dict()))
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=schedule.peak_lr)
            scheduler = make(optimizer)
            optimizer.load_state_dict(saved[0])
            scheduler.load_state_dict(saved[1])
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        has_warmup = hasattr(scheduler, "evaluated")
        if has_warmup:
            scheduler.step()
        if (update + 1) % EVERY == 0:
            (scheduler.evaluated if has_warmup else scheduler.step)(values[update // EVERY])
    return rates


@pytest.mark.parametrize("format", ["torch", "torch-builtin"])
@given(schedule=SCHEDULES, losses=LOSSES.filter(lambda losses: len(losses) > 5), data=st.data())
@settings(max_examples=25)
def test_torch_has_the_same_rates_resumed_anywhere(format: str, schedule: Schedule, losses: list[float], data: Any):
    stop = data.draw(st.integers(0, EVERY * len(losses)))
    source = code(schedule, format, total=EVERY * len(losses))
    assert trained(schedule, losses, source=source, stop=stop) == pytest.approx(expected(schedule, losses), rel=1e-12)


@pytest.mark.parametrize("schedule", [PLAIN, WARM], ids=["plain", "warm-up"])
def test_torch_follows_a_maximized_metric_as_it_is(schedule: Schedule):
    values = [1.0 - value / 4 for value in VALUES]
    source = code(schedule, "torch", total=EVERY * len(values), metric=ACCURACY)
    wanted = expected(schedule, values, metric=ACCURACY)
    assert len(set(wanted)) > 3
    assert trained(schedule, values, source=source, stop=70) == pytest.approx(wanted, rel=1e-12)


def test_the_code_with_this_project_has_the_same_rates():
    total = EVERY * len(VALUES)
    source = code(WARM, "schedule-lr", total=total)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    losses = iter(VALUES)
    rates: list[float] = []
    source = source.replace("    ...  # your", "    rates.append(optimizer.param_groups[0]['lr'])  # your")
    source = source.replace("    if ...:", f"    if (update + 1) % {EVERY} == 0:").replace(
        "(val_loss)", "(next(losses))"
    )
    exec(compile(source, "pasted.py", "exec"), {"optimizer": optimizer, "losses": losses, "rates": rates})
    assert rates == expected(WARM, VALUES)


def test_the_schedule_itself_is_data_as_ever():
    assert Schedule.from_json(code(WARM, "json", total=200)) == WARM
    assert '"warmup_updates": 35' in code(WARM, "record", total=200)


@pytest.mark.parametrize(
    ("format", "schedule", "reason"),
    [
        ("csv", PLAIN, "its rates follow the losses of a run"),
        ("python", PLAIN, "its rates follow the losses of a run"),
        ("timm", PLAIN, "timm does not store the counters"),
        ("optax", PLAIN, "counts its patience in updates"),
        ("composer", PLAIN, "it has no class that reduces as torch's does"),
        ("deepspeed", PLAIN, "it has no class"),
        ("megatron", PLAIN, "it has no class"),
        ("keras", PLAIN, "min_delta is a difference of losses"),
        ("keras", WARM, "cannot come after a warm-up"),
        ("lightning", WARM, "cannot come after a warm-up"),
        ("huggingface", WARM, "cannot come after a warm-up"),
    ],
)
def test_what_a_library_cannot_express_is_refused_with_the_reason(format: str, schedule: Schedule, reason: str):
    with pytest.raises(InvalidValue, match=reason) as refused:
        code(schedule, format, total=200)
    assert (refused.value.field, refused.value.value) == ("format", format)
    assert '"torch"' in refused.value.hint


_KERAS = """
import numpy as np, keras
names = {{}}
exec(compile({source!r}, "exported.py", "exec"), names)
model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(learning_rate=names["PEAK_LR"]), loss="mse")
callback = names["REDUCE"]
callback.set_model(model)
callback.on_train_begin()
for epoch, value in enumerate({values!r}):
    callback.on_epoch_end(epoch, {{{monitor!r}: value}})
    print("RATE", float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
"""


@pytest.mark.parametrize("metric", [None, ACCURACY], ids=["loss", "accuracy"])
@pytest.mark.timeout(300)
def test_keras_reduces_at_the_same_evaluations(metric: Metric | None):
    needed("keras")
    values = VALUES if metric is None else [1.0 - value / 4 for value in VALUES]
    source = code(ABSOLUTE, "keras", total=EVERY * len(values), metric=metric)
    script = _KERAS.format(source=source, values=values, monitor="val_loss" if metric is None else "val_accuracy")
    environment = {**os.environ, "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "torch")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    rates = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("RATE")]
    wanted = expected(ABSOLUTE, values, metric=metric)
    assert len(set(wanted)) > 2
    assert rates[:-1] == pytest.approx(wanted[EVERY::EVERY], rel=1e-5)


@pytest.mark.filterwarnings("ignore")  # of what transformers would rather have
def test_the_trainer_of_transformers_reduces_at_the_same_evaluations(tmp_path, monkeypatch):
    needed("accelerate")
    from transformers import Trainer, TrainingArguments

    arguments = executed(code(PLAIN, "huggingface", total=EVERY * len(VALUES)))["ARGUMENTS"]
    assert arguments["eval_steps"] == EVERY
    rows = [{"x": torch.randn(2), "labels": torch.randn(1)} for _ in range(8)]
    values = iter(VALUES)
    rates: list[float] = []

    class Recorded(Trainer):
        def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
            rates.append(self.optimizer.param_groups[0]["lr"])
            self.control.should_evaluate = False
            return {"eval_loss": next(values)}

    options = TrainingArguments(
        output_dir=str(tmp_path), report_to="none", save_strategy="no", use_cpu=True, **arguments
    )
    Recorded(model=Regression(), args=options, train_dataset=rows, eval_dataset=rows).train()
    assert rates == expected(PLAIN, VALUES)[EVERY - 1 :: EVERY]


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_transformers_takes_our_scheduler_with_a_warmup(tmp_path):
    needed("accelerate")
    from transformers import Trainer, TrainerCallback, TrainingArguments

    model, total = Regression(), EVERY * len(VALUES)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = ScheduleLR(optimizer, WARM, total_steps=total)
    rows = [{"x": torch.randn(2), "labels": torch.randn(1)} for _ in range(8)]
    values, rates = iter(VALUES), []

    class Observe(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            rates.append(optimizer.param_groups[0]["lr"])

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            scheduler.observe(next(values))

    arguments: dict[str, Any] = {
        "max_steps": total,
        "eval_strategy": "steps",
        "eval_steps": EVERY,
        "save_strategy": "no",
    }
    options = TrainingArguments(
        output_dir=str(tmp_path), report_to="none", use_cpu=True, disable_tqdm=True, **arguments
    )
    both: Any = (optimizer, scheduler)
    trainer = Trainer(model=model, args=options, train_dataset=rows, eval_dataset=rows, optimizers=both)
    trainer.add_callback(Observe())
    trainer.train()
    assert rates == expected(WARM, VALUES)


@pytest.mark.filterwarnings("ignore")  # of what Lightning would rather have
@pytest.mark.parametrize("schedule", [PLAIN, WARM], ids=["its own class", "our scheduler"])
def test_the_trainer_of_lightning_reduces_at_the_same_evaluations(schedule: Schedule, tmp_path):
    needed("lightning")
    from lightning.pytorch import LightningModule, Trainer

    total = EVERY * len(VALUES)
    values, rates = iter(VALUES), []
    batches: Any = torch.utils.data.DataLoader(cast(Any, torch.zeros(EVERY, 2)), batch_size=1)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(2, 1)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=schedule.peak_lr)
            if schedule is PLAIN:
                return executed(code(PLAIN, "lightning", total=total))["with_schedule"](optimizer)
            scheduler = ScheduleLR(optimizer, schedule, total_steps=total)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

        def training_step(self, batch: Any) -> Any:
            rates.append(self.optimizers().param_groups[0]["lr"])
            return (self.line(batch) ** 2).mean()

        def validation_step(self, batch: Any) -> None:
            pass

        def on_validation_epoch_end(self) -> None:
            value = next(values)
            if schedule is PLAIN:
                self.log("val_loss", value)
            else:
                self.lr_schedulers().observe(value)

    trainer = Trainer(
        max_epochs=len(VALUES),
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        accelerator="cpu",
        default_root_dir=str(tmp_path),
    )
    trainer.fit(Module(), batches, batches)
    assert rates == pytest.approx(expected(schedule, VALUES), rel=1e-12)
