from __future__ import annotations

from typing import Any

import pytest

from tests.integration.store.builders import spec
from tuner.exports import TargetRun
from tuner.jobs.export_context import export_context


def test_the_run_is_the_jobs_own_until_another_length_is_asked_for():
    job = spec(options={"batch_size": 64, "optimizer": "sgd"})
    horizon = job.search.total_steps
    own = TargetRun(total_steps=horizon, batch_size=64, optimizer="sgd")
    assert export_context(job, options={}) == export_context(job, options={}, total_steps=horizon) == own
    assert export_context(job, options={}, total_steps=7 * horizon) == TargetRun(
        total_steps=7 * horizon, batch_size=64, optimizer="sgd", fitted_from=horizon
    )


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": True}, {"batch_size": "large"}, {"batch_size": 0}, {"optimizer": "x\nimport os"}]
)
def test_options_with_another_meaning_are_ignored(options: dict[str, Any]):
    run = export_context(spec(options=options), options={})
    assert (run.batch_size, run.optimizer) == (None, "")
