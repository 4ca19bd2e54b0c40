"""``tuner webhook``: where a team wants to be told of its jobs' events."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tuner.cli.failures import ExitCode
from tuner.cli.options import CURRENT_URL, AsJson, Limit, Url, Yes
from tuner.cli.output import confirm_action, moment, say, show, show_json, show_table
from tuner.errors import InvalidValue

if TYPE_CHECKING:
    from tuner.client import WebhookWithKey

app = typer.Typer(help="Where to tell of jobs' events.", no_args_is_help=True, rich_markup_mode=None)

FormatName = Literal["json", "slack"]
StateName = Literal["pending", "sending", "delivered", "failed"]
Webhook = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id, as `tuner webhook list` lists it.")]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event", metavar="KIND", show_default=False, help="A kind of event to tell, as job.completed. Repeatable."
    ),
]


@app.callback()
def _webhook() -> None:
    """Where to tell of jobs' events."""


@app.command("list")
def list_webhooks(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """List your team's webhooks."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        found = client.webhooks.list()
    if as_json:
        show_json(found)
    elif not found:
        say("No webhooks. `tuner webhook add` makes one.")
    else:
        show_table(
            ("ID", "TEAM", "STATE", "FORMAT", "TARGET", "EVENTS"),
            [
                (
                    webhook.id,
                    webhook.team or "(all)",
                    "enabled" if webhook.enabled else "disabled",
                    webhook.format.value,
                    webhook.url,
                    ", ".join(webhook.events),
                )
                for webhook in found
            ],
        )


@app.command()
def add(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="URL that events are sent to, by POST.")],
    event: Events = None,
    form: Annotated[FormatName, typer.Option("--format", help="What the body of a delivery looks like.")] = "json",
    team: Annotated[
        str | None, typer.Option("--team", show_default=False, help="Whose jobs are told of; your team's when absent.")
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Have events sent to a URL from now on; prints the key that they are signed with, this once."""
    from tuner.client import Client

    request: dict[str, Any] = {"url": target, "format": form}
    request |= ({"events": event} if event else {}) | ({"team": team} if team else {})
    with Client.from_profile(url) as client:
        _tell_key(client.webhooks.create(request), as_json=as_json)


@app.command("set")
def set_webhook(
    webhook: Webhook,
    target: Annotated[
        str | None, typer.Option("--target", metavar="TARGET", show_default=False, help="Send to this URL instead.")
    ] = None,
    event: Events = None,
    form: Annotated[
        FormatName | None,
        typer.Option("--format", show_default=False, help="What the body of a delivery looks like."),
    ] = None,
    enabled: Annotated[
        bool | None,
        typer.Option("--enabled/--disabled", show_default=False, help="Whether anything is sent there."),
    ] = None,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """Change a webhook; what is not given stays."""
    from tuner.client import Client

    wanted = {"url": target, "events": event or None, "format": form, "enabled": enabled}
    change = {field: value for field, value in wanted.items() if value is not None}
    if not change:
        raise InvalidValue("the change", allowed="given by at least one option")
    with Client.from_profile(url) as client:
        changed = client.webhooks.change(webhook, change)
    if as_json:
        show_json(changed)
    else:
        say(f"Changed webhook {webhook}.")


@app.command()
def remove(webhook: Webhook, yes: Yes = False, url: Url = CURRENT_URL) -> None:
    """Send nothing there any more, and forget its deliveries."""
    from tuner.client import Client

    confirm_action(f"Remove webhook {webhook} with its deliveries?", yes=yes)
    with Client.from_profile(url) as client:
        client.webhooks.delete(webhook)
    say(f"Removed webhook {webhook}.")


@app.command("test")
def try_out(webhook: Webhook, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Send a try at once, and tell what came of it; the exit code is 1 when it was not delivered."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        answer = client.webhooks.test(webhook)
    if as_json:
        show_json(answer)
    elif answer.delivered:
        say(f"Delivered: the receiver answered {answer.status}.")
    else:
        say(f"Not delivered: {answer.error}")
    if not answer.delivered:
        raise typer.Exit(ExitCode.JOB_NOT_COMPLETED)


@app.command("rotate-key")
def rotate_key(webhook: Webhook, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Sign everything from now on with a new key; prints it on standard output, this once."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        _tell_key(client.webhooks.rotate_key(webhook), as_json=as_json)


@app.command()
def deliveries(
    webhook: Webhook,
    state: Annotated[
        StateName | None, typer.Option("--state", show_default=False, help="Only those in this state.")
    ] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    url: Url = CURRENT_URL,
) -> None:
    """List what is and was on its way, the newest first."""
    from tuner.client import Client
    from tuner.jobs.webhooks import DeliveryState

    wanted = None if state is None else DeliveryState(state)
    with Client.from_profile(url) as client:
        found = list(islice(client.webhooks.deliveries(webhook, state=wanted), limit))
    if as_json:
        show_json(found)
    elif not found:
        say("No deliveries.")
    else:
        show_table(
            ("WHEN", "EVENT", "JOB", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "LAST ANSWER"),
            [
                (
                    moment(delivery.created_at),
                    delivery.type,
                    delivery.job_id,
                    delivery.state.value,
                    str(delivery.attempts),
                    moment(delivery.next_attempt_at),
                    delivery.last_error or ("" if delivery.last_status is None else str(delivery.last_status)),
                )
                for delivery in found
            ],
        )


def _tell_key(made: WebhookWithKey, *, as_json: bool) -> None:
    if as_json:
        show_json(made)
    else:
        say(f"Webhook {made.webhook.id} signs with this key, which is not shown again (docs/webhooks.md):")
        show(made.key)
