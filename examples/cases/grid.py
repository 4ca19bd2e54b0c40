"""Trains schedules at several peaks and with several seeds, compares the best of each, and draws them.

The peak of each schedule is chosen on the seeds of `CHOICE`, and the comparison is made on those of `COMPARED`: the
best of many noisy results looks better than it is.
"""

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tuner
from matplotlib.figure import Figure
from scipy import stats

CHOICE, COMPARED = range(100, 103), range(10)
EVALUATIONS = 20
FOLDER = Path(__file__).parent
COLOURS = ("#222222", "#0072b2", "#e69f00", "#009e73", "#d55e00")


@dataclass(frozen=True)
class Grid:
    """Every shape at every peak, on one workload."""

    name: str
    workload: object
    shapes: dict
    """By name, a schedule as JSON without its peak."""
    peaks: tuple
    options: dict = field(default_factory=dict)
    title: str = ""
    recorded: Path = FOLDER / "recorded"
    """Folder of the results: a second call trains what is missing there."""
    runs: dict = field(default_factory=dict)

    def schedule(self, shape, peak):
        return tuner.Schedule.model_validate({"peak_lr": peak, **self.shapes[shape]})

    def run(self, shape, peak, seed):
        """The values of the metric in one run, the last one its result; trained where it is not recorded."""
        file = self.recorded / f"{self.name}.jsonl"
        if not self.runs and file.exists():
            self.runs.update(
                (json.dumps(key), values) for key, values in map(json.loads, file.read_text().splitlines())
            )
        key = json.dumps([self.workload.version, self.workload.default_steps, shape, peak, seed])
        if key not in self.runs:
            self.runs[key] = train(self.workload, self.schedule(shape, peak), options=self.options, seed=seed)
            self.recorded.mkdir(exist_ok=True)
            with file.open("a") as lines:
                lines.write(f"[{key}, {json.dumps(self.runs[key])}]\n")
        return self.runs[key]

    def curves(self, shape, peak, seeds):
        """``[seeds, evaluations]``: the metric; the worst there is from where a run diverged."""
        worst = -math.inf if self.workload.metric.maximized else math.inf
        runs = [self.run(shape, peak, seed) for seed in seeds]
        return np.array([[*run, *[worst] * (EVALUATIONS - len(run))] for run in runs])

    def results(self, shape, peak, seeds=COMPARED):
        return self.curves(shape, peak, seeds)[:, -1]

    def best_peak(self, shape):
        """The peak with the best mean over the seeds of the choice."""
        sign = -1.0 if self.workload.metric.maximized else 1.0
        return min(self.peaks, key=lambda peak: sign * self.results(shape, peak, CHOICE).mean())

    def gain(self, shape, rival):
        """By how much a shape at its best peak is better than another at its own, with its 95 % interval."""
        ours, theirs = (self.results(one, self.best_peak(one)) for one in (shape, rival))
        return paired(ours, theirs) if self.workload.metric.maximized else paired(theirs, ours)


def train(workload, schedule, *, options, seed):
    """The metric at even fractions of one training, up to where it or the training loss is not finite."""
    torch.manual_seed(seed)
    steps = workload.default_steps
    training = workload.start(workload.Options(**options), seed=seed, device=torch.device("cpu"))
    values, every = [], steps / EVALUATIONS
    for step, lr in enumerate(schedule.lrs(steps)):
        loss = training.train_step(step, lr=lr)
        if step + 1 >= every * (len(values) + 1):
            value = training.validate()
            if not (math.isfinite(float(loss)) and math.isfinite(value)):
                break
            values.append(float(f"{value:.5g}"))
    return values


def paired(high, low):
    """The mean of ``high - low`` over common seeds, and its 95 % interval by Student's t."""
    difference = high - low
    mean, half = difference.mean(), stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
    return float(mean), float(mean - half), float(mean + half)


def tables(grids, *, rival):
    """The figures of a case as Markdown: every mean of the choice, then the best of each shape on other seeds."""
    for grid in grids:
        unit = grid.workload.metric.unit
        yield f"| {grid.title or grid.workload.metric.name} | " + " | ".join(f"{peak:g}" for peak in grid.peaks) + " |"
        yield "|---" * (len(grid.peaks) + 1) + "|"
        for shape in grid.shapes:
            means = [grid.results(shape, peak, CHOICE).mean() for peak in grid.peaks]
            yield f"| {shape} | " + " | ".join(f"{mean:.4g}" for mean in means) + " |"
        yield ""
        yield f"| {grid.title or 'best peaks'} | peak | {len(COMPARED)} further seeds | gain, 95 % interval |"
        yield "|---|---|---|---|"
        for shape in grid.shapes:
            peak = grid.best_peak(shape)
            mean = f"{grid.results(shape, peak).mean():.4g}" + (f" {unit}" if unit else "")
            gain = "" if shape == rival else "{:+.3g} ({:+.3g} to {:+.3g})".format(*grid.gain(shape, rival))
            yield f"| {shape} | {peak:g} | {mean} | {gain} |"
        yield ""


def draw(grids):
    """For each grid the metric over the peak, then the curves of the best peaks: mean and range over seeds."""
    figure = Figure(figsize=(9.0, 3.6 * len(grids)), layout="constrained")
    for row, grid in zip(figure.subplots(len(grids), 2, squeeze=False), grids, strict=True):
        steps = grid.workload.default_steps * np.arange(1, EVALUATIONS + 1) / EVALUATIONS
        for colour, shape in zip(COLOURS, grid.shapes, strict=False):
            results = np.array([grid.results(shape, peak, CHOICE) for peak in grid.peaks])
            curves = grid.curves(shape, grid.best_peak(shape), COMPARED)
            for axes, x, values in ((row[0], grid.peaks, results), (row[1], steps, curves.T)):
                axes.plot(x, values.mean(1), color=colour, label=shape)
                axes.fill_between(x, values.min(1), values.max(1), color=colour, alpha=0.12, linewidth=0)
        row[0].set(xscale="log", xlabel="peak learning rate", ylabel=grid.workload.metric.name, title=grid.title)
        row[0].set_xticks(grid.peaks, [f"{peak:g}" for peak in grid.peaks])
        row[0].minorticks_off()
        row[1].set(xlabel="optimizer update", title="at the best peak of each")
        # Early values are far off: what is seen is where the best and the worst results lie.
        ends = np.array([grid.results(shape, peak, CHOICE) for shape in grid.shapes for peak in grid.peaks])
        low, high = np.quantile(ends[np.isfinite(ends)], [0.0, 1.0])
        row[1].set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        row[0].legend(frameon=False, fontsize=9)
    return figure


def show(grids, *, rival, job):
    """Print the figures of a case and write its picture; with ``--job``, have the tuner decide the case, too."""
    print(*tables(grids, rival=rival), sep="\n", flush=True)
    draw(grids).savefig(FOLDER / f"{grids[0].name}.png", dpi=110)
    if "--job" in sys.argv:
        print(tuner.tune(grids[0].workload, options=grids[0].options, device="cpu", **job))
