"""The recommendation, and the value of one more run, on posteriors that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tuner.search.decision.values import CERTAINTY, RunValues, certainty, recommended
from tuner.search.sampler.gp import Posterior

Array = NDArray[np.float64]


def posterior(mean: Array, cov: Array, *, new: int = 0, noise: float = 0.01) -> Posterior:
    """Of configurations with this mean and covariance, the first ``new`` of which are new; each run on its own seed."""
    shift = 3.0 * noise
    return Posterior(
        mean=mean,
        cov=cov[:, new:],
        var=np.diag(cov),
        run_cov=cov[:, new:],
        run_own=np.diag(cov),
        run_var=np.diag(cov) + noise + shift,
        noise=noise,
        shift=shift,
        weights=np.ones(1),
        model_means=mean[None, new:],
        model_covs=cov[None, new:, new:],
    )


@st.composite
def posteriors(draw: st.DrawFn, *, new: int = 0, least: int = 2) -> Posterior:
    count = draw(st.integers(least, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    root = rng.normal(size=(new + count, new + count)) * 10.0 ** draw(st.integers(-3, 1))
    mean = rng.normal(size=new + count)
    return posterior(mean, root @ root.T, new=new, noise=10.0 ** draw(st.integers(-4, 1)))


def flags(data: st.DataObject, count: int) -> NDArray[np.bool_]:
    found = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    return found if found.any() else np.ones(count, dtype=np.bool_)


def values(p: Posterior, *, certain: float = 1.0, incumbent: int = 0, runs_left: float = 5.0) -> RunValues:
    return RunValues(
        posterior=p,
        eligible=np.ones(p.cov.shape[1], dtype=np.bool_),
        certain=certain,
        runs_left=runs_left,
        incumbent=incumbent,
    )


class TestCertainty:
    def test_a_budget_of_one_run_asks_for_none_and_one_of_nine_for_all(self) -> None:
        assert certainty(1.0) == 0.0
        assert certainty(9.0) == certainty(1_000.0) == CERTAINTY

    @given(budget=st.floats(1.0, 100.0), more=st.floats(0.0, 10.0))
    def test_a_larger_budget_asks_for_no_less(self, budget: float, more: float) -> None:
        assert 0.0 <= certainty(budget) <= certainty(budget + more) <= CERTAINTY


class TestRecommended:
    @given(data=st.data(), p=posteriors(), certain=st.floats(0.0, 3.0))
    def test_an_eligible_incumbent_gives_way_only_to_what_is_better_with_certainty(
        self, data: st.DataObject, p: Posterior, certain: float
    ) -> None:
        count = len(p.mean)
        incumbent = data.draw(st.integers(0, count - 1))
        eligible = flags(data, count)
        eligible[incumbent] = True

        best = recommended(p, certain=certain, eligible=eligible, incumbent=incumbent)

        assert eligible[best]
        if best != incumbent:
            apart = p.var[best] + p.var[incumbent] - 2.0 * p.cov[best, incumbent]
            assert p.mean[incumbent] - p.mean[best] >= certain * math.sqrt(max(apart, 0.0)) * (1.0 - 1e-9)

    @given(data=st.data(), p=posteriors(), certain=st.floats(0.0, 3.0))
    def test_only_what_is_eligible_is_recommended(self, data: st.DataObject, p: Posterior, certain: float) -> None:
        eligible = flags(data, len(p.mean))
        assert eligible[recommended(p, certain=certain, eligible=eligible, incumbent=0)]

    @given(p=posteriors())
    def test_without_certainty_the_least_expectation_decides(self, p: Posterior) -> None:
        eligible = np.ones(len(p.mean), dtype=np.bool_)
        assert recommended(p, certain=0.0, eligible=eligible, incumbent=0) == int(np.argmin(p.mean))

    @given(p=posteriors(), certain=st.floats(0.0, 3.0), shift=st.floats(-5.0, 5.0))
    def test_a_level_that_all_share_changes_nothing(self, p: Posterior, certain: float, shift: float) -> None:
        eligible = np.ones(len(p.mean), dtype=np.bool_)
        common = posterior(p.mean + shift, p.cov + 4.0)
        found = [recommended(one, certain=certain, eligible=eligible, incumbent=0) for one in (p, common)]
        assert found[0] == found[1]

    @given(p=posteriors(least=3), certain=st.floats(0.0, 3.0))
    def test_where_the_incumbent_has_no_run_or_diverges_the_least_expectation_decides(
        self, p: Posterior, certain: float
    ) -> None:
        eligible = np.ones(len(p.mean), dtype=np.bool_)
        eligible[0] = False
        assert recommended(p, certain=certain, eligible=eligible, incumbent=0) == 1 + int(np.argmin(p.mean[1:]))


class TestRunValues:
    @given(data=st.data(), p=posteriors(new=3), certain=st.floats(0.0, 2.0), runs_left=st.floats(1.0, 20.0))
    def test_values_are_numbers_or_minus_infinity(
        self, data: st.DataObject, p: Posterior, certain: float, runs_left: float
    ) -> None:
        count = p.cov.shape[1]
        found = RunValues(
            posterior=p,
            eligible=flags(data, count),
            certain=certain,
            runs_left=runs_left,
            incumbent=data.draw(st.integers(0, count - 1)),
        ).log_values()

        assert found.shape == (3 + count,)
        assert not np.isnan(found).any()
        assert (found < math.inf).all()
        assert np.isfinite(found[:3]).all()

    @given(p=posteriors(new=2), certain=st.floats(0.0, 2.0))
    def test_the_leader_is_the_one_that_would_be_recommended(self, p: Posterior, certain: float) -> None:
        found = values(p, certain=certain)
        references = posterior(p.mean[2:], p.cov[2:])
        assert found.leader == recommended(references, certain=certain, eligible=found.eligible, incumbent=0)

    @given(p=posteriors(new=2), certain=st.floats(0.0, 2.0), runs_left=st.floats(1.0, 10.0))
    def test_more_budget_makes_no_run_worth_less(self, p: Posterior, certain: float, runs_left: float) -> None:
        now = values(p, certain=certain, runs_left=runs_left).log_values()
        assert (values(p, certain=certain, runs_left=2.0 * runs_left).log_values() >= now).all()

    @given(lead=st.floats(0.0, 2.0), std=st.floats(0.05, 2.0), noise=st.floats(1e-4, 1.0))
    def test_a_new_configuration_is_worth_its_expected_improvement(self, lead: float, std: float, noise: float) -> None:
        p = posterior(np.array([lead, 0.0]), np.diag([std**2, 0.0]), new=1, noise=noise)

        found = math.exp(values(p, certain=0.0).log_values()[0])

        shown = 0.5 * std**2 / math.sqrt(std**2 + 4.0 * noise)
        draws = np.linspace(-8.0, 8.0, 20_001)
        density = np.exp(-0.5 * draws**2) / math.sqrt(2.0 * math.pi)
        expected = np.trapezoid(np.maximum(0.0, shown * draws - lead) * density, draws)
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-9)

    def test_where_all_is_known_another_seed_is_worth_almost_nothing(self) -> None:
        p = posterior(np.array([0.5, 0.0, 0.3, 0.4]), np.diag([0.25, 1e-10, 1e-10, 1e-10]), new=1)
        new, *known = values(p).log_values()
        assert math.exp(new) > 1e-6
        assert all(math.exp(one) < 1e-12 for one in known)

    @pytest.mark.parametrize("which", [0, 1], ids=["incumbent", "leader"])
    def test_the_less_is_known_of_the_first_two_the_more_another_seed_of_them_is_worth(self, which: int) -> None:
        # After a run or two of each, what is not known of them is their noise over seeds.
        found = [
            values(posterior(np.array([0.0, -0.5, 1.0]), np.diag([noise] * 3), noise=noise), certain=0.5).log_values()
            for noise in (0.01, 0.05, 0.2)
        ]
        assert found[0][which] < found[1][which] < found[2][which]

    def test_what_all_runs_of_a_seed_share_is_worth_nothing(self) -> None:
        level = posterior(np.array([0.0, 0.3]), np.full((2, 2), 4.0))
        assert (values(level, certain=0.0).log_values() < -20.0).all()

    def test_a_rival_that_one_run_cannot_confirm_is_worth_its_share_of_several_pairs(self) -> None:
        p = posterior(np.array([0.0, -0.15]), np.diag([0.02, 0.02]), noise=0.1)
        once, often = (values(p, certain=2.0, runs_left=left).log_values() for left in (2.0, 8.0))
        assert often[1] > once[1]
