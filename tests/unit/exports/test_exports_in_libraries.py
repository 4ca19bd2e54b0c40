"""Exports in the libraries that they are for, which `make test-exports` installs; skipped where they are not.

Keras and JAX compute in float32: Keras always, so its rates are held to 1e-5 of the peak; optax with counts of 64 bits
(``jax_enable_x64``) to 1e-9 like all others, and as it comes to 1e-5 of the peak.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exports.drivers import executed
from tests.unit.exports.libraries import MODULES, needed
from tests.unit.exports.test_export_claims import HORIZONS, LINEAR, NATIVE, NOT_NATIVE, SINGLE, assert_equal, text
from tests.unit.schedules.strategies import EXAMPLES, Case, cases, example
from tuner.exports import TargetRun
from tuner.schedules import Constant, Cosine, Schedule, Step, Updates, Warmup, Wsd

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(params=MODULES)
def library(request: pytest.FixtureRequest) -> Iterator[str]:
    needed(MODULES[request.param])
    if request.param != "optax":
        yield request.param
        return
    import jax

    jax.config.update("jax_enable_x64", True)
    yield request.param
    jax.config.update("jax_enable_x64", False)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.timeout(600)
def test_every_schedule_is_the_same_update_for_update_resumed_anywhere(library: str):
    @given(case=cases(horizons=HORIZONS), data=st.data())
    @settings(max_examples=200)
    def check(case: Case, data: st.DataObject) -> None:
        stop = data.draw(st.integers(0, case.total_steps - 1))
        assert_equal(library, case.schedule, case.total_steps, stop=stop)

    check()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.timeout(600)
def test_every_family_and_every_claim_holds(library: str):
    for family in EXAMPLES:
        for floor in (0.0, 0.1):
            for warmup in (True, False):
                assert_equal(library, example(family, floor=floor, warmup=warmup), 120, stop=37)
    for family, warmup, floor in (*NATIVE[library], *NOT_NATIVE[library]):
        assert_equal(library, Schedule(peak_lr=0.02, family=family, warmup=warmup, floor=floor), 200, stop=77)


SCHEDULE = Schedule(peak_lr=0.02, family=Wsd(cooldown=0.4), warmup=LINEAR, floor=0.1)
COSINE = Schedule(peak_lr=0.02, family=Cosine(), warmup=LINEAR)
TO_ITS_START = Schedule(
    peak_lr=0.02,
    family=Wsd(cooldown=Updates(updates=18), shape="linear"),
    warmup=Warmup(shape="linear", updates=10),
    floor=0.1,
)


class Regression(torch.nn.Module):
    """A model that the Trainer of transformers takes."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.line(x) - labels) ** 2).mean()}


