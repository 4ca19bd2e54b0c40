"""The Hugging Face Trainer, attached to a run: its learning rates are the schedule's, its evaluations are reported.

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
from tuner.schedules.torch_adapter import ScheduleLR
from tuner.training.run import RunStopped, TrainingRun

__all__ = ["TunerCallback", "attach", "last_checkpoint", "training_arguments"]


def training_arguments(run: TrainingRun) -> dict[str, Any]:
    """What the run says about `TrainingArguments`: ``max_steps``, ``seed`` and ``output_dir``; the rest is yours."""
    return {"max_steps": run.total_steps, "seed": run.seed, "output_dir": str(run.snapshot_dir)}


def last_checkpoint(run: TrainingRun) -> str | None:
    """The newest checkpoint that an interrupted attempt of this run has left; ``None`` when there is none."""
    newest: Callable[[str], str | None] = get_last_checkpoint
    return newest(str(run.snapshot_dir)) if run.snapshot_dir.is_dir() else None


def attach(trainer: Trainer, run: TrainingRun, *, metric: str = "eval_loss") -> None:
    """Let a trainer follow the run's schedule and report to it.

    The learning rate changes once per optimizer update, whatever ``gradient_accumulation_steps`` and the number of
    processes are; ``lr_scheduler_type`` and the warm-up settings of the arguments are not used. Of the learning rates
    that the optimizer was made with, only the ratios between its parameter groups count.

    Args:
        trainer: Before it trains. Its arguments must ask for ``run.total_steps`` updates, with ``run.seed``.
        run: What to follow.
        metric: Name of the validation loss among the metrics of an evaluation.

    Raises:
        InvalidValue: The arguments ask for another number of updates or another seed, or the trainer was given a
            scheduler.
    """
    for field, value, wanted in (
        ("max_steps", trainer.args.max_steps, run.total_steps),
        ("seed", trainer.args.seed, run.seed),
    ):
        if value != wanted:
            hint = "Use TrainingArguments(**training_arguments(run), ...)"
            raise InvalidValue(
                f"TrainingArguments.{field}", value=value, allowed=f"{wanted}, as the run says", hint=hint
            )
    if trainer.lr_scheduler is not None:
        given = type(trainer.lr_scheduler).__name__
        raise InvalidValue("optimizers", value=given, allowed="given without a scheduler: (optimizer, None)")

    theirs: Any = trainer  # whose scheduler may be any, whatever its annotations say

    def create_scheduler(num_training_steps: int, optimizer: Optimizer | None = None) -> ScheduleLR:
        scheduler = run.scheduler(theirs.optimizer if optimizer is None else optimizer)
        theirs.lr_scheduler = scheduler
        theirs._created_lr_scheduler = True  # so that a second train() makes a new one
        return scheduler

    theirs.create_scheduler = create_scheduler
    trainer.add_callback(TunerCallback(run, metric=metric))


class TunerCallback(TrainerCallback):
    """Asks for evaluations where the run wants them, reports them, and ends the training when the run is over.

    Of several processes the first one reports.

    Args:
        run: What to report to.
        metric: Name of the validation loss among the metrics of an evaluation.
    """

    def __init__(self, run: TrainingRun, *, metric: str = "eval_loss") -> None:
        self._run = run
        self._metric = metric
        self._train_loss: float | None = None
        self._training = False
        self._stopped = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note where the training takes up."""
        self._training = True
        if state.global_step:
            self._run.resumed(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask for an evaluation where one is wanted, also with ``eval_strategy="no"``."""
        if state.global_step in self._run.evaluate_at:
            control.should_evaluate = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Keep the training loss for the next report."""
        if logs and "loss" in logs:
            self._train_loss = float(logs["loss"])

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Report an evaluation of the training; those before and after it are left alone."""
        if not (self._training and state.is_world_process_zero and metrics and self._metric in metrics):
            return
        try:
            self._run.report(state.global_step, val_loss=metrics[self._metric], train_loss=self._train_loss)
        except RunStopped:
            self._stopped = True
            control.should_training_stop = True
        self._train_loss = None

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End the run, once the trainer has put everything in order.

        Raises:
            RunStopped: The run was over before its last update.
        """
        self._training = False
        if self._stopped:
            raise RunStopped
