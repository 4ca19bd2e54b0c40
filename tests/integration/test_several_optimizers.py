"""Several optimizers in a run have one rule for their rates: in tuning, in the code of a report, in exports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tuner import OpaqueWorkload, OptimizerKind, Report, Schedule, tune
from tuner.exports import ExportFormat, TargetRun, export
from tuner.report.pages.formats import ReportFormat, rendered

STEPS = 40


def pair() -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon at 0.02, and AdamW at 3e-4 with a group at a tenth of that."""
    muon = torch.optim.Muon([torch.nn.Parameter(torch.ones(2, 2))], lr=0.02)
    groups: list[dict[str, Any]] = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in (3e-4, 3e-5)]
    return muon, torch.optim.AdamW(groups)


def rates(*optimizers: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]


class Beside(OpaqueWorkload):
    """AdamW beside Muon, with one scheduler for both or one for each; notes the rates of every run."""

    name, version, description, default_steps = "beside", "1", "For tests.", STEPS
    optimizer = OptimizerKind.ADAM

    def __init__(self, *, each: bool) -> None:
        self.each = each
        self.seen: list[tuple[Schedule, np.ndarray]] = []

    def train(self, run: Any, options: Any) -> None:
        muon, adam = pair()
        schedulers = [run.scheduler(muon), run.scheduler(adam)] if self.each else [run.scheduler(muon, adam)]
        seen = []
        for step in range(run.total_steps):
            seen.append(rates(muon, adam))
            for one in (muon, adam, *schedulers):
                one.step()
            if step + 1 in run.evaluate_at:
                run.report(step + 1, value=1.0 + abs(np.log(run.schedule.peak_lr / 0.01)))
        self.seen.append((run.schedule, np.array(seen)))


def tuned(*, each: bool) -> tuple[Beside, Report]:
    workload = Beside(each=each)
    return workload, tune(workload, budget=3, device="cpu", search={"seed": 0})


@pytest.mark.parametrize("each", [True, False])
def test_every_run_of_a_study_keeps_the_ratios_and_so_does_the_exported_code(each: bool):
    workload, report = tuned(each=each)
    for schedule, seen in workload.seen:
        np.testing.assert_allclose(seen, np.outer(schedule.lrs(STEPS), [1, 0.015, 0.0015]), rtol=1e-12)

    best = report.recommended.schedule
    trained = next(seen for schedule, seen in workload.seen if schedule == best)
    exported = export(best, format=ExportFormat.TORCH, run=TargetRun(total_steps=STEPS))
    names: dict[str, Any] = {}
    exec("".join(exported.chunks), names)
    muon, adam = pair()
    ratio = best.peak_lr / 0.02
    for group in (*muon.param_groups, *adam.param_groups):
        group["lr"] *= ratio  # as the code asks: the reference is built with lr=PEAK_LR, and the others at their ratios
    schedulers = [names["make_scheduler"](muon), names["make_scheduler"](adam, reference=muon)]
    pasted = []
    for _ in range(STEPS):
        pasted.append(rates(muon, adam))
        for one in (muon, adam, *schedulers):
            one.step()
    np.testing.assert_allclose(pasted, trained, rtol=1e-9, atol=1e-18)


def test_the_report_says_what_becomes_of_the_other_groups_and_optimizers():
    _, report = tuned(each=False)
    for format in (ReportFormat.MARKDOWN, ReportFormat.HTML):
        page = rendered(report, format=format)
        assert "all\n# other groups keep their ratios to it. Of several optimizers the first counts" in page
        assert "ScheduleLR([first, second], ...)" in page
