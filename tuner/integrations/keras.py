"""Keras 3, with any backend: the run's schedule for an optimizer, and a callback that reports. Needs no torch.

```python
model.compile(keras.optimizers.AdamW(learning_rate=learning_rate(run)), loss=...)
model.fit(x, y, epochs=run.total_steps, validation_data=(x_val, y_val), callbacks=[TunerCallback(run)])
```

The callback ends the fit after the run's last update, so that ``epochs`` needs to be large enough and no more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from tuner.errors import InvalidValue
from tuner.metric import check_monitored
from tuner.schedules import Schedule
from tuner.training.run import TrainingRun

__all__ = ["RunSchedule", "TunerCallback", "learning_rate"]

_ERROR: Final = 1e-5
"""Of a rate in single precision, as a fraction of the peak."""


@keras.saving.register_keras_serializable(package="tuner")
class RunSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate as a function of the optimizer's count; past the end it stays where the schedule ends.

    Args:
        schedule: The schedule, or its JSON, as in a saved model.
        total_steps: Optimizer updates of the run.
        ratio: What all rates are multiplied with.
        gradient_accumulation_steps: Micro-batches per update: an optimizer that accumulates counts micro-batches.
    """

    def __init__(
        self,
        schedule: Schedule | Mapping[str, Any],
        *,
        total_steps: int,
        ratio: float = 1.0,
        gradient_accumulation_steps: int = 1,
    ) -> None:
        self.schedule = Schedule.model_validate(schedule)
        self.total_steps = total_steps
        self.ratio = ratio
        self.gradient_accumulation_steps = gradient_accumulation_steps
        rates = [*self.schedule.lrs(total_steps), self.schedule.lr(total_steps, total_steps=total_steps)]
        self._rates = (ratio * np.asarray(rates)).astype(np.float32)  # [total_steps + 1]

    def __call__(self, step: Any) -> Any:
        """The rate of the update that follows ``step`` steps of the optimizer."""
        update = ops.cast(step, "int32") // self.gradient_accumulation_steps
        return ops.take(ops.convert_to_tensor(self._rates), ops.minimum(update, self.total_steps))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor as JSON."""
        return {
            "schedule": self.schedule.model_dump(mode="json"),
            "total_steps": self.total_steps,
            "ratio": self.ratio,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }


def learning_rate(run: TrainingRun, *, ratio: float = 1.0, gradient_accumulation_steps: int = 1) -> RunSchedule | float:
    """The ``learning_rate`` of an optimizer that trains with the run's schedule.

    Where the schedule follows the loss it is the first rate: `TunerCallback` then sets that of every update.

    Args:
        run: The run to follow.
        ratio: Of a second optimizer, since Keras has no parameter groups: its rate by that of the first, above 0.
        gradient_accumulation_steps: The same as the optimizer's.

    Raises:
        InvalidValue: ``ratio`` is not above 0, or ``gradient_accumulation_steps`` is below 1; or ``ratio`` is not 1
            where the schedule follows the loss.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise InvalidValue("ratio", value=ratio, allowed="a finite number above 0")
    if gradient_accumulation_steps < 1:
        raise InvalidValue("gradient_accumulation_steps", value=gradient_accumulation_steps, allowed="at least 1")
    if run.schedule.follows_loss:
        if ratio != 1:
            hint = "Set the rate of the second optimizer in your loop, from run.lr(step)"
            raise InvalidValue("ratio", value=ratio, allowed="1 where the schedule follows the loss", hint=hint)
        return run.lr(0)
    return RunSchedule(
        run.schedule,
        total_steps=run.total_steps,
        ratio=ratio,
        gradient_accumulation_steps=gradient_accumulation_steps,
    )


