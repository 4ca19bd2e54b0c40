from __future__ import annotations

import collections
import logging
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tuner.errors import WorkloadError
from tuner.training.protocol import Directive, Outcome
from tuner.training.snapshots import RETAINED, SnapshotUnusable, read_snapshot, snapshots_in, write_snapshot


def points(train):
    return {message.point.step: message.point for message in train.evaluated}


def stop_with_snapshot(at):
    return lambda message: Directive(stop=message.point.step == at, snapshot=message.point.step == at)


@pytest.fixture
def snapshots_every_five_updates(monkeypatch):
    """A disk that takes no other snapshots."""

    def write(folder, *, step, **content):
        if step % 5:
            raise OSError(28, "No space left on device")
        return write_snapshot(folder, step=step, **content)

    monkeypatch.setattr("tuner.training.runner.execute.write_snapshot", write)


class TestResume:
    def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(self, train, line):
        whole = train(line)
        expected = points(train)
        train(line, directive=stop_with_snapshot(20))
        resumed = train(line, resume=train.newest)
        assert resumed.loss == whole.loss
        assert points(train) == {step: point for step, point in expected.items() if step > 20}

    def test_no_update_is_repeated_or_skipped(self, train, counting):
        workload = counting()
        train(workload, directive=stop_with_snapshot(20))
        ended = train(workload, resume=train.newest)
        assert [step for step, _ in workload.training.steps] == list(range(20, 40))
        assert train.updates_told + ended.updates == 20

    def test_a_run_cut_off_again_and_again_reports_the_updates_up_to_its_snapshots_and_no_others(
        self, train, counting, snapshots_every_five_updates
    ):
        cuts = set(range(7, 100, 7))

        def on_step(step):
            if step in cuts:
                cuts.remove(step)
                raise KeyboardInterrupt
            return 1.0

        told, resume = 0, None
        while cuts:
            with pytest.raises(KeyboardInterrupt):
                train(counting(on_step), resume=resume, total_steps=100, snapshot_seconds=1e-9)
            told, resume = told + train.updates_told, train.newest
            assert told == resume.step > 0
        ended = train(counting(on_step), resume=resume, total_steps=100, snapshot_seconds=1e-9)
        assert (ended.outcome, told + train.updates_told + ended.updates) == (Outcome.SUCCEEDED, 100)

    def test_a_snapshot_that_was_not_written_leaves_its_updates_to_the_next_message(
        self, train, counting, snapshots_every_five_updates
    ):
        ended = train(counting(), snapshot_seconds=1e-9)
        assert [(saved.snapshot.step, saved.updates) for saved in train.saved] == [
            (5, 5),
            (10, 0),
            (15, 5),
            (20, 0),
            (25, 5),
            (30, 0),
            (35, 5),
        ]
        assert [message.updates for message in train.evaluated] == [0, 5, 5, 5, 5]
        assert ended.updates == 0

    def test_updates_that_lead_to_a_snapshot_nobody_was_told_of_are_reported_by_who_takes_it_up(
        self, train, counting, caplog
    ):
        train(counting(), snapshot_seconds=1e-9)
        told = train.saved[4].snapshot  # at update 5; those at 38 and 39 are left on the disk
        with caplog.at_level(logging.WARNING):
            ended = train(counting(), resume=told)
        assert "snapshot refused" in caplog.text
        assert train.evaluated[0].point.step == 40  # it went on from update 39
        assert train.updates_told + ended.updates == 40 - told.step

    def test_snapshots_between_evaluations_keep_the_running_training_loss(self, train, counting):
        workload = counting(on_step=lambda step: float(step))
        train(workload, snapshot_seconds=1e-9)  # due after every update
        at_39 = [saved.snapshot for saved in train.saved if saved.snapshot.step == 39]
        train(workload, resume=at_39[0])
        assert [message.point.train_loss for message in train.evaluated] == [34.5]

    def test_the_divergence_guard_remembers_the_start(self, train, counting):
        workload = counting(on_validate=lambda done: 2.0 if done < 30 else 7.0)
        train(workload, directive=stop_with_snapshot(20))
        ended = train(workload, resume=train.newest)
        assert (ended.outcome, ended.step) == (Outcome.DIVERGED, 30)

    def test_every_generator_goes_on_where_it_was(self, train, counting):
        drawn = {}

        def on_step(step):
            numbers = torch.rand(3).tolist(), np.random.rand(), np.random.randn(), random.random(), random.gauss(0, 1)
            assert drawn.setdefault(step, numbers) == numbers
            return 1.0

        train(counting(on_step))
        train(counting(on_step), directive=stop_with_snapshot(10))
        assert train(counting(on_step), resume=train.newest).outcome is Outcome.SUCCEEDED


