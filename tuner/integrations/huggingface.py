"""The Hugging Face Trainer: it trains with the run's schedule and reports its evaluations to the run.

```python
trainer = Trainer(model=model, args=TrainingArguments(**training_arguments(run)), ...)
attach(trainer, run)
trainer.train(resume_from_checkpoint=last_checkpoint(run))
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from tuner.errors import InvalidValue
from tuner.metric import check_monitored
from tuner.schedules.torch_adapter import ScheduleLR
from tuner.training.run import RunStopped, TrainingRun

__all__ = ["TunerCallback", "attach", "last_checkpoint", "training_arguments"]


def training_arguments(run: TrainingRun) -> dict[str, Any]:
    """The arguments of `TrainingArguments` that the run sets: ``max_steps``, ``seed`` and ``output_dir``."""
    return {"max_steps": run.total_steps, "seed": run.seed, "output_dir": str(run.snapshot_dir)}


def last_checkpoint(run: TrainingRun) -> str | None:
    """Path of the newest checkpoint of an interrupted attempt at this run; ``None`` when there is none."""
    newest: Callable[[str], str | None] = get_last_checkpoint
    return newest(str(run.snapshot_dir)) if run.snapshot_dir.is_dir() else None


def attach(trainer: Trainer, run: TrainingRun, *, metric: str = "eval_loss") -> None:
    """Attach a trainer to a run, so that it follows the run's schedule and reports to the run.

    The learning rate changes once per optimizer update, for any ``gradient_accumulation_steps`` and any number of
    processes; ``lr_scheduler_type`` and the warm-up settings of the arguments have no effect. The initial learning
    rates of the optimizer set the ratios between its parameter groups.

    Args:
        trainer: The trainer, before it trains. Its ``max_steps`` and ``seed`` must be those of the run.
        run: The run to follow.
        metric: Name of the workload's metric among the metrics of an evaluation: ``"eval_accuracy"``.

    Raises:
        InvalidValue: ``max_steps`` or ``seed`` differ from the run's, or the trainer already has a scheduler. Or
            ``metric``, by its name or by ``greater_is_better`` of the arguments, has another direction than the metric
            that the workload declares.
    """
    selected = trainer.args.metric_for_best_model in (metric, metric.removeprefix("eval_"))
    stated = trainer.args.greater_is_better if selected else None
    check_monitored("metric", name=metric, metric=run.metric, higher_is_better=stated)
    for field, value, expected in (
        ("max_steps", trainer.args.max_steps, run.total_steps),
        ("seed", trainer.args.seed, run.seed),
    ):
        if value != expected:
            hint = "Use TrainingArguments(**training_arguments(run), ...)"
            raise InvalidValue(
                f"TrainingArguments.{field}", value=value, allowed=f"{expected}, as the run says", hint=hint
            )
    if trainer.lr_scheduler is not None:
        name = type(trainer.lr_scheduler).__name__
        raise InvalidValue("optimizers", value=name, allowed="given without a scheduler: (optimizer, None)")

    untyped: Any = trainer  # its annotations name torch schedulers of fewer kinds than it accepts

    def create_scheduler(num_training_steps: int, optimizer: Optimizer | None = None) -> ScheduleLR:
        scheduler = run.scheduler(untyped.optimizer if optimizer is None else optimizer)
        untyped.lr_scheduler = scheduler
        untyped._created_lr_scheduler = True  # a second train() then creates a new one
        return scheduler

    untyped.create_scheduler = create_scheduler
    trainer.add_callback(TunerCallback(run, metric=metric))


class TunerCallback(TrainerCallback):
    """Requests evaluations at ``run.evaluate_at``, reports them, and ends the training when the run is stopped.

    Where another callback ends the training early (`EarlyStoppingCallback`), its last evaluation is the result of the
    run; with ``load_best_model_at_end`` and ``metric_for_best_model`` on the metric of the run, the best one. Of
    several processes only the main process reports.

    Args:
        run: The run to report to.
        metric: Name of the workload's metric among the metrics of an evaluation.

    Raises:
        InvalidValue: By its name it has another direction than the metric that the workload declares.
    """

    def __init__(self, run: TrainingRun, *, metric: str = "eval_loss") -> None:
        check_monitored("metric", name=metric, metric=run.metric)
        self._run = run
        self._metric = metric
        self._train_loss: float | None = None
        self._last: tuple[int, float] | None = None  # step and value of the last report
        self._training = False
        self._stopped = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the run where a resumed training starts."""
        self._training = True
        if state.global_step:
            self._run.resumed(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Request an evaluation at ``run.evaluate_at``, also with ``eval_strategy="no"``."""
        if state.global_step in self._run.evaluate_at:
            control.should_evaluate = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Store the training loss for the next report."""
        if logs and "loss" in logs:
            self._train_loss = float(logs["loss"])

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Report an evaluation during the training; evaluations before and after it are not reported."""
        if not (self._training and metrics and self._metric in metrics):
            return
        if not state.is_world_process_zero:
            self._run.follow(state.global_step, value=metrics[self._metric])
            return
        try:
            self._run.report(state.global_step, value=metrics[self._metric], train_loss=self._train_loss)
            self._last = state.global_step, float(metrics[self._metric])
        except RunStopped:
            self._stopped = True
            control.should_training_stop = True
        self._train_loss = None

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End a run that was stopped, or that another callback has ended early, after the trainer's own clean-up.

        Raises:
            RunStopped: The run was stopped before its last update.
        """
        self._training = False
        if self._stopped:
            raise RunStopped
        if self._last is not None and self._last[0] < self._run.total_steps:
            step, value = self._last
            watched = args.metric_for_best_model in (self._metric, self._metric.removeprefix("eval_"))
            if args.load_best_model_at_end and watched and state.best_metric is not None:
                value = state.best_metric
            self._run.finish(step, value=value)
