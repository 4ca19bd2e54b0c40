"""The real Trainer, on a small model built from a config: its learning rates, its reports, its stop, its resume."""

from __future__ import annotations

import pytest
import torch

from tuner.integrations.huggingface import attach, last_checkpoint, training_arguments
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.training.checks.recording import recorded_optimizers
from tuner.training.protocol import Outcome

pytest.importorskip("accelerate", reason="the Trainer needs accelerate: pip install 'schedule-tuner[huggingface]'")
from transformers import EarlyStoppingCallback, GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

ROWS = [{"input_ids": (torch.arange(8) * step + step) % 16} for step in range(64)]
for row in ROWS:
    row["labels"] = row["input_ids"]


def trainer(run, **changes):
    torch.manual_seed(run.seed)
    config = GPT2Config(vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
    defaults = {
        **training_arguments(run),
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 3,  # 16 batches per epoch: the last update of an epoch has one batch alone
        "warmup_steps": 7,  # not used: the schedule has its own
        "lr_scheduler_type": "linear",
        "save_steps": 5,
        "logging_steps": 5,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_pin_memory": False,
    }
    arguments = TrainingArguments(**defaults | changes)
    return Trainer(model=GPT2LMHeadModel(config), args=arguments, train_dataset=ROWS, eval_dataset=ROWS[:8])


def training(run):
    made = trainer(run)
    attach(made, run)
    made.train(resume_from_checkpoint=last_checkpoint(run))
    made.evaluate()  # afterwards, as many scripts do: no report of the run


def test_every_optimizer_update_has_the_rate_of_the_schedule_under_accumulation(executed):
    with recorded_optimizers() as record:
        ended = executed(training)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [lrs[0] for lrs in record.lrs[0]] == executed.lrs
    assert executed.steps == [10, 20]


def test_a_stopped_run_ends_and_the_next_attempt_goes_on_from_its_checkpoint_to_the_same_end(executed, tmp_path):
    whole = executed(training)
    (tmp_path / "1").rename(tmp_path / "elsewhere")
    with recorded_optimizers() as record:
        stopped = executed(training, stop_at=10)
    assert (stopped.outcome, stopped.step) == (Outcome.STOPPED, 10), stopped.traceback
    assert record.updates == 10
    with recorded_optimizers() as record:
        ended = executed(training, attempt=2)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    assert [lrs[0] for lrs in record.lrs[0]] == executed.lrs[10:]
    assert executed.updates == 10
    assert ended.loss == whole.loss


class Worsens:
    """Evaluates to 0.3, 0.4, 0.5, ...: nothing gets better."""

    def __init__(self) -> None:
        self.losses = iter(0.3 + 0.1 * number for number in range(100))

    def __call__(self, _):
        return {"quality": next(self.losses)}


@pytest.mark.parametrize(("best", "result"), [(True, 0.3), (False, 0.4)])
def test_early_stopping_ends_the_run_with_its_result(executed, best, result):
    def body(run):
        watched = {"metric_for_best_model": "quality", "greater_is_better": False, "load_best_model_at_end": best}
        made = trainer(run, eval_strategy="steps", eval_steps=5, **watched)
        made.compute_metrics = Worsens()
        made.add_callback(EarlyStoppingCallback(early_stopping_patience=1))
        attach(made, run, metric="eval_quality")
        made.train()

    ended = executed(body)
    assert (ended.outcome, ended.step) == (Outcome.SUCCEEDED, 10), ended.traceback
    assert ended.loss == pytest.approx(result)
    assert executed.steps == [5, 10, 10]


ACCURACY = Metric(name="accuracy", direction="maximize")


def test_an_accuracy_is_reported_as_the_trainer_gives_it_and_maximized(executed):
    def body(run):
        made = trainer(run)
        made.compute_metrics = lambda _: {"accuracy": 0.75}
        attach(made, run, metric="eval_accuracy")
        made.train()

    ended = executed(body, metric=ACCURACY)
    assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, -0.75), ended.traceback


@pytest.mark.parametrize(
    ("metric", "name", "arguments"),
    [
        (ACCURACY, "eval_loss", {}),
        (DEFAULT_METRIC, "eval_accuracy", {}),
        (ACCURACY, "eval_quality", {"metric_for_best_model": "quality", "greater_is_better": False}),
        (DEFAULT_METRIC, "eval_quality", {"metric_for_best_model": "eval_quality", "greater_is_better": True}),
    ],
)
def test_a_metric_of_another_direction_than_the_workloads_is_refused(executed, metric, name, arguments):
    ended = executed(lambda run: attach(trainer(run, **arguments), run, metric=name), metric=metric)
    assert ended.outcome is Outcome.FAILED
    assert (
        f"metric must be of the direction of the workload's metric ({metric.name}, {metric.direction}d)" in ended.reason
    )


@pytest.mark.parametrize(("field", "value"), [("max_steps", 30), ("seed", 42)])
def test_arguments_that_say_something_else_than_the_run_are_refused(executed, field, value):
    ended = executed(lambda run: attach(trainer(run, **{field: value}), run))
    assert ended.outcome is Outcome.FAILED
    assert f"TrainingArguments.{field} must be" in ended.reason
