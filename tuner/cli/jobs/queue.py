"""``tuner queue``, ``tuner shares``: whose turn it is, and why."""

from __future__ import annotations

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import ago, hours, say, show_json, show_table


def queue(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List the open jobs in the order in which it is their turn, with the reason for each."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        entries = client.queue()
    if as_json:
        show_json(entries)
    elif not entries:
        say("The queue is empty.")
    else:
        show_table(
            ("PLACE", "JOB", "STATE", "TEAM", "OWNER", "PRIORITY", "RUNS", "WAITING", "NAME", "WHY"),
            [
                (
                    "" if entry.position is None else str(entry.position),
                    entry.job_id,
                    entry.state.value,
                    entry.team,
                    entry.owner,
                    entry.priority.value,
                    str(entry.running_runs),
                    ago(entry.waiting_seconds),
                    entry.name,
                    entry.reason,
                )
                for entry in entries
            ],
        )


def shares(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List what each team has had of the devices lately, against its weight."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        teams = client.shares()
    if as_json:
        show_json(teams)
    elif not teams:
        say("No team has used the devices lately.")
    else:
        show_table(
            ("TEAM", "WEIGHT", "DEVICE TIME", "SHARE", "RUNS", "OPEN JOBS"),
            [
                (
                    team.team,
                    f"{team.weight:g}",
                    hours(team.device_seconds),
                    f"{team.share:.0%}",
                    str(team.running_runs),
                    str(team.open_jobs),
                )
                for team in teams
            ],
        )
