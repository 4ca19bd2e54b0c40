"""Makes one table: trains what its design lacks, stack by stack, and writes the file when all runs are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab.designs import Design
from benchmarks.lab.table import Row, write_table
from benchmarks.lab.training import train
from tuner.schedules import Schedule

Run = tuple[Schedule, int, int]
"""Schedule at the horizon, steps, seed."""


def make_table(design: Design, *, path: Path, unfinished: Path) -> None:
    """Train the runs of a table and write it.

    Args:
        design: The table.
        path: Of the finished table.
        unfinished: File of the runs that are finished; those in it are not trained again. It is deleted at the end.
    """
    done = _finished(unfinished)
    with unfinished.open("a") as file:
        for stack in stacks(design, done=set(done)):
            for row in _trained(design, stack):
                done[row.schedule, row.steps, row.seed] = row
                file.write(f"{row.to_json()}\n")
            file.flush()
    write_table((done[run] for run in runs(design)), path=path)
    unfinished.unlink()


def runs(design: Design) -> Iterator[Run]:
    """All runs of a table, in the order of the file: one schedule's runs follow one another."""
    for schedule in design.schedules:
        for part in design.parts:
            for seed in part.seeds:
                yield schedule, part.steps, seed


def stacks(design: Design, *, done: set[Run]) -> Iterator[list[Run]]:
    """What is to be trained: stacks of one length, with all schedules of a seed next to each other."""
    for part in design.parts:
        wanted = [(schedule, part.steps, seed) for seed in part.seeds for schedule in design.schedules]
        missing = [run for run in wanted if run not in done]
        for first in range(0, len(missing), design.workload.stack):
            yield missing[first : first + design.workload.stack]


def _trained(design: Design, stack: list[Run]) -> list[Row]:
    steps = stack[0][1]
    at_length = [
        (schedule if steps == design.horizon else schedule.compressed(steps, from_steps=design.horizon), seed)
        for schedule, _, seed in stack
    ]
    outcomes = train(design.workload, at_length, steps=steps)
    return [
        Row(schedule=schedule, steps=steps, seed=seed, curve=curve, loss=loss)
        for (schedule, _, seed), (curve, loss) in zip(stack, outcomes, strict=True)
    ]


def _finished(path: Path) -> dict[Run, Row]:
    """The rows of an unfinished table; a last line that was cut off is left out."""
    if not path.exists():
        return {}
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if whole != lines:
        path.write_text("".join(whole))  # else the next row would continue the cut one
    rows = [Row.model_validate_json(line) for line in whole]
    return {(row.schedule, row.steps, row.seed): row for row in rows}
