"""Lightning: the schedule steps with every update, also where an epoch ends within an accumulation."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import pytest
import torch

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.training.checks.recording import recorded_optimizers
from tuner.training.protocol import Outcome

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of others' deprecations while it is imported
    lightning = pytest.importorskip(
        "lightning.pytorch", reason="NOT TESTED HERE: lightning is not installed; `make examples` installs and tests it"
    )
    from lightning.pytorch.callbacks import EarlyStopping

    from tuner.integrations.lightning import TunerCallback, optimizer_and_schedule, trainer_arguments

pytestmark = pytest.mark.filterwarnings("ignore")


class Module(lightning.LightningModule):  # type: ignore[name-defined]
    def __init__(self, run):
        super().__init__()
        self.run = run
        self.net = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        return (self.net(batch) ** 2).mean()

    def validation_step(self, batch, index):
        self.log("val_loss", (self.net(batch) ** 2).mean())
        self.log("val_acc", 0.75)

    def configure_optimizers(self):
        return optimizer_and_schedule(self.run, torch.optim.SGD(self.parameters(), lr=1.0))


def training(run, *, callback=None, others=(), **changes):
    torch.manual_seed(run.seed)
    data: Any = torch.randn(20, 2)
    rows = torch.utils.data.DataLoader(data, batch_size=4)  # 5 batches an epoch, 2 per update
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    trainer = lightning.Trainer(
        **trainer_arguments(run, accumulate_grad_batches=2) | quiet | changes,
        callbacks=[*others, TunerCallback(run, **callback or {})],
        accelerator="cpu",
        default_root_dir=run.snapshot_dir,
        enable_checkpointing=False,
    )
    trainer.fit(Module(run), rows, rows)


def test_every_optimizer_update_has_the_rate_of_the_schedule_and_evaluations_are_where_they_are_wanted(executed):
    with recorded_optimizers() as record:
        ended = executed(training)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [lrs[0] for lrs in record.lrs[0]] == executed.lrs
    assert executed.steps == [10, 20]


def test_how_often_the_trainer_would_have_validated_by_itself_does_not_count(executed):
    ended = executed(lambda run: training(run, val_check_interval=4, check_val_every_n_epoch=3))
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert executed.steps == [10, 20]


def test_a_stop_ends_the_fit(executed):
    with recorded_optimizers() as record:
        ended = executed(training, stop_at=10)
    assert (ended.outcome, ended.step) == (Outcome.STOPPED, 10), ended.traceback
    assert record.updates == 10


def test_a_fit_of_another_length_is_refused(executed):
    ended = executed(lambda run: training(run, max_steps=30))
    assert ended.outcome is Outcome.FAILED
    assert "Trainer.max_steps must be 20, as the run says" in ended.reason


def test_early_stopping_ends_the_run_with_its_result(executed):
    stopping = EarlyStopping(monitor="val_acc", mode="max", patience=1)  # val_acc never rises
    ended = executed(lambda run: training(run, others=[stopping], callback={"monitor": "val_loss"}), total_steps=60)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    assert executed.steps == [10, 20, 20]


ACCURACY = Metric(name="accuracy", direction="maximize")


def test_an_accuracy_is_reported_as_it_is_logged_and_maximized(executed):
    for mode in (None, "max"):
        body = partial(training, callback={"monitor": "val_acc", "mode": mode})
        ended = executed(body, metric=ACCURACY)
        assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, -0.75), ended.traceback


@pytest.mark.parametrize(
    ("metric", "callback"),
    [
        (ACCURACY, {}),
        (ACCURACY, {"monitor": "val_acc", "mode": "min"}),
        (DEFAULT_METRIC, {"monitor": "val_acc"}),
        (DEFAULT_METRIC, {"mode": "max"}),
    ],
)
def test_a_monitor_or_mode_of_another_direction_than_the_workloads_is_refused(executed, metric, callback):
    ended = executed(partial(training, callback=callback), metric=metric)
    assert ended.outcome is Outcome.FAILED
    assert "monitor must be of the direction of the workload's metric" in ended.reason


def test_a_mode_that_lightning_does_not_have_is_refused(executed):
    ended = executed(partial(training, callback={"mode": "maximum"}))
    assert ended.outcome is Outcome.FAILED
    assert "mode must be one of 'min', 'max', got 'maximum'" in ended.reason


class Gan(Module):
    """The discriminator steps three times per update of the generator."""

    automatic_optimization = False

    def __init__(self, run, *, configured=optimizer_and_schedule):
        super().__init__(run)
        self.other = torch.nn.Linear(2, 1)
        self.configured = configured
        self.rates: list[list[float]] = []

    def training_step(self, batch, index):
        optimizers = self.optimizers()
        self.rates.append([one.param_groups[0]["lr"] for one in optimizers])
        for net, optimizer, times in zip((self.net, self.other), optimizers, (1, 3), strict=True):
            for _ in range(times):
                optimizer.zero_grad()
                self.manual_backward(net(batch).pow(2).mean())
                optimizer.step()
        scheduler: Any = self.lr_schedulers()
        scheduler.step()

    def configure_optimizers(self):
        generator = torch.optim.Muon([self.net.weight], lr=0.02)
        return self.configured(self.run, generator, torch.optim.AdamW(self.other.parameters(), lr=0.08))


def fitted(run, module, **changes):
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    data: Any = torch.randn(20, 2)
    rows = torch.utils.data.DataLoader(data, batch_size=4)
    trainer = lightning.Trainer(
        **trainer_arguments(run) | quiet | {"enable_checkpointing": False} | changes,
        callbacks=[TunerCallback(run)],
        accelerator="cpu",
        default_root_dir=run.snapshot_dir,
    )
    trainer.fit(module, rows, rows)
    return trainer


def test_two_optimizers_keep_their_ratio_and_the_updates_of_the_first_count(executed):
    modules = []

    def train(run):
        modules.append(Gan(run))
        fitted(run, modules[0])

    ended = executed(train)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    assert executed.steps == [10, 20]
    assert modules[0].rates == [pytest.approx([lr, 4 * lr], rel=1e-12) for lr in executed.lrs]


def test_two_optimizers_resume_from_a_checkpoint(executed, tmp_path):
    modules = []

    def train(run):
        first = Gan(run)
        fitted(run, first, limit_train_batches=4, max_epochs=1, max_steps=-1).save_checkpoint(tmp_path / "half.ckpt")
        first.trainer = None

    def resume(run):
        modules.append(Gan(run))
        trainer = lightning.Trainer(
            **trainer_arguments(run),
            callbacks=[TunerCallback(run)],
            accelerator="cpu",
            default_root_dir=run.snapshot_dir,
            **dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False),
        )
        data: Any = torch.randn(20, 2)
        rows = torch.utils.data.DataLoader(data, batch_size=4)
        trainer.fit(modules[0], rows, rows, ckpt_path=tmp_path / "half.ckpt", weights_only=False)

    executed(train)
    ended = executed(resume, attempt=2)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    assert executed.updates == 16
    assert [rates[0] for rates in modules[0].rates] == executed.lrs[4:]


def test_schedules_of_another_kind_for_two_optimizers_are_refused(executed):
    ended = executed(lambda run: fitted(run, Gan(run, configured=lambda _, *both: list(both))))
    assert ended.outcome is Outcome.FAILED
    assert "Return optimizer_and_schedule(run, first, second) from configure_optimizers" in ended.reason
