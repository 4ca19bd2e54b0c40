"""Keras: the rates of the updates that were made, the reports, the stop and the resume, under its backends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.schedules import Schedule
from tuner.training.protocol import Outcome

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytest.importorskip("keras", reason="NOT TESTED HERE: keras is not installed; `make examples` installs and tests it")
import keras

from tuner.integrations.keras import TunerCallback, learning_rate

pytestmark = pytest.mark.filterwarnings("ignore")
ACCURACY = Metric(name="accuracy", direction="maximize")


def mean_output(_, predicted):
    return keras.ops.mean(predicted)  # its gradient is 1: every update lowers the weight by its rate


def falling(_, predicted):
    return 1.0 + 0.0 * keras.ops.mean(predicted)  # a metric that never changes


class Weights(keras.callbacks.Callback):
    """The weight before the first batch and after each."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_begin(self, logs=None):
        self.values = [self.now()]

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(self.now())

    def now(self):
        return float(keras.ops.convert_to_numpy(self.model.trainable_variables[0])[0, 0])

    @property
    def steps(self):
        """What each batch took off the weight, where it took something."""
        taken = -np.diff(self.values)
        return taken[taken != 0.0]


def fitted(run, *others, rate=None, callback=None, optimizer=None, compiled=None, **changes):
    keras.utils.set_random_seed(run.seed)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(
        keras.optimizers.SGD(learning_rate(run) if rate is None else rate, **optimizer or {}),
        loss=mean_output,
        metrics=[falling],
        **compiled or {},
    )
    x = np.ones((21, 1), dtype="float32")  # 7 batches an epoch
    weights = Weights()
    settings = {"epochs": run.total_steps, "validation_data": (x[:3], x[:3]), "batch_size": 3, "verbose": 0, **changes}
    model.fit(x, x, callbacks=[*others, weights, TunerCallback(run, **callback or {})], **settings)
    return model, weights.steps


def test_every_update_has_the_rate_of_the_schedule_and_the_fit_ends_with_the_last_one(executed):
    seen = []
    ended = executed(lambda run: seen.append(fitted(run)[1]))
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    np.testing.assert_allclose(seen[0], executed.lrs, atol=1e-7)
    assert executed.steps == [7, 14, 20]
    assert ended.loss == pytest.approx(-sum(executed.lrs), rel=1e-5)


def test_an_update_is_one_of_the_weights_where_the_optimizer_accumulates(executed):
    seen = []

    def train(run):
        rate = learning_rate(run, gradient_accumulation_steps=3)
        seen.append(fitted(run, rate=rate, optimizer={"gradient_accumulation_steps": 3})[1])

    ended = executed(train)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    np.testing.assert_allclose(seen[0], executed.lrs, atol=1e-7)
    assert executed.steps == [2, 4, 7, 9, 11, 14, 16, 18, 20]


def test_several_batches_at_once_end_with_the_last_update(executed):
    seen = []
    body = lambda run: seen.append(fitted(run, compiled={"steps_per_execution": 5}, steps_per_epoch=5, batch_size=1)[0])  # noqa: E731
    ended = executed(body)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    assert executed.steps == [5, 10, 15, 20]
    assert ended.loss == pytest.approx(-sum(executed.lrs), rel=1e-5)


def test_a_stopped_run_ends_and_the_next_attempt_goes_on_from_its_backup_to_the_same_end(executed):
    rates = []

    def train(run):
        backup = keras.callbacks.BackupAndRestore(run.snapshot_dir / "backup")
        rates.append(fitted(run, backup)[1])

    stopped = executed(train, stop_at=14)
    assert (stopped.outcome, stopped.step) == (Outcome.STOPPED, 14), stopped.traceback
    ended = executed(train, attempt=2)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    np.testing.assert_allclose(rates[-1], executed.lrs[14:], atol=1e-7)
    assert executed.updates == 6
    assert ended.loss == pytest.approx(-sum(executed.lrs), rel=1e-5)


@pytest.mark.parametrize("best", [False, True])
def test_early_stopping_ends_the_run_with_its_result(executed, best):
    stopping = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=1, restore_best_weights=best)
    ended = executed(lambda run: fitted(run, stopping, callback={"restores_best": best}), total_steps=60)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert executed.steps == [7, 14, 14]
    assert ended.step == 14


