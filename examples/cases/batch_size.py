"""Case: a batch of four times the size, and what becomes of the best peak: times 4 for SGD, times 2 for Adam?"""

from matplotlib.figure import Figure
from tuner.schedules import Schedule, scaled_to_batch
from tuner.workloads import builtin_workloads

import grid
from grid import Grid, paired

DigitsMlp = type(builtin_workloads()["digits-mlp"])
SMALL, LARGE, EPOCHS = 16, 64, 20
UPDATES = 1200 * EPOCHS // SMALL
SHAPE = {"cosine": {"family": {"name": "cosine"}, "warmup": {"shape": "linear", "fraction": 0.1}}}
RULES = {"sgd": "linear", "adam": "sqrt"}
PEAKS = {
    "sgd": (0.006, 0.012, 0.024, 0.048, 0.096, 0.192, 0.384),
    "adam": (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064),
}


class SmallBatch(DigitsMlp):
    default_steps = UPDATES


class LargeBatch(DigitsMlp):
    default_steps = UPDATES * SMALL // LARGE  # as many epochs


def grids(optimizer):
    """The same training at both batch sizes."""
    for workload, batch in ((SmallBatch(), SMALL), (LargeBatch(), LARGE)):
        yield Grid(
            name=f"batch_size_{optimizer}_{batch}",
            workload=workload,
            shapes=SHAPE,
            peaks=PEAKS[optimizer],
            options={"optimizer": optimizer, "batch_size": batch},
            title=f"{optimizer}, batches of {batch}, {workload.default_steps} updates",
        )


def scaled_peak(optimizer, peak):
    """The peak that the optimizer's rule names for the larger batch; on the grid, as both factors are powers of 2."""
    schedule = Schedule.model_validate({"peak_lr": peak, **SHAPE["cosine"]})
    scaled = scaled_to_batch(schedule, rule=RULES[optimizer], from_batch=SMALL, to_batch=LARGE)
    return min(PEAKS[optimizer], key=lambda one: abs(one - scaled.schedule.peak_lr))


def tables():
    """The means of the choice, and on other seeds the large batch at the old peak, by the rule, and searched anew."""
    for optimizer in RULES:
        small, large = grids(optimizer)
        peaks = PEAKS[optimizer]
        yield f"| {optimizer} | " + " | ".join(f"{peak:g}" for peak in peaks) + " |"
        yield "|---" * (len(peaks) + 1) + "|"
        for one in (small, large):
            means = [one.results("cosine", peak, grid.CHOICE).mean() for peak in peaks]
            batch = one.options["batch_size"]
            yield f"| batches of {batch} | " + " | ".join(f"{mean:.4g}" for mean in means) + " |"
        yield ""
        old, best = small.best_peak("cosine"), large.best_peak("cosine")
        rule = scaled_peak(optimizer, old)
        seeds = f"{len(grid.COMPARED)} further seeds"
        yield f"| {optimizer}, batches of {LARGE} | peak | {seeds} | gain, 95 % interval |"
        yield "|---|---|---|---|"
        rows = {"the old peak": old, f"by the {RULES[optimizer]} rule": rule, "searched anew": best}
        for name, peak in rows.items():
            results = large.results("cosine", peak, grid.COMPARED)
            difference = paired(large.results("cosine", old, grid.COMPARED), results)
            gain = "" if peak == old else "{:+.3g} ({:+.3g} to {:+.3g})".format(*difference)
            yield f"| {name} | {peak:g} | {results.mean():.4g} | {gain} |"
        yield ""


def draw():
    """For each optimizer the loss over the peak at both batch sizes: mean and range over the seeds of the choice."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    for axes, optimizer in zip(figure.subplots(1, 2), RULES, strict=True):
        for colour, one in zip(grid.COLOURS[1:], grids(optimizer), strict=False):
            values = [one.results("cosine", peak, grid.CHOICE) for peak in one.peaks]
            label = f"batches of {one.options['batch_size']}"
            axes.plot(one.peaks, [each.mean() for each in values], color=colour, label=label)
            low, high = [each.min() for each in values], [each.max() for each in values]
            axes.fill_between(one.peaks, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set(xscale="log", yscale="log", xlabel="peak learning rate", ylabel="validation loss", title=optimizer)
        axes.set_xticks(one.peaks, [f"{peak:g}" for peak in one.peaks])
        axes.set_yticks((0.15, 0.25, 0.5, 1, 2), ("0.15", "0.25", "0.5", "1", "2"))
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    print(*tables(), sep="\n", flush=True)
    draw().savefig(grid.FOLDER / "batch_size.png", dpi=110)
