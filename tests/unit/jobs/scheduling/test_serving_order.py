"""The fair order of jobs, as stated in words, for any jobs and any loads."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.jobs.scheduling.serving_order import Account, Loads, WaitingJob, queue_order, serving_order

TEAMS = ("speech", "text", "vision")
ACCOUNTS = [Account(team=team, owner=owner) for team in TEAMS for owner in ("ada", "ben")]
EXPECTED = st.floats(0.1, 1e4)
SECONDS = st.floats(0.0, 1e6, allow_nan=False)
LOADS = st.builds(
    lambda seconds, weights: Loads(seconds, weights=weights),
    st.dictionaries(st.sampled_from(ACCOUNTS), SECONDS),
    st.dictionaries(st.sampled_from(TEAMS), st.floats(0.01, 100.0)),
)


@st.composite
def waiting_jobs(draw: st.DrawFn, *, expected: st.SearchStrategy[float] = EXPECTED) -> list[WaitingJob]:
    made = draw(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(ACCOUNTS), expected), min_size=1, max_size=30))
    jobs = [
        WaitingJob(seq=seq, rank=rank, account=account, expected_seconds=seconds)
        for seq, (rank, account, seconds) in enumerate(made)
    ]
    return draw(st.permutations(jobs))


@given(waiting_jobs(), LOADS)
def test_the_first_job_is_by_class_then_team_then_user_then_age(jobs: list[WaitingJob], loads: Loads) -> None:
    first = serving_order(jobs, loads=loads)[0]
    assert first.rank == max(job.rank for job in jobs)
    rivals = [job for job in jobs if job.rank == first.rank]
    least = loads.per_weight(first.account.team)
    assert least == min(loads.per_weight(job.account.team) for job in rivals)
    of_team = [job for job in rivals if loads.per_weight(job.account.team) == least]
    assert loads.of_account(first.account) == min(loads.of_account(job.account) for job in of_team)
    of_user = [job for job in of_team if loads.of_account(job.account) == loads.of_account(first.account)]
    assert first.seq == min(job.seq for job in of_user)


@given(waiting_jobs(), LOADS)
def test_the_queue_has_every_job_once_and_starts_with_the_next_job(jobs: list[WaitingJob], loads: Loads) -> None:
    order = queue_order(jobs, loads=loads)
    assert sorted(job.seq for job in order) == sorted(job.seq for job in jobs)
    assert order[0] == serving_order(jobs, loads=loads)[0]
    assert [job.rank for job in order] == sorted((job.rank for job in jobs), reverse=True)


@given(waiting_jobs(), LOADS)
def test_an_accounts_jobs_of_a_class_are_in_order_of_age(jobs: list[WaitingJob], loads: Loads) -> None:
    lines: defaultdict[tuple[Account, int], list[int]] = defaultdict(list)
    for job in queue_order(jobs, loads=loads):
        lines[job.account, job.rank].append(job.seq)
    assert all(line == sorted(line) for line in lines.values())


WHOLE = st.builds(  # sums of whole numbers and quotients by powers of two are exact, in whatever order
    lambda seconds, weights: Loads(seconds, weights=weights),
    st.dictionaries(st.sampled_from(ACCOUNTS), st.integers(0, 20).map(float)),
    st.dictionaries(st.sampled_from(TEAMS), st.sampled_from([0.5, 1.0, 2.0, 4.0])),
)


@given(waiting_jobs(expected=st.integers(1, 9).map(float)), WHOLE)
def test_the_queue_is_the_order_of_repeated_next_jobs(jobs: list[WaitingJob], loads: Loads) -> None:
    left, asked, then = list(jobs), [], loads
    while left:
        job = serving_order(left, loads=then)[0]
        left.remove(job)
        asked.append(job)
        then = then.plus({job.account: job.expected_seconds})
    assert queue_order(jobs, loads=loads) == asked


@pytest.mark.parametrize(
    "weights", [{"speech": 1.0, "text": 1.0}, {"speech": 1.0, "text": 3.0}, {"speech": 2.0, "text": 5.0}]
)
def test_teams_are_served_in_proportion_to_their_weights(weights: dict[str, float]) -> None:
    jobs = [
        WaitingJob(seq=seq, rank=1, account=Account(team=team, owner="ada"))
        for seq, team in enumerate(["speech"] * 700 + ["text"] * 700)
    ]
    first = queue_order(jobs, loads=Loads({}, weights=weights))[:700]
    shares = Counter(job.account.team for job in first)
    expected = weights["text"] / sum(weights.values())
    assert abs(shares["text"] / 700 - expected) < 0.01


def test_a_team_without_a_weight_counts_one() -> None:
    loads = Loads({ACCOUNTS[0]: 30.0}, weights={"text": 2.0})
    assert (loads.weight("speech"), loads.per_weight("speech"), loads.per_weight("text")) == (1.0, 30.0, 0.0)


def test_users_of_one_team_alternate() -> None:
    ada, ben = ACCOUNTS[:2]
    jobs = [WaitingJob(seq=seq, rank=1, account=account) for seq, account in enumerate([ada, ada, ada, ben, ben])]
    assert [job.seq for job in queue_order(jobs, loads=Loads({}, weights={}))] == [0, 3, 1, 4, 2]
