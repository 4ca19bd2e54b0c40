from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from tuner.metric import DEFAULT_METRIC, Metric
from tuner.training.evaluation import divergence_limit
from tuner.training.evaluation_steps import EVALUATIONS, evaluation_steps
from tuner.training.protocol import Directive, Outcome


class TestEvaluationSteps:
    @pytest.mark.parametrize("total", [1, 2, 9, 10, 19, 20, 21, 199, 200, 201, 1999, 100_000])
    def test_the_end_is_evaluated_and_no_step_twice(self, total):
        steps = evaluation_steps(total)
        assert steps[-1] == total
        assert list(steps) == sorted(set(steps))
        assert steps[0] >= 1
        assert len(steps) <= EVALUATIONS

    def test_they_stand_at_fixed_fractions_of_the_run(self):
        assert [step / 2000 for step in evaluation_steps(2000)] == [step / 200 for step in evaluation_steps(200)]

    def test_short_runs_are_evaluated_every_ten_updates(self):
        assert evaluation_steps(40) == (10, 20, 30, 40)


class TestLearningRates:
    def test_every_update_gets_the_learning_rate_of_the_schedule(self, train, counting, schedule):
        workload = counting()
        train(workload)
        assert workload.training.steps == list(enumerate(schedule.lrs(40).tolist()))

    def test_parameter_groups_keep_the_ratios_they_were_built_with(self, train, line, schedule, monkeypatch):
        seen = []
        declare = line.declare

        def declare_two_groups(options, *, seed, device):
            parts = declare(options, seed=seed, device=device)
            first, *rest = parts.model.parameters()
            optimizer = torch.optim.SGD([{"params": [first], "lr": 0.3}, {"params": rest, "lr": 0.03}])
            parts.__dict__["optimizer"] = optimizer
            optimizer.register_step_pre_hook(lambda *_: seen.append([group["lr"] for group in optimizer.param_groups]))
            return parts

        monkeypatch.setattr(line, "declare", declare_two_groups)
        train(line)
        assert seen == [[lr, pytest.approx(lr / 10)] for lr in schedule.lrs(40).tolist()]

    def test_an_evaluation_has_the_rate_of_the_last_update_done(self, train, counting, schedule):
        train(counting())
        lrs = schedule.lrs(40)
        assert [m.point.lr for m in train.evaluated] == [lrs[0], lrs[9], lrs[19], lrs[29], lrs[39]]


class TestEvaluations:
    def test_the_untrained_model_is_evaluated_first(self, train, counting):
        train(counting())
        first = train.evaluated[0]
        assert (first.point.step, first.point.train_loss, first.updates) == (0, None, 0)

    def test_the_training_loss_is_the_mean_since_the_evaluation_before(self, train, counting):
        train(counting(on_step=lambda step: float(step)))
        assert [m.point.train_loss for m in train.evaluated[1:]] == [4.5, 14.5, 24.5, 34.5]

    def test_updates_add_up_to_the_run(self, train, counting):
        ended = train(counting())
        assert sum(m.updates for m in train.evaluated) + ended.updates == ended.step == 40

    def test_a_validation_that_draws_random_numbers_leaves_training_as_it_was(self, train, counting):
        def losses_of(on_validate):
            drawn = []

            def on_step(step):
                drawn.append((torch.rand(()).item(), np.random.rand(), random.random()))
                return 1.0

            train(counting(on_step, on_validate))
            return drawn

        def noisy(done):
            torch.manual_seed(done)
            np.random.seed(done)
            random.seed(done)
            return 1.0

        assert losses_of(noisy) == losses_of(lambda done: 1.0)

    def test_every_module_keeps_its_mode_when_one_is_frozen(self, train, line, monkeypatch):
        modes = []
        declare = line.declare

        def declare_with_frozen_norm(options, *, seed, device):
            parts = declare(options, seed=seed, device=device)
            train_mode = parts.model.train
            parts.model.train = lambda mode=True: (train_mode(mode), parts.model[1].train(False))[0]
            parts.optimizer.register_step_pre_hook(lambda *_: modes.append([m.training for m in parts.model]))
            return parts

        monkeypatch.setattr(line, "declare", declare_with_frozen_norm)
        assert train(line).outcome is Outcome.SUCCEEDED
        assert modes == [[True, False, True, True]] * 40


