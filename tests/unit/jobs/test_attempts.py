"""When a run is given up: code that fails soon, lost machines only while no snapshot moves on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.jobs.attempts import MAX_FAILED_ATTEMPTS, AttemptEnd, attempts_in_words, reason_to_give_up

COUNTS = st.integers(0, 1000)


@given(failed=COUNTS, lost=COUNTS, limit=st.integers(1, 1000))
def test_each_count_is_compared_with_its_own_limit_alone(failed: int, lost: int, limit: int) -> None:
    def given_up(end: AttemptEnd) -> bool:
        return reason_to_give_up(end, failed=failed, lost_in_a_row=lost, lost_limit=limit) is not None

    assert given_up(AttemptEnd.FAILED) == (failed >= MAX_FAILED_ATTEMPTS)
    assert given_up(AttemptEnd.LOST) == (lost >= limit)
    assert not given_up(AttemptEnd.RETURNED)


def test_the_reason_names_the_cause_and_what_to_do() -> None:
    failed = reason_to_give_up(AttemptEnd.FAILED, failed=3, lost_in_a_row=9, lost_limit=20)
    assert failed == "given up after 3 failed attempts"
    lost = reason_to_give_up(AttemptEnd.LOST, failed=0, lost_in_a_row=20, lost_limit=20)
    assert lost is not None
    for part in ("20 attempts in a row that lost their worker", "TUNER_LOST_ATTEMPTS", "then retry the job"):
        assert part in lost


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((4, 1, 2), "4: 1 failed, 2 lost"),
        ((4, 0, 2), "4: 2 lost"),
        ((1, 0, 0), "1"),
        ((None, 1, 0), "1 failed"),
    ],
)
def test_attempts_are_shown_with_what_went_wrong_alone(counts: tuple[int | None, int, int], words: str) -> None:
    leases, failed, lost = counts
    assert attempts_in_words(leases, failed=failed, lost=lost) == words
