"""``tuner admin team``: teams, their shares and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.options import CURRENT_URL, AsJson, Url, Yes
from tuner.cli.output import confirm_action, moment, say, show, show_json, show_table
from tuner.cli.parsing import amounts
from tuner.jobs.priority import Priority

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.people.records import TeamRecord, TeamSettings

_NOT_FOUND = 404

app = typer.Typer(help="Teams, their shares and limits.", no_args_is_help=True, rich_markup_mode=None)

Team = Annotated[str, typer.Argument(metavar="TEAM", help="Its name.")]


def _limit(option: str, *, unit: str, help: str) -> Any:
    return typer.Option(option, metavar=f"{unit}|none", show_default=False, help=help)


@app.callback()
def _teams() -> None:
    """Teams, their shares and limits."""


@app.command("list")
def list_teams(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List the teams."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        teams = client.people.teams()
    if as_json:
        show_json(teams)
    elif not teams:
        say("No teams. `tuner admin team set NAME` makes one.")
    else:
        show_table(
            ("TEAM", "WEIGHT", "HIGHEST PRIORITY", "RUNS AT A TIME", "OPEN JOBS", "DEVICE HOURS A MONTH", "MADE"),
            [
                (
                    team.name,
                    f"{team.settings.weight:g}",
                    team.settings.highest_priority.value,
                    _limit_text(team.settings.max_running_runs),
                    _limit_text(team.settings.max_open_jobs),
                    _limit_text(team.settings.device_hours_per_month),
                    moment(team.created_at),
                )
                for team in teams
            ],
        )


@app.command("show")
def show_team(team: Team, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Show a team's settings."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        _tell(client.people.team(team), as_json=as_json)


@app.command("set")
def set_team(
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
        _limit("--device-hours-per-month", unit="HOURS", help="Device time of the team in a calendar month (UTC)."),
    ] = None,
    user_max_running_runs: Annotated[
        str | None, _limit("--user-max-running-runs", unit="RUNS", help="Runs of each user at a time.")
    ] = None,
    user_max_open_jobs: Annotated[
        str | None, _limit("--user-max-open-jobs", unit="JOBS", help="Jobs of each user that are not over.")
    ] = None,
    user_device_hours_per_month: Annotated[
        str | None,
        _limit("--user-device-hours-per-month", unit="HOURS", help="Device time of each user in a calendar month."),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Make a team, or change one; what is not given stays. `none` lifts a limit."""
    from tuner.client import Client

    change: dict[str, Any] = {"weight": weight, "highest_priority": highest_priority}
    change = {field: value for field, value in change.items() if value is not None}
    change |= amounts(
        {
            "max_running_runs": max_running_runs,
            "max_open_jobs": max_open_jobs,
            "device_hours_per_month": device_hours_per_month,
            "user_max_running_runs": user_max_running_runs,
            "user_max_open_jobs": user_max_open_jobs,
            "user_device_hours_per_month": user_device_hours_per_month,
        }
    )
    with Client.from_profile(url) as client:
        settings = _present(client, team=team) | change
        _tell(client.people.put_team(team, settings), as_json=as_json)


@app.command("delete")
def delete_team(team: Team, yes: Yes = False, url: Url = CURRENT_URL) -> None:
    """Delete a team that has no jobs, members and tokens."""
    from tuner.client import Client

    confirm_action(f"Delete team {team}?", yes=yes)
    with Client.from_profile(url) as client:
        client.people.delete_team(team)
    say(f"Deleted team {team}.")


def _present(client: Client, *, team: str) -> dict[str, Any]:
    """The settings that a team has; none for one that is to be made."""
    from tuner.client import ApiProblem

    try:
        return client.people.team(team).settings.model_dump(mode="json")
    except ApiProblem as problem:
        if problem.status != _NOT_FOUND:
            raise
        return {}


def _tell(team: TeamRecord, *, as_json: bool) -> None:
    if as_json:
        show_json(team)
        return
    show(f"Team {team.name}, made {moment(team.created_at)}")
    for name, value in _in_words(team.settings):
        show(f"  {name:<28} {value}")


def _in_words(settings: TeamSettings) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _limit_text(value)) for name, value in settings.model_dump(mode="json").items()]


def _limit_text(value: float | str | None) -> str:
    return "no limit" if value is None else value if isinstance(value, str) else f"{value:g}"