@pytest.mark.filterwarnings("ignore")  # of what transformers would rather have
@pytest.mark.parametrize("schedule", [TO_ITS_START, COSINE], ids=["keywords", "callable"])
def test_the_trainer_of_transformers_trains_and_resumes_with_it_and_its_own_groups(schedule: Schedule, tmp_path):
    needed("accelerate")
    from transformers import Trainer, TrainerCallback, TrainingArguments

    total, names = 60, executed(text(schedule, "huggingface", TargetRun(total_steps=60)))
    assert ("ARGUMENTS" in names) == (schedule is TO_ITS_START)
    rows = [{"x": torch.randn(2), "labels": torch.randn(1)} for _ in range(64)]

    class Watch(TrainerCallback):
        def __init__(self) -> None:
            self.seen: dict[int, float] = {}

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            groups = kwargs["optimizer"].param_groups
            assert [group["weight_decay"] for group in groups] == [0.1, 0.0]  # of the bias none
            assert groups[0]["lr"] == groups[1]["lr"]
            self.seen[state.global_step] = groups[0]["lr"]

    def trained(resume: bool, until: int) -> dict[int, float]:
        keywords = names.get("ARGUMENTS", {"max_steps": total, "learning_rate": schedule.peak_lr})
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            **keywords,
            gradient_accumulation_steps=2,
            per_device_train_batch_size=4,
            save_strategy="steps",
            save_steps=until,
            weight_decay=0.1,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        watch = Watch()

        class Stop(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                control.should_training_stop = control.should_training_stop or state.global_step >= until

        callbacks = [watch, *([] if resume else [Stop()])]
        trainer = Trainer(Regression(), arguments, train_dataset=rows, callbacks=callbacks)
        trainer = names.get("with_schedule", lambda each: each)(trainer)
        trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{until}") if resume else None)
        return watch.seen

    seen = trained(resume=False, until=23) | trained(resume=True, until=23)
    assert list(seen) == list(range(total))
    np.testing.assert_allclose(list(seen.values()), schedule.lrs(total), rtol=1e-9)


@pytest.mark.filterwarnings("ignore")  # of what Lightning would rather have
def test_the_trainer_of_lightning_trains_and_resumes_with_it(tmp_path):
    needed("pytorch_lightning")
    import pytorch_lightning as lightning

    total, names = 40, executed(text(SCHEDULE, "lightning", TargetRun(total_steps=40)))
    seen: dict[int, float] = {}

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(2, 1)

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            return self.line(batch[0]).pow(2).mean()

        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            seen[self.global_step] = optimizer.param_groups[0]["lr"]

        def configure_optimizers(self) -> Any:
            return names["with_schedule"](torch.optim.SGD(self.parameters(), lr=SCHEDULE.peak_lr))

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(64, 2)), batch_size=4)

    def trainer(updates: int) -> Any:
        return lightning.Trainer(
            max_steps=updates,
            accumulate_grad_batches=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )

    first = trainer(17)
    first.fit(Module(), data)
    first.save_checkpoint(tmp_path / "halfway.ckpt")
    trainer(total).fit(Module(), data, ckpt_path=tmp_path / "halfway.ckpt", weights_only=False)
    assert list(seen) == list(range(total))
    np.testing.assert_allclose(list(seen.values()), SCHEDULE.lrs(total), rtol=1e-9)


@pytest.mark.filterwarnings("ignore")  # of what Lightning would rather have
def test_a_generator_and_a_discriminator_of_lightning_keep_their_ratio(tmp_path):
    needed("pytorch_lightning")
    import pytorch_lightning as lightning

    total, names = 20, executed(text(COSINE, "lightning", TargetRun(total_steps=40)))
    seen: list[list[float]] = []

    class Gan(lightning.LightningModule):
        automatic_optimization = False

        def __init__(self) -> None:
            super().__init__()
            self.nets = torch.nn.ModuleList([torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)])

        def training_step(self, batch: list[torch.Tensor], index: int) -> None:
            optimizers: Any = self.optimizers()
            schedulers: Any = self.lr_schedulers()
            seen.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers])
            for net, optimizer, times in zip(self.nets, optimizers, (1, 3), strict=True):
                for _ in range(times):  # the discriminator steps three times per update
                    optimizer.zero_grad()
                    self.manual_backward(net(batch[0]).pow(2).mean())
                    optimizer.step()
            for scheduler in schedulers:
                scheduler.step()

        def configure_optimizers(self) -> Any:
            generator, discriminator = (
                torch.optim.AdamW(net.parameters(), lr=lr)
                for net, lr in zip(self.nets, (COSINE.peak_lr, 4 * COSINE.peak_lr), strict=True)
            )
            return names["with_schedule"](generator, discriminator)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(80, 2)), batch_size=4)
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Gan(), data)
    np.testing.assert_allclose(seen, np.outer(COSINE.lrs(40)[:total], [1, 4]), rtol=1e-9)


def test_optax_by_default_follows_it_in_float32():
    needed("optax")
    import jax
    import optax

    for schedule in (SCHEDULE, COSINE, Schedule(peak_lr=0.02, family=Step(every=0.07, gamma=0.9), floor=0.3)):
        learning_rate = executed(text(schedule, "optax"))["learning_rate"]
        optimizer, gradient = optax.sgd(learning_rate), jax.numpy.ones(())

        def step(state: Any, _: None, optimizer: Any = optimizer, gradient: Any = gradient) -> tuple[Any, Any]:
            change, state = optimizer.update(gradient, state)
            return state, -change

        halfway, first = jax.lax.scan(step, optimizer.init(gradient), None, length=90)
        _, second = jax.lax.scan(step, halfway, None, length=110)
        np.testing.assert_allclose(np.concatenate([first, second]), schedule.lrs(200), rtol=0, atol=SINGLE * 0.02)


