"""``tuner admin team``: teams, their shares and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli import completion
from tuner.cli.help import App
from tuner.cli.options import CURRENT_URL, Url, Yes, limit_option
from tuner.cli.output import confirm_action, format_time, say, show
from tuner.cli.parsing import parse_limits
from tuner.cli.request import Table, request, service_command
from tuner.jobs.priority import Priority

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.people.records import TeamRecord

_NOT_FOUND = 404

app = App(
    help="Manage teams, their shares and limits.",
    examples=("tuner admin team list", "tuner admin team set vision --weight 2"),
)

Team = Annotated[str, typer.Argument(metavar="TEAM", autocompletion=completion.teams, help="Its name.")]


def _limit(name: str, *, unit: str, help: str) -> Any:
    """A limit that stays as it is where the option is left out."""
    return limit_option(name, unit=unit, default="", help=help)


_TEAMS: Table[TeamRecord] = Table(
    columns={
        "TEAM": lambda team: team.name,
        "WEIGHT": lambda team: f"{team.settings.weight:g}",
        "HIGHEST PRIORITY": lambda team: team.settings.highest_priority.value,
        "RUNS AT A TIME": lambda team: _limit_text(team.settings.max_running_runs),
        "OPEN JOBS": lambda team: _limit_text(team.settings.max_open_jobs),
        "DEVICE HOURS A MONTH": lambda team: _limit_text(team.settings.device_hours_per_month),
        "CREATED": lambda team: format_time(team.created_at),
    },
    empty="No teams. `tuner admin team set NAME` adds one.",
)


def _show_settings(team: TeamRecord) -> None:
    show(f"Team {team.name}, created {format_time(team.created_at)}")
    for name, value in team.settings.model_dump(mode="json").items():
        show(f"  {name.replace('_', ' '):<28} {_limit_text(value)}")


@app.command("list")
@service_command(_TEAMS.print)
def list_teams(client: Client) -> tuple[TeamRecord, ...]:
    """List the teams.

    Example:
        tuner admin team list
    """
    return client.people.teams()


@app.command("show")
@service_command(_show_settings)
def show_team(client: Client, team: Team) -> TeamRecord:
    """Show a team's settings.

    Example:
        tuner admin team show vision
    """
    return client.people.team(team)


@app.command("set")
@service_command(_show_settings)
def set_team(
    client: Client,
    team: Team,
    weight: Annotated[
        float | None,
        typer.Option("--weight", show_default=False, help="Share of the devices, relative to the other teams'."),
    ] = None,
    highest_priority: Annotated[
        Priority | None,
        typer.Option("--highest-priority", show_default=False, help="Highest class that its jobs may have."),
    ] = None,
    max_running_runs: Annotated[
        str | None, _limit("--max-running-runs", unit="RUNS", help="Runs of the team at a time.")
    ] = None,
    max_open_jobs: Annotated[
        str | None, _limit("--max-open-jobs", unit="JOBS", help="Jobs of the team that are not over.")
    ] = None,
    device_hours_per_month: Annotated[
        str | None,
        limit_option(
            "--device-hours-per-month",
            unit="HOURS",
            default="",
            help="Device time of the team in a calendar month (UTC).",
        ),
    ] = None,
    user_max_running_runs: Annotated[
        str | None,
        _limit("--user-max-running-runs", unit="RUNS", help="Runs of each user at a time."),
    ] = None,
    user_max_open_jobs: Annotated[
        str | None,
        _limit("--user-max-open-jobs", unit="JOBS", help="Jobs of each user that are not over."),
    ] = None,
    user_device_hours_per_month: Annotated[
        str | None,
        limit_option(
            "--user-device-hours-per-month",
            unit="HOURS",
            default="",
            help="Device time of each user in a calendar month.",
        ),
    ] = None,
) -> TeamRecord:
    """Add a team, or change one.

    Options that are left out change nothing; for a new team they stand for weight 1, priority high and no limits.
    `none` lifts a limit.

    Examples:
        tuner admin team set vision --weight 2
        tuner admin team set vision --max-running-runs 4
    """
    change: dict[str, Any] = {"weight": weight, "highest_priority": highest_priority}
    change = {field: value for field, value in change.items() if value is not None}
    change |= parse_limits(
        {
            "max_running_runs": max_running_runs,
            "max_open_jobs": max_open_jobs,
            "device_hours_per_month": device_hours_per_month,
            "user_max_running_runs": user_max_running_runs,
            "user_max_open_jobs": user_max_open_jobs,
            "user_device_hours_per_month": user_device_hours_per_month,
        }
    )
    return client.people.put_team(team, _current_settings(client, team=team) | change)


@app.command("delete")
def delete_team(team: Team, yes: Yes = False, url: Url = CURRENT_URL) -> None:
    """Delete a team that has no jobs, members and tokens.

    Example:
        tuner admin team delete vision
    """
    confirm_action(f"Delete team {team}?", yes=yes)
    request(lambda client: client.people.delete_team(team), url=url)
    say(f"Deleted team {team}.")


def _current_settings(client: Client, *, team: str) -> dict[str, Any]:
    """The team's settings; empty for a team that does not exist."""
    from tuner.client import ApiProblem

    try:
        return client.people.team(team).settings.model_dump(mode="json")
    except ApiProblem as problem:
        if problem.status != _NOT_FOUND:
            raise
        return {}


def _limit_text(value: float | str | None) -> str:
    return "no limit" if value is None else value if isinstance(value, str) else f"{value:g}"
