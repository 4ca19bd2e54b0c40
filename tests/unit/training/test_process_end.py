"""A check of training code that ends its process says so, and lives."""

from __future__ import annotations

import os
import threading
from typing import ClassVar

import pytest
import torch

from tuner.search.space import OptimizerKind
from tuner.training.checks.check import check
from tuner.training.checks.findings import Mark
from tuner.training.checks.process_end import ProcessEnd, recorded_process_ends
from tuner.training.workload import OpaqueWorkload


class Exits(OpaqueWorkload):
    """Trains three updates and ends the process, in one way or another."""

    name: ClassVar[str] = "exits"
    version: ClassVar[str] = "1"
    description: ClassVar[str] = "Ends the process."
    default_steps: ClassVar[int] = 20
    optimizer: ClassVar[OptimizerKind] = OptimizerKind.SGD

    def __init__(self, how: str) -> None:
        self.how = how

    def train(self, run, options):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        for _ in range(3):
            optimizer.step()
        if self.how == "in a thread":
            thread = threading.Thread(target=os._exit, args=(3,))
            thread.start()
            thread.join()
        else:
            os._exit(3)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("how", ["in the training", "in a thread"])
def test_it_is_a_broken_rule_that_names_the_call(how):
    report = check(Exits(how), options={}, device="cpu", steps=20)
    (broken,) = [finding for finding in report.findings if finding.rule == "end"]
    assert broken.mark is Mark.BROKEN
    assert broken.detail.startswith("it called os._exit(3), which ends the process of the run at once: ")
    assert not report.ok


def test_a_process_that_is_forked_meanwhile_ends_as_it_means_to():
    with recorded_process_ends() as calls:
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert calls == []


def test_afterwards_it_is_what_it_was():
    before = os._exit
    with pytest.raises(ProcessEnd), recorded_process_ends():
        os._exit(1)
    assert os._exit is before
