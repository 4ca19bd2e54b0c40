from __future__ import annotations

from dataclasses import replace

import pytest

from tuner.errors import InvalidValue
from tuner.report.build import build_report


def audit(studies, audits):
    return build_report(replace(studies.typical(), audits=audits)).audit


def test_nothing_audited_is_told_as_such(studies):
    found = audit(studies, {})
    assert (found.trials, found.false_prunes, found.mean_regret, found.largest_regret) == ((), 0, None, None)
    assert "Nothing was audited" in found.sentence


def test_regret_is_measured_from_the_best_search_value_at_the_horizon(studies):
    # The best search value of the typical study is trial 3's, 0.279.
    found = audit(studies, {5: 0.269, 6: 0.300, 8: None})
    assert found.best_search_value == 0.279
    assert [trial.regret for trial in found.trials] == pytest.approx([0.010, 0.0, 0.0])
    assert found.false_prunes == 1
    assert found.mean_regret == pytest.approx(0.010 / 3)
    assert found.largest_regret == pytest.approx(0.010)
    assert found.sentence == (
        "3 trials that had been pruned were trained to the end all the same; 1 beat the best result of the search "
        "at the horizon, 0.2790, wrongly pruned: regret 0.0033 in the mean, 0.01 at most."
    )


def test_an_equal_loss_is_no_false_prune(studies):
    found = audit(studies, {6: 0.279})
    assert found.false_prunes == 0
    assert found.sentence.startswith("1 trial that had been pruned was trained to the end all the same; none beat")


def test_audits_of_trials_that_do_not_exist_and_losses_that_are_not_finite_are_refused(studies):
    with pytest.raises(InvalidValue, match=r"audits must be of trials that exist, got \[99\]"):
        audit(studies, {99: 0.3})
    with pytest.raises(InvalidValue, match="audits must be finite"):
        audit(studies, {5: float("inf")})


def test_updates_saved_are_told_where_there_are_any(studies):
    saved = build_report(replace(studies.typical(), updates_saved=1_234))
    assert saved.cost.updates_saved == 1_234
    assert "saved 1,234" in saved.summary[-1]
    assert "saved" not in build_report(replace(studies.typical(), updates_saved=0)).summary[-1]
    with pytest.raises(InvalidValue, match="updates_saved must be at least 0"):
        replace(studies.typical(), updates_saved=-1)
