"""The number of jobs ahead of a new one, and the refusals of a preview."""

from __future__ import annotations

from tuner.errors import InvalidValue, LimitReached, NotFound
from tuner.jobs.priority import Priority
from tuner.jobs.records import QueueEntry, TeamShare
from tuner.jobs.states import JobState
from tuner_service.errors import Forbidden
from tuner_service.jobs.preview import jobs_ahead, to_refusal


def entry(team: str, priority: Priority = Priority.NORMAL, *, waits: bool = True) -> QueueEntry:
    return QueueEntry(
        job_id="j",
        name="",
        team=team,
        owner="ada",
        priority=priority,
        state=JobState.RUNNING,
        position=1 if waits else None,
        running_runs=0,
        reason="",
        waiting_seconds=0.0,
    )


def share(team: str, device_seconds: float, *, weight: float = 1.0) -> TeamShare:
    return TeamShare(team=team, weight=weight, device_seconds=device_seconds, share=0.0, running_runs=0, open_jobs=0)


def ahead(*entries: QueueEntry, shares: tuple[TeamShare, ...] = ()) -> int:
    return jobs_ahead(entries, shares=shares, team="vision", priority=Priority.NORMAL)


def test_higher_classes_go_first_and_lower_ones_do_not():
    assert ahead(entry("speech", Priority.HIGH), entry("speech", Priority.LOW)) == 1


def test_older_jobs_of_ones_own_team_go_first():
    assert ahead(entry("vision"), entry("vision"), shares=(share("vision", 100),)) == 2


def test_of_the_same_class_teams_with_less_for_their_weight_go_first():
    ours = share("vision", 100)
    assert ahead(entry("speech"), shares=(ours, share("speech", 300, weight=4))) == 1
    assert ahead(entry("speech"), shares=(ours, share("speech", 300))) == 0


def test_jobs_that_wait_for_nothing_do_not_count():
    assert ahead(entry("vision", waits=False)) == 0


def test_a_refusal_names_its_limit_or_its_field():
    limit = to_refusal(LimitReached("max_open_jobs", of="team vision", value=5, allowed=4))
    field = to_refusal(InvalidValue("priority", value="high", allowed="at most normal"))
    assert (limit.limit, limit.field) == ("max_open_jobs", None)
    assert (field.limit, field.field) == (None, "priority")
    assert "at most normal" in field.message
    for error in (NotFound("team", key="nobody"), Forbidden(needed="more")):
        assert to_refusal(error).field == "team"
