"""Samplers in plain Optuna studies on a table."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.search import plain
from benchmarks.search.cases import Case


def grown(case: Case, method: str) -> list[tuple[int, list[float]]]:
    losses = {one: np.inf if (loss := case.run(one)[1]) is None else loss for one in case.candidates}
    return [
        (trials, [trial.value for trial in study.trials if trial.value is not None])
        for trials, study in plain._grown(case, sampler=plain.SAMPLERS[method], losses=losses)
    ]


@pytest.mark.parametrize("method", plain.SAMPLERS)
def test_every_trial_trains_another_schedule_of_the_table_and_repeats_itself(case: Case, method: str) -> None:
    found = grown(case, method)
    assert found == grown(case, method)
    recorded = [loss for one in case.candidates if (loss := case.run(one)[1]) is not None]
    for trials, values in found:
        assert len(values) == min(trials, len(case.candidates))
        assert set(values) - {np.inf} <= set(recorded)


def test_the_table_has_a_row_for_each_method_and_the_studies_won() -> None:
    rows = [
        {
            "table": "tiny-lm",
            "method": method,
            "study": study,
            "trials": trials,
            **dict.fromkeys(plain.MEASURES, regret),
        }
        for method, regret in (*((name, 0.002) for name in plain.SAMPLERS if name != plain.OURS), (plain.OURS, 0.001))
        for study in range(3)
        for trials in plain.TRIALS
    ]
    text = "\n".join(plain.plain_tables(rows))
    assert "| ScheduleSampler              | 1 / 1 / 1 / 1 (+- 0) " in text
    assert "+3 / +3 / +3 / +3 of 3" in text
