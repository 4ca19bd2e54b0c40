"""How a training may end: at its horizon, earlier by its own rule, or by a mistake that its reason names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training.test_opaque_runs import Loop
from tuner.errors import InvalidValue
from tuner.training.protocol import Directive, Outcome
from tuner.training.reports import Reports
from tuner.training.run import RunStopped
from tuner.training.stepwise import RunFinished


def stop(message) -> Directive:
    return Directive(stop=True, snapshot=True)


class TestEarlyEnd:
    def test_a_training_that_ends_early_by_its_own_rule_has_its_result(self, train):
        def body(run):
            run.report(10, value=1.0)
            run.report(20, value=1.2)
            run.finish(24, value=0.9, train_loss=0.5)

        ended = train(Loop(body))
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.SUCCEEDED, 24, 0.9), ended.reason
        assert [(one.point.step, one.final) for one in train.evaluated] == [(10, False), (20, False), (24, True)]
        assert train.updates_told + ended.updates == 24

    def test_the_result_may_be_that_of_the_best_checkpoint(self, train):
        def body(run):
            run.report(20, value=1.2)
            run.finish(20, value=0.9)

        ended = train(Loop(body))
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.SUCCEEDED, 20, 0.9)
        assert train.evaluated[-1].point.val_loss == 0.9

    def test_nothing_stops_a_run_that_has_its_result(self, train):
        ended = train(Loop(lambda run: run.finish(20, value=0.9)), directive=stop)
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.SUCCEEDED, 20, 0.9)

    @pytest.mark.parametrize("how", ["reports", "finishes again"])
    def test_after_its_end_every_report_says_that_the_run_is_over(self, train, how):
        raised = []

        def body(run):
            run.finish(20, value=0.9)
            try:
                run.report(30, value=0.1) if how == "reports" else run.finish(30, value=0.1)
            except BaseException as error:
                raised.append(type(error))

        ended = train(Loop(body))
        assert (ended.step, ended.loss, raised) == (20, 0.9, [RunStopped])

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_an_end_that_is_not_finite_is_divergence(self, train, value):
        ended = train(Loop(lambda run: run.finish(20, value=value)))
        assert (ended.outcome, ended.step) == (Outcome.DIVERGED, 20)

    @pytest.mark.parametrize(
        ("step", "allowed"), [(0, "[1, 40]"), (9, "[10, 40]"), (41, "[10, 40]"), (2.5, "[10, 40]")]
    )
    def test_an_end_that_cannot_be_is_refused(self, train, step, allowed):
        def body(run):
            if step:
                run.report(10, value=1.0)
            run.finish(step, value=1.0)

        ended = train(Loop(body))
        assert ended.outcome is Outcome.FAILED
        assert f"step must be updates done, a whole number in {allowed}, got {step}" in ended.reason

    @pytest.mark.parametrize("raised_in", ["train_step", "validate"])
    def test_a_stepwise_training_ends_early_by_raising_its_result(self, train, counting, raised_in):
        def finish(at: int):
            if at == 20:
                raise RunFinished(0.25)
            return 1.0

        hooks = {"train_step": {"on_step": finish}, "validate": {"on_validate": finish}}[raised_in]
        ended = train(counting(**hooks), directive=lambda message: Directive(stop=message.final))
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.SUCCEEDED, 20, 0.25), ended.reason
        assert (train.evaluated[-1].point.step, train.evaluated[-1].final) == (20, True)

    def test_without_a_value_it_is_validated_once_more(self, train, counting):
        def on_step(step: int):
            if step == 15:
                raise RunFinished
            return 1.0

        ended = train(counting(on_step=on_step, on_validate=lambda done: 0.75))
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.SUCCEEDED, 15, 0.75)

    def test_the_evaluation_of_a_declared_workload_may_end_it(self, train, line):
        declare, losses = line.declare, []

        def patient(options, **context):
            declaration = declare(options, **context)

            def evaluate(model):
                losses.append(declaration.evaluate(model))
                if len(losses) > 2:
                    raise RunFinished(min(losses))
                return losses[-1]

            return replace(declaration, evaluate=evaluate)

        line.declare = patient
        ended = train(line)
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.SUCCEEDED, 20, min(losses)), ended.reason

    def test_a_training_that_made_no_update_has_no_result(self, train, counting):
        def on_step(step: int):
            raise RunFinished(1.0)

        ended = train(counting(on_step=on_step))
        assert ended.outcome is Outcome.FAILED
        assert "before its first update" in ended.reason


class TestPastTheEnd:
    def test_one_report_past_the_end_ends_a_run_that_has_its_result(self, train, caplog):
        after = []

        def body(run):
            for step in (20, 40, 41):
                run.report(step, value=1.0 / step)
                after.append(step)

        ended = train(Loop(body))
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.SUCCEEDED, 40, 1 / 40), ended.reason
        assert after == [20, 40]
        assert "the schedule ends after update 40: a report after 41 is beyond it" in caplog.text

    def test_a_training_that_never_stops_is_stopped_by_its_first_report_past_the_end(self, train):
        def body(run):
            step = 0
            while True:
                step += 10
                run.report(step, value=1.0 / step)

        assert (train(Loop(body)).outcome, len(train.evaluated)) == (Outcome.SUCCEEDED, 4)

    def test_an_update_too_many_costs_nothing(self, train):
        """The loop of nanoGPT: it evaluates before the update, and makes one more than it counts."""

        def body(run):
            updates = 0
            while True:
                run.lr(updates)
                if updates % 10 == 0:
                    run.report(updates, value=1.0 + 1.0 / (1 + updates))
                updates += 1
                if updates > run.total_steps:
                    break

        assert train(Loop(body)).outcome is Outcome.SUCCEEDED

    def test_an_update_too_many_stands_in_the_log(self, train, caplog):
        def body(run):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
            scheduler = run.scheduler(optimizer)
            for update in range(run.total_steps + 1):
                if update == run.total_steps:
                    run.report(update, value=1.0)
                optimizer.step()
                scheduler.step()

        assert train(Loop(body)).outcome is Outcome.SUCCEEDED
        assert "the schedule has 40 updates, and 41 were made" in caplog.text

    def test_a_report_past_the_end_without_a_result_says_how_long_the_schedule_is(self, train):
        ended = train(Loop(lambda run: run.report(41, value=1.0)))
        assert ended.outcome is Outcome.FAILED
        assert "in [0, 40], got 41. The schedule has 40 updates (run.total_steps): train no further" in ended.reason

    @pytest.mark.parametrize("error", [RuntimeError("no disk"), SystemExit(1)])
    def test_what_fails_after_the_result_leaves_it_as_it_is(self, train, error, caplog):
        def body(run):
            run.report(40, value=0.5)
            raise error

        ended = train(Loop(body))
        assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, 0.5)
        assert "after the end of run" in caplog.text


class TestMistakes:
    @pytest.mark.parametrize("first", [0, 1])
    def test_epochs_as_steps_are_refused_at_once_where_the_scheduler_counts_updates(self, train, first):
        reports = []

        def body(run):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
            scheduler = run.scheduler(optimizer)
            for epoch in range(4):
                for _ in range(10):
                    optimizer.step()
                    scheduler.step()
                reports.append(epoch)
                run.report(epoch + first, value=1.0)

        ended = train(Loop(body))
        assert (ended.outcome, reports) == (Outcome.FAILED, [0])
        assert f"step must be the updates done: the scheduler of the run has made 10 steps, got {first}" in ended.reason

    @pytest.mark.parametrize("reads_rates", [True, False])
    def test_epochs_as_steps_are_named_at_the_end_where_nothing_counts_updates(self, train, reads_rates):
        def body(run):
            for epoch in range(1, 5):
                for step in range(10 * (epoch - 1), 10 * epoch):
                    if reads_rates:
                        run.lr(step)
                run.report(epoch, value=1.0)

        ended = train(Loop(body))
        assert ended.outcome is Outcome.FAILED
        used = ", as the rates of 40 updates were used" if reads_rates else ""
        assert "after 4 of 40 updates; run.report(40, value=...) is due" in ended.reason
        assert f"The steps of its 4 reports seem to count epochs{used}: report the updates done" in ended.reason

    @pytest.mark.parametrize("at", [5, 1])
    def test_epochs_that_are_evaluated_now_and_then_are_named_too(self, train, at):
        def body(run):
            for step in range(run.total_steps):
                run.lr(step)
            run.report(at, value=1.0)

        ended = train(Loop(body))
        assert "The step of its report seems to count epochs, as the rates of 40 updates were used" in ended.reason

    def test_an_evaluation_before_the_training_alone_counts_no_epochs(self, train):
        """The loop of nanoGPT with a longer interval between evaluations than the run has updates."""

        def body(run):
            run.report(0, value=1.0)
            for step in range(run.total_steps + 1):
                run.lr(step)

        ended = train(Loop(body))
        assert "the last report was after 0 of 40 updates; run.report(40, value=...) is due" in ended.reason
        assert "epochs" not in ended.reason

    def test_an_early_end_in_silence_is_told_how_to_end_with_its_result(self, train):
        def body(run):
            for step in range(1, 25):
                run.lr(step - 1)
                run.report(step, value=1.0)

        ended = train(Loop(body))
        assert ended.outcome is Outcome.FAILED
        assert "the last report was after 24 of 40 updates" in ended.reason
        assert "a training that ends early by its own rule says so: run.finish(24, value=...)" in ended.reason
        assert "epochs" not in ended.reason

    def test_reports_of_two_processes_that_contradict_each_other_are_named(self, train):
        def body(run):
            run.report(30, value=1.0)
            run.report(10, value=1.1)

        ended = train(Loop(body))
        assert ended.outcome is Outcome.FAILED
        assert "in [30, 40], got 10. Reports ascend. Of several processes only one may report" in ended.reason

    def test_updates_that_a_scaler_skipped_are_no_mistake(self, train):
        """The loop counts what it tried; the scheduler has made fewer steps."""

        def body(run):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
            scheduler = run.scheduler(optimizer)
            for step in range(run.total_steps):
                if step % 13:
                    optimizer.step()
                    scheduler.step()
                if step + 1 in run.evaluate_at:
                    run.report(step + 1, value=1.0)

        assert train(Loop(body)).outcome is Outcome.SUCCEEDED

    @pytest.mark.parametrize(("value", "outcome"), [(10**400, Outcome.DIVERGED), (-(10**400), Outcome.DIVERGED)])
    def test_a_number_that_is_too_large_is_divergence(self, train, value, outcome):
        assert train(Loop(lambda run: run.report(10, value=value))).outcome is outcome

    def test_a_whole_number_as_a_float_is_a_step(self, train):
        assert train(Loop(lambda run: run.report(40.0, value=1.0))).outcome is Outcome.SUCCEEDED


STEPS: Any = st.one_of(st.integers(-2, 45), st.floats(), st.booleans(), st.none(), st.integers())
VALUES: Any = st.one_of(st.floats(), st.integers(), st.booleans())


@given(st.lists(st.tuples(st.booleans(), STEPS, VALUES), max_size=12))
def test_what_is_accepted_ascends_within_the_run_and_all_else_is_refused_by_name(sequence):
    reports, steps, refusals = Reports(total_steps=40), [], []
    for finishes, step, value in sequence:
        if reports.is_past_end(step):
            assert steps[-1] == 40
            continue
        try:
            made = (
                reports.finish(step, value=value, train_loss=None)
                if finishes
                else reports.check(step, value=value, train_loss=None, scheduled=None)
            )
        except InvalidValue as refused:
            refusals.append(refused)
            continue
        if made is not None:
            steps.append(made.step)
    assert all(refused.field in ("step", "value") and refused.hint for refused in refusals)
    assert steps == sorted(steps)
    assert set(steps) <= set(range(41))