def test_an_accuracy_is_reported_as_it_is_logged_and_maximized(executed):
    ended = executed(lambda run: fitted(run, callback={"monitor": "val_falling"}), metric=ACCURACY)
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, -1.0), ended.traceback


def test_a_saved_model_goes_on_with_its_schedule(executed, tmp_path):
    loaded = []

    def train(run):
        fitted(run)[0].save(tmp_path / "model.keras")
        objects = {"mean_output": mean_output, "falling": falling}
        loaded.append(keras.saving.load_model(tmp_path / "model.keras", custom_objects=objects))

    ended = executed(train)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    rate = loaded[0].optimizer.get_config()["learning_rate"]["config"]
    assert (rate["total_steps"], rate["schedule"]["peak_lr"]) == (20, 0.01)
    assert int(loaded[0].optimizer.iterations) == 20


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"rate": 0.1}, "learning_rate must be 0.00333333 after 0 updates, as the run says, got 0.1"),
        ({"optimizer": {"gradient_accumulation_steps": 2}}, "learning_rate must be"),
        ({"epochs": 2}, "epochs must be enough for the 20 updates of the run; it ended after 14, got 2"),
        ({"validation_data": None}, "monitor must be among the logs of the last epoch: falling, loss"),
        ({"callback": {"monitor": "val_f1"}}, "monitor must be of the direction of the workload's metric"),
        ({"compiled": {"steps_per_execution": 7}}, "updates must be 20, as the run says, got 21"),
    ],
)
def test_a_fit_that_does_not_train_what_the_run_says_is_refused(executed, changes, refused):
    ended = executed(lambda run: fitted(run, **changes), metric=DEFAULT_METRIC)
    assert ended.outcome is Outcome.FAILED
    assert refused in ended.reason


def test_a_ratio_that_is_none_is_refused(executed):
    ended = executed(lambda run: learning_rate(run, ratio=0.0))
    assert "ratio must be a finite number above 0, got 0.0" in ended.reason


FOLLOWING = Schedule.model_validate(
    {
        "peak_lr": 0.01,
        "warmup": {"shape": "linear", "updates": 3},
        "family": {"name": "reduce_on_plateau", "factor": 0.5, "patience": 0},
    }
)


def test_a_schedule_that_follows_the_loss_follows_the_reports_also_after_a_resume(executed):
    taken = []

    def train(run):
        backup = keras.callbacks.BackupAndRestore(run.snapshot_dir / "backup")
        taken.append(fitted(run, backup, callback={"monitor": "val_falling"})[1])

    executed.schedule = FOLLOWING
    stopped = executed(train, stop_at=14)
    assert (stopped.outcome, stopped.step) == (Outcome.STOPPED, 14), stopped.traceback
    ended = executed(train, attempt=2)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 20), ended.traceback
    losses = [(7, 1.0), (14, 1.0)]
    expected = [FOLLOWING.lr(step, total_steps=20, losses=losses) for step in range(14, 20)]
    assert expected == [0.005] * 6
    np.testing.assert_allclose(taken[0], expected, atol=1e-7)


PROGRAM = """
import json, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("there is no torch here")
sys.meta_path.insert(0, NoTorch())
import numpy as np
import keras
from tuner.integrations.keras import TunerCallback, learning_rate
from tuner.sdk import run as tuner_run

run = tuner_run(total_steps=10)
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
model.compile(keras.optimizers.SGD(learning_rate(run)), loss=lambda _, predicted: keras.ops.mean(predicted))
x = np.ones((8, 1), dtype="float32")
weights = [0.0]

class Seen(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        weights.append(self.model.get_weights()[0].item())

model.fit(x, x, batch_size=2, epochs=10, validation_data=(x, x), callbacks=[Seen(), TunerCallback(run)], verbose=0)
steps = [report.step for report in run.reports]
taken = (-np.diff(weights)).tolist()
assert "torch" not in sys.modules
print(json.dumps({"backend": keras.backend.backend(), "steps": steps, "taken": taken, "lrs": run.lrs.tolist()}))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_it_trains_under_every_backend_without_torch(backend, tmp_path):
    pytest.importorskip(backend, reason=f"NOT TESTED HERE: {backend} is not installed; `make examples` installs it")
    program = Path(tmp_path / "train.py")
    program.write_text(PROGRAM)
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["backend"], seen["steps"]) == (backend, [4, 8, 10])
    np.testing.assert_allclose(seen["taken"], seen["lrs"], atol=1e-7)
