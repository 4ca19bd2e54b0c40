"""Training code that ends in other ways than with a report at its horizon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from pydantic import Field

from tuner.search.space import OptimizerKind
from tuner.training.options import WorkloadOptions
from tuner.training.run import TrainingRun
from tuner.training.workload import OpaqueWorkload


def end_early(run: TrainingRun) -> None:
    run.report(20, value=1.0)
    run.finish(24, value=0.25)


def report_past_the_end(run: TrainingRun) -> None:
    for step in (20, run.total_steps, run.total_steps + 1):
        run.report(step, value=0.5)


def fail_after_the_result(run: TrainingRun) -> None:
    run.report(run.total_steps, value=0.5)
    raise RuntimeError("the plot of the losses has no title")


def end_in_silence(run: TrainingRun) -> None:
    run.report(20, value=1.0)


def report_epochs(run: TrainingRun) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = run.scheduler(optimizer)
    for epoch in range(1, 4):
        for _ in range(20):
            optimizer.step()
            scheduler.step()
        run.report(epoch, value=1.0)


ENDINGS: dict[str, Callable[[TrainingRun], None]] = {
    function.__name__: function
    for function in (end_early, report_past_the_end, fail_after_the_result, end_in_silence, report_epochs)
}


class EndingOptions(WorkloadOptions):
    how: str = Field(default="end_early", description="How it ends.")


class Endings(OpaqueWorkload):
    name: ClassVar[str] = "endings"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Ends in many ways."
    default_steps: ClassVar[int] = 60
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD
    Options = EndingOptions

    def train(self, run: TrainingRun, options: Any) -> None:
        ENDINGS[options.how](run)


COMMAND = """
name = "script"
version = "1"
description = "A script that ends in many ways."
command = ["{python}", "script.py", "{how}"]
default_steps = 60
optimizer = "sgd"
[options.how]
type = "string"
default = "early"
description = "How it ends."
"""
SCRIPT = """
import json, os, sys, time
from tuner.sdk import run as tuner_run

run, path = tuner_run(), os.environ["TUNER_REPORTS"]

def line(**fields):
    with open(path, "a") as file:
        file.write(json.dumps(fields) + "\\n")

def early():
    run.report(20, value=1.0)
    run.finish(24, value=0.25)

def early_by_a_line():
    line(step=24, value=0.25, final=True)

def never_stops():
    for step in range(10, 10**6, 10):
        run.report(step, value=1.0)
        time.sleep(0.05 if step > 60 else 0)

def fails_after_the_result():
    run.report(60, value=0.5)
    sys.exit(3)

def two_processes():
    forked = os.fork()
    for step in (10, 20, 30, 40, 50, 60):
        run.report(step, value=step + (0.5 if forked else 0.25))
        time.sleep(0.3)

def two_processes_of_one_mind():
    forked = os.fork()
    for step in (10, 20, 30, 40, 50, 60):
        run.report(step, value=1.0 / step)
    if forked:
        os.waitpid(forked, 0)

def epochs():
    for epoch in range(1, 4):
        for step in range(20 * (epoch - 1), 20 * epoch):
            run.lr(step)
        run.report(epoch, value=1.0)

def a_step_that_is_none():
    run.report("ten", value=1.0)

def json_list():
    line_of = [{"step": step, "value": 1.0} for step in (30, 60)]
    with open(path, "w") as file:
        json.dump(line_of, file)

def rewritten_in_place():
    for step in (20, 40, 60):
        with open(path, "w") as file:
            json.dump({"step": step, "value": 1.0 / step}, file)
        time.sleep(0.3)

def rewritten_whole():
    lines = []
    for step in (20, 40, 60):
        lines.append(json.dumps({"step": step, "value": 1.0 / step}))
        with open(path + ".new", "w") as file:
            file.write("\\n".join(lines) + "\\n")
        os.replace(path + ".new", path)
        time.sleep(0.3)

def half_a_line_after_the_result():
    with open(path, "a") as file:
        file.write('{"step": 60, "value": 0.5}\\n{"step": 60, "val')

def half_a_line():
    with open(path, "a") as file:
        file.write('{"step": 30, "value": 0.5}\\n{"step": 60, "val')

def huge():
    line(step=10, value=1.0)
    with open(path, "a") as file:
        file.write('{"step": 20, "value": 1' + "0" * 400 + "}\\n")
    time.sleep(60)

def infinite():
    with open(path, "a") as file:
        file.write('{"step": 20, "value": -Infinity}\\n')
    time.sleep(60)

def twice():
    with open(path, "a") as file:
        file.write('{"step": 20, "step": 60, "value": 1.0}\\n')

globals()[sys.argv[1]]()
"""