class TestDivergence:
    @pytest.mark.parametrize("update", [0, 1, 17, 39])
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_a_training_loss_that_is_not_finite_ends_the_run_at_its_update(self, train, counting, update, bad):
        ended = train(counting(on_step=lambda step: torch.tensor(bad if step == update else 1.0)))
        assert (ended.outcome, ended.step, ended.loss) == (Outcome.DIVERGED, update, None)
        assert f"update {update}" in ended.reason

    def test_a_declared_model_does_not_take_the_update_of_such_a_loss(self, train, line, monkeypatch):
        declared = []
        declare = line.declare

        def declare_nan_at_5(options, *, seed, device):
            parts = declare(options, seed=seed, device=device)
            loss, batch = parts.loss, parts.batch
            parts.__dict__["batch"] = lambda step: (batch(step), step)
            parts.__dict__["loss"] = lambda model, b: loss(model, b[0]) * (math.nan if b[1] == 5 else 1.0)
            parts.__dict__["evaluate"] = lambda model: 1.0
            declared.append(parts)
            return parts

        monkeypatch.setattr(line, "declare", declare_nan_at_5)
        ended = train(line)
        assert (ended.outcome, ended.step) == (Outcome.DIVERGED, 5)
        assert all(parameter.isfinite().all() for parameter in declared[0].model.parameters())

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_a_validation_loss_that_is_not_finite_ends_the_run(self, train, counting, bad):
        ended = train(counting(on_validate=lambda done: bad if done >= 20 else 1.0))
        assert (ended.outcome, ended.step) == (Outcome.DIVERGED, 20)

    def test_a_validation_loss_far_above_the_start_ends_the_run(self, train, counting):
        ended = train(counting(on_validate=lambda done: 2.0 if done == 0 else 6.0 + (done == 30)))
        assert (ended.outcome, ended.step) == (Outcome.DIVERGED, 30)
        assert "7" in ended.reason
        assert "the first evaluation gave 2" in ended.reason

    @pytest.mark.parametrize(("start", "limit"), [(2.0, 6.0), (1.0, 3.0), (0.01, 2.01), (0.0, 2.0)])
    def test_the_limit_is_three_times_the_start_and_never_less_than_two_above_it(self, start, limit):
        assert divergence_limit(start, metric=DEFAULT_METRIC) == pytest.approx(limit)

    @pytest.mark.parametrize(
        ("start", "metric"), [(-5.0, DEFAULT_METRIC), (-90.0, Metric(name="accuracy", direction="maximize"))]
    )
    def test_there_is_no_limit_for_metrics_that_are_maximized_or_start_below_zero(self, start, metric):
        assert divergence_limit(start, metric=metric) == math.inf

    def test_an_untrained_model_without_a_finite_loss_is_a_failure_of_the_workload(self, train, counting):
        ended = train(counting(on_validate=lambda done: math.nan))
        assert ended.outcome is Outcome.FAILED
        assert "before the first update is nan" in ended.reason


class TestVerdicts:
    def test_a_stop_ends_the_run_where_it_stands(self, train, counting):
        workload = counting()
        ended = train(workload, directive=lambda message: Directive(stop=message.point.step == 20))
        assert (ended.outcome, ended.step, ended.loss, ended.updates) == (Outcome.STOPPED, 20, None, 0)
        assert workload.training.done == 20
        assert train.saved == []

    def test_a_stop_before_the_first_update_is_obeyed(self, train, counting):
        workload = counting()
        assert train(workload, directive=lambda message: Directive(stop=True)).step == 0
        assert workload.training.done == 0

    def test_a_stop_may_ask_for_a_snapshot(self, train, counting):
        train(counting(), directive=lambda m: Directive(stop=m.point.step == 20, snapshot=m.point.step == 20))
        assert [saved.snapshot.step for saved in train.saved] == [20]

    def test_a_stop_at_the_end_comes_too_late(self, train, counting):
        ended = train(counting(), directive=lambda m: Directive(stop=m.point.step == 40, snapshot=True))
        assert (ended.outcome, ended.loss) == (Outcome.SUCCEEDED, 1.0)
        assert 40 not in [saved.snapshot.step for saved in train.saved]
