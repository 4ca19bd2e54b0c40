"""optax: every update has the rate of the schedule, also within a compiled loop and under accumulation."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.training.protocol import Outcome

pytest.importorskip("optax", reason="NOT TESTED HERE: optax is not installed; `make examples` installs it")
import jax
import optax

from tuner.integrations.optax import learning_rate

pytestmark = pytest.mark.filterwarnings("ignore")


def weights_of(optimizer, *, batches):
    """float32 ``[batches]``: a weight with the gradient 1, after each batch of a loop that is compiled whole."""

    def step(carry, _):
        weight, state = carry
        updates, state = optimizer.update(jax.numpy.ones(()), state, weight)
        weight = optax.apply_updates(weight, updates)
        return (weight, state), weight

    start = jax.numpy.zeros(())
    _, weights = jax.lax.scan(step, (start, optimizer.init(start)), length=batches)
    return np.asarray(weights)


@pytest.mark.parametrize("accumulated", [1, 3])
def test_every_update_has_the_rate_of_the_schedule(executed, accumulated):
    seen = []

    def train(run):
        optimizer = optax.MultiSteps(optax.sgd(learning_rate(run)), every_k_schedule=accumulated)
        weights = weights_of(optimizer, batches=accumulated * run.total_steps)[accumulated - 1 :: accumulated]
        seen.append(-np.diff(weights, prepend=0.0))
        run.report(run.total_steps, value=weights[-1])

    ended = executed(train)
    assert ended.outcome is Outcome.SUCCEEDED, ended.traceback
    np.testing.assert_allclose(seen[0], executed.lrs, atol=1e-7)


def test_past_the_end_the_rate_stays_where_the_schedule_ends(executed):
    rates = []

    def train(run):
        rates.extend([float(learning_rate(run)(count)) for count in (19, 20, 500)])
        run.report(run.total_steps, value=1.0)

    assert executed(train).outcome is Outcome.SUCCEEDED
    assert rates == [pytest.approx(executed.lrs[19]), 0.0, 0.0]