@pytest.mark.filterwarnings("ignore")  # of what Keras would rather have
@pytest.mark.parametrize("micro_batches", [None, 2])
def test_keras_trains_with_it_and_loads_a_model_that_goes_on(micro_batches: int | None, tmp_path):
    needed("keras")
    import keras

    class PerUpdate(keras.optimizers.schedules.LearningRateSchedule):
        """The wrapper that the export describes for Keras with micro-batches."""

        def __init__(self, inner: Any, micro_batches: int) -> None:
            self.inner = keras.saving.deserialize_keras_object(inner) if isinstance(inner, dict) else inner
            self.micro_batches = micro_batches

        def __call__(self, step: Any) -> Any:
            return self.inner(step // self.micro_batches)

        def get_config(self) -> dict[str, Any]:
            inner = keras.saving.serialize_keras_object(self.inner)
            return {"inner": inner, "micro_batches": self.micro_batches}

    names = executed(text(SCHEDULE, "keras", TargetRun(total_steps=40)))
    learning_rate = PerUpdate(names["LEARNING_RATE"], micro_batches) if micro_batches else names["LEARNING_RATE"]
    seen: dict[int, float] = {}

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            optimizer = self.model.optimizer
            seen[int(optimizer.iterations)] = float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    optimizer = keras.optimizers.SGD(learning_rate, gradient_accumulation_steps=micro_batches)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    x, y = np.random.default_rng(0).normal(size=(80, 2)), np.zeros((80, 1))
    model.fit(x, y, batch_size=4, epochs=micro_batches or 1, verbose=0, callbacks=[Watch()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"PerUpdate": PerUpdate})
    loaded.fit(x, y, batch_size=4, epochs=micro_batches or 1, verbose=0, callbacks=[Watch()])
    assert list(seen) == list(range(40))
    np.testing.assert_allclose(list(seen.values()), SCHEDULE.lrs(40), rtol=0, atol=SINGLE * 0.02)


@pytest.mark.filterwarnings("ignore")  # of what Composer would rather have
@pytest.mark.parametrize(
    "schedule",
    [
        example("multi_step", warmup=False),
        Schedule(peak_lr=0.02, family=Constant(), warmup=Warmup(shape="constant", updates=20, start_factor=0.1)),
        SCHEDULE,
    ],
    ids=["drops", "level", "callable"],
)
def test_the_trainer_of_composer_trains_and_resumes_with_it(schedule: Schedule, tmp_path):
    needed("composer")
    from composer import Callback, ComposerModel, Trainer

    total = 80
    names = executed(text(schedule, "composer", TargetRun(total_steps=total)))
    seen: dict[int, float] = {}

    class Module(ComposerModel):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(2, 1)

        def forward(self, batch: Any) -> torch.Tensor:
            return self.line(batch[0])

        def loss(self, outputs: torch.Tensor, batch: Any) -> torch.Tensor:
            return outputs.pow(2).mean()

    class Watch(Callback):
        def batch_start(self, state: Any, logger: Any) -> None:
            seen[state.timestamp.batch.value] = state.optimizers[0].param_groups[0]["lr"]

    def trainer(**arguments: Any) -> Any:
        model = Module()
        optimizer = torch.optim.SGD(model.parameters(), lr=schedule.peak_lr)
        by_function = "make_scheduler" in names
        return Trainer(
            model=model,
            train_dataloader=torch.utils.data.DataLoader(
                torch.utils.data.TensorDataset(torch.randn(400, 2)), batch_size=4
            ),
            max_duration=f"{total}ba",
            optimizers=optimizer,
            schedulers=names["make_scheduler"](optimizer) if by_function else names["SCHEDULER"],
            step_schedulers_every_batch=True if by_function else None,
            callbacks=[Watch()],
            device="cpu",
            device_train_microbatch_size=2,
            progress_bar=False,
            **arguments,
        )

    trainer(save_folder=str(tmp_path), save_interval="23ba", save_filename="at-{batch}.pt").fit(duration="23ba")
    trainer(load_path=str(tmp_path / "at-23.pt")).fit()
    assert sorted(seen) == list(range(total))
    np.testing.assert_allclose([seen[update] for update in range(total)], schedule.lrs(total), rtol=1e-9)