class TestRefusal:
    def test_a_torn_snapshot_falls_back_to_the_one_before(self, train, counting, caplog):
        workload = counting()
        train(workload, directive=lambda m: Directive(snapshot=m.point.step in (10, 20), stop=m.point.step == 20))
        newest = Path(train.newest.path)
        newest.write_bytes(newest.read_bytes()[:-100])
        with caplog.at_level(logging.WARNING):
            train(workload, resume=train.newest)
        assert workload.training.steps[0][0] == 10
        assert "cannot be read" in caplog.text

    @pytest.mark.parametrize("change", [{"seed": 8}, {"total_steps": 50}, {"options": {"slope": 3.0}}])
    def test_a_snapshot_of_another_run_is_refused_and_the_run_starts_from_the_beginning(
        self, train, line, change, caplog
    ):
        train(line, directive=stop_with_snapshot(20))
        foreign = train.newest
        with caplog.at_level(logging.WARNING):
            ended = train(line, resume=foreign, **change)
        assert ended.outcome is Outcome.SUCCEEDED
        assert train.evaluated[0].point.step == 0
        assert "belongs to another run" in caplog.text
        assert "starts from update 0" in caplog.text

    def test_a_snapshot_that_is_gone_means_the_beginning(self, train, counting):
        train(counting(), directive=stop_with_snapshot(20))
        Path(train.newest.path).unlink()
        train(counting(), resume=train.newest)
        assert train.evaluated[0].point.step == 0

    @pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04"])
    def test_garbage_is_refused(self, tmp_path, content):
        path = tmp_path / "step-000000000001.pt"
        path.write_bytes(content)
        with pytest.raises(SnapshotUnusable, match="cannot be read"):
            read_snapshot(path, run="run")

    def test_a_file_that_would_run_code_is_refused_unrun(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        path = tmp_path / "step-000000000001.pt"
        torch.save(Evil(), path)
        with pytest.raises(SnapshotUnusable):
            read_snapshot(path, run="run")
        assert not (tmp_path / "ran").exists()

    def test_another_format_is_refused(self, tmp_path):
        path = tmp_path / "step-000000000001.pt"
        torch.save({"weights": torch.ones(2)}, path)
        with pytest.raises(SnapshotUnusable, match="not a snapshot of format"):
            read_snapshot(path, run="run")


class TestWriting:
    def test_only_the_newest_stay(self, tmp_path):
        for step in (5, 20, 100, 3000):
            write_snapshot(tmp_path, step=step, run="run", content={})
        assert [path.name for path in snapshots_in(tmp_path)] == ["step-000000003000.pt", "step-000000000100.pt"]
        assert len(list(tmp_path.iterdir())) == RETAINED

    @pytest.mark.parametrize("value", [np.float64(1.0), {1, 2}, collections.deque(), object(), torch.nn.Linear(1, 1)])
    def test_a_state_that_could_not_be_read_again_is_refused_with_its_place(self, tmp_path, value):
        with pytest.raises(WorkloadError, match=r"\['cache'\]\[0\] is a"):
            write_snapshot(tmp_path, step=1, run="run", content={"cache": [value]})
        assert list(tmp_path.iterdir()) == []

    def test_what_is_written_is_what_is_read(self, tmp_path):
        content: dict[str, Any] = {
            "a": torch.arange(3),
            "b": [1, 2.5, None, True, "text", (torch.Size([2]), torch.float32)],
        }
        written = write_snapshot(tmp_path, step=4, run="run", content=content)
        step, read = read_snapshot(Path(written.path), run="run")
        assert step == written.step == 4
        assert torch.equal(read.pop("a"), content.pop("a"))
        assert read == content

    def test_a_disk_that_takes_no_snapshot_does_not_end_the_run(self, train, counting, tmp_path, caplog):
        (tmp_path / "file").write_text("not a folder")
        with caplog.at_level(logging.WARNING):
            ended = train(counting(), snapshot_seconds=1e-9, snapshot_dir=str(tmp_path / "file"))
        assert ended.outcome is Outcome.SUCCEEDED
        assert train.saved == []
        assert "goes on without a snapshot" in caplog.text

    def test_a_full_disk_leaves_what_was_there(self, tmp_path, monkeypatch):
        write_snapshot(tmp_path, step=1, run="run", content={})
        monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            write_snapshot(tmp_path, step=2, run="run", content={})
        assert [path.name for path in tmp_path.iterdir()] == ["step-000000000001.pt"]