class TunerCallback(keras.callbacks.Callback):
    """Reports the validation after every epoch, and ends the fit after the run's last update.

    Keras validates once more when the fit ends within an epoch, so that the last update has its report. Where another
    callback ends the fit early (``EarlyStopping``), the last validation is the result of the run; the best one where
    ``restores_best`` says that the model returns to it.

    To resume an attempt that was cut off, pass ``BackupAndRestore(run.snapshot_dir / "backup")`` before this callback.

    Args:
        run: The run to report to.
        monitor: Name of the workload's metric in the logs of an epoch: ``"val_accuracy"``.
        restores_best: Whether an ``EarlyStopping`` with ``restore_best_weights=True`` is among the callbacks.

    Raises:
        InvalidValue: By its name the metric has another direction than the one that the workload declares.
    """

    def __init__(self, run: TrainingRun, *, monitor: str = "val_loss", restores_best: bool = False) -> None:
        super().__init__()
        check_monitored("monitor", name=monitor, metric=run.metric)
        self._run = run
        self._monitor = monitor
        self._restores_best = restores_best
        self._accumulation = 1
        self._batches_left = 0  # at least so many until the last update
        self._last_batch = -1  # of this epoch
        self._reports: list[tuple[int, float]] = []  # updates done and the value

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Check the learning rate, and tell the run where a resumed training starts.

        Raises:
            InvalidValue: The optimizer has another learning rate than the run; or several batches are run at once,
                where the schedule follows the loss.
        """
        optimizer = self.model.optimizer
        self._accumulation = getattr(optimizer, "inner_optimizer", optimizer).gradient_accumulation_steps or 1
        updates = self._updates()
        if updates:
            self._run.resumed(min(updates, self._run.total_steps))
        self._check_rate(updates)
        self._set_rate(updates)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Count the batches of an epoch from its start."""
        self._last_batch = -1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """End the fit after the last update.

        The optimizer's count is read only where it may have arrived there, since reading it waits for the device.
        """
        self._batches_left -= batch - self._last_batch  # Keras names the last of the batches that it ran at once
        self._last_batch = batch
        if self._run.schedule.follows_loss:
            self._set_rate(self._updates())
        if self._batches_left <= 0 and self._updates() >= self._run.total_steps:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Report the validation of this epoch, where there was one.

        Raises:
            InvalidValue: The last update is done without a validation; or more updates than the run has were made at
                once; or the learning rate is not the run's.
            RunStopped: The run is over.
        """
        updates, total = self._updates(), self._run.total_steps
        if updates > total:
            hint = "Use a steps_per_execution that divides the batches of an epoch and of the run, or 1"
            raise InvalidValue("updates", value=updates, allowed=f"{total}, as the run says", hint=hint)
        self._check_rate(updates)
        self._run.count_rates(updates)
        if self._monitor in (logs or {}):
            assert logs is not None
            value = float(logs[self._monitor])
            self._reports.append((updates, value))
            self._run.report(updates, value=value, train_loss=logs.get("loss"))
            self._set_rate(updates)
        elif updates == total:
            raise InvalidValue(
                "monitor",
                value=self._monitor,
                allowed=f"among the logs of the last epoch: {', '.join(sorted(logs or {})) or 'nothing'}",
                hint="Pass validation_data to fit, with validation_freq=1",
            )

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """End a run that another callback has ended early.

        Raises:
            InvalidValue: The fit has ended for lack of epochs or data.
        """
        updates, total = self._updates(), self._run.total_steps
        if updates >= total:
            return
        if not (self.model.stop_training and self._reports):
            hint = "Pass epochs=run.total_steps: this callback ends the fit. A data set of one pass needs repeat()"
            allowed = f"enough for the {total} updates of the run; it ended after {updates}"
            raise InvalidValue("epochs", value=self.params.get("epochs"), allowed=allowed, hint=hint)
        best = max if self._run.metric.maximized else min
        values = [value for _, value in self._reports]
        self._run.finish(updates, value=best(values) if self._restores_best else values[-1])

    def _updates(self) -> int:
        """Updates that were made; those that a loss scale skipped are none."""
        updates = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        self._batches_left = (self._run.total_steps - updates) * self._accumulation
        return updates

    def _set_rate(self, updates: int) -> None:
        """Set the rate of the next update where no schedule of Keras does: it depends on the reports."""
        if self._run.schedule.follows_loss:
            self.model.optimizer.learning_rate = self._run.lr(updates)

    def _check_rate(self, updates: int) -> None:
        if self._run.schedule.follows_loss:
            at_once = self.model.steps_per_execution
            if at_once != 1:
                raise InvalidValue(
                    "steps_per_execution", value=at_once, allowed="1 where the schedule follows the loss"
                )
            return
        expected = self._run.schedule.lr(updates, total_steps=self._run.total_steps)
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if abs(rate - expected) > _ERROR * self._run.schedule.peak_lr:
            hint = "Build the optimizer with learning_rate=learning_rate(run), with its gradient_accumulation_steps"
            allowed = f"{expected:g} after {updates} updates, as the run says"
            raise InvalidValue("learning_rate", value=rate, allowed=allowed, hint=hint)
