"""A table that was stopped resumes where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lab import making
from benchmarks.lab.designs import Design, Part
from benchmarks.lab.making import make_table, runs, stacks
from benchmarks.lab.table import read_table
from benchmarks.lab.training import train
from benchmarks.lab.workloads import WORKLOADS
from tuner.schedules import Constant, Linear, Schedule

DESIGN = Design(
    name="small",
    workload=replace(WORKLOADS["noisy-classification-a"], total_steps=20, stack=4),
    horizon=20,
    schedules=(Schedule(peak_lr=0.01, family=Linear()), Schedule(peak_lr=0.02, family=Constant())),
    parts=(Part(steps=10, seeds=range(1)), Part(steps=20, seeds=range(4))),
)


def test_stacks_have_one_length_each_and_all_runs_together():
    made = list(stacks(DESIGN, done=set()))
    assert [len(stack) for stack in made] == [2, 4, 4]
    assert all(len({steps for _, steps, _ in stack}) == 1 for stack in made)
    assert sorted((run[1], run[2]) for stack in made for run in stack) == sorted(
        (run[1], run[2]) for run in runs(DESIGN)
    )


def test_a_stopped_table_trains_only_what_it_lacks_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, path, unfinished = (tmp_path / name for name in ("whole.jsonl.gz", "small.jsonl.gz", "small.jsonl"))
    make_table(DESIGN, path=whole, unfinished=tmp_path / "whole.jsonl")
    trained: list[int] = []

    def stops_in_the_third_stack(*args: Any, **kwargs: Any) -> Any:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(len(args[1]))
        return train(*args, **kwargs)

    monkeypatch.setattr(making, "train", stops_in_the_third_stack)
    with pytest.raises(KeyboardInterrupt):
        make_table(DESIGN, path=path, unfinished=unfinished)
    assert not path.exists()
    unfinished.write_text(unfinished.read_text() + '{"schedule": {"pea')  # cut off by a kill

    monkeypatch.setattr(making, "train", lambda *args, **kwargs: trained.append(len(args[1])) or train(*args, **kwargs))
    make_table(DESIGN, path=path, unfinished=unfinished)
    assert trained == [2, 4, 4]
    assert path.read_bytes() == whole.read_bytes()
    assert not unfinished.exists()


def test_shorter_rows_are_the_schedule_compressed(tmp_path: Path):
    path = tmp_path / "small.jsonl.gz"
    make_table(DESIGN, path=path, unfinished=tmp_path / "small.jsonl")
    table = read_table(path)
    (configuration, _) = table.configurations
    ((_, loss),) = train(DESIGN.workload, [(configuration.schedule.compressed(10, from_steps=20), 0)], steps=10)
    assert table.run(configuration, steps=10, seed=0).loss == pytest.approx(loss, rel=1e-3)
