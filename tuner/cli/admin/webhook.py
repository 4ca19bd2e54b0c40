"""``tuner webhook``: URLs that receive the events of a team's jobs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tuner.cli import completion
from tuner.cli.failures import ExitCode
from tuner.cli.help import App
from tuner.cli.ids import check_whole, find_webhook
from tuner.cli.options import CURRENT_URL, AsJson, Limit, Url, Yes
from tuner.cli.output import confirm_action, format_time, say, short_id, show, show_json
from tuner.cli.request import Table, request, service_command
from tuner.errors import InvalidValue

if TYPE_CHECKING:
    from tuner.client import Client, WebhookWithKey
    from tuner.jobs.webhooks import DeliveryRecord, WebhookRecord

app = App(
    help="Manage webhooks: URLs that receive the events of jobs.",
    examples=("tuner webhook list", "tuner webhook add https://example.org/hook"),
)

FormatName = Literal["json", "slack"]
StateName = Literal["pending", "sending", "delivered", "failed"]
Webhook = Annotated[
    str,
    typer.Argument(
        metavar="WEBHOOK", autocompletion=completion.webhooks, help="Its id or its start, as in `tuner webhook list`."
    ),
]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event", metavar="KIND", show_default=False, help="A kind of event to send, as job.completed. Repeatable."
    ),
]


_WEBHOOKS: Table[WebhookRecord] = Table(
    columns={
        "ID": lambda webhook: short_id(webhook.id),
        "TEAM": lambda webhook: webhook.team or "(all)",
        "STATE": lambda webhook: "enabled" if webhook.enabled else "disabled",
        "FORMAT": lambda webhook: webhook.format.value,
        "TARGET": lambda webhook: webhook.url,
        "EVENTS": lambda webhook: ", ".join(webhook.events),
    },
    empty="No webhooks. `tuner webhook add` adds one.",
)
_DELIVERIES: Table[DeliveryRecord] = Table(
    columns={
        "WHEN": lambda delivery: format_time(delivery.created_at),
        "EVENT": lambda delivery: delivery.type,
        "JOB": lambda delivery: short_id(delivery.job_id),
        "STATE": lambda delivery: delivery.state.value,
        "ATTEMPTS": lambda delivery: str(delivery.attempts),
        "NEXT ATTEMPT": lambda delivery: format_time(delivery.next_attempt_at),
        "LAST RESPONSE": lambda delivery: (
            delivery.last_error or ("" if delivery.last_status is None else str(delivery.last_status))
        ),
    },
    empty="No deliveries.",
)


def _show_key(made: WebhookWithKey) -> None:
    say(f"Webhook {made.webhook.id} signs with this key, which is not shown again (docs/webhooks.md):")
    show(made.key)


def _say_changed(webhook: WebhookRecord) -> None:
    say(f"Changed webhook {webhook.id}.")


@app.command("list")
@service_command(_WEBHOOKS.print)
def list_webhooks(client: Client) -> tuple[WebhookRecord, ...]:
    """List your team's webhooks.

    Example:
        tuner webhook list
    """
    return client.webhooks.list()


@app.command()
@service_command(_show_key)
def add(
    client: Client,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="URL that events are sent to, by POST.")],
    event: Events = None,
    form: Annotated[FormatName, typer.Option("--format", help="Format of the body of a delivery.")] = "json",
    team: Annotated[
        str | None,
        typer.Option("--team", show_default="yours", help="The team whose events are sent."),
    ] = None,
) -> WebhookWithKey:
    """Add a webhook: events are sent to the URL from now on.

    The command prints the signing key, this once.

    Examples:
        tuner webhook add https://example.org/hook
        tuner webhook add https://hooks.slack.com/x --format slack
    """
    if not target.startswith(("https://", "http://")):
        raise InvalidValue("TARGET", value=target, allowed="a URL, as in https://example.org/hook")
    body: dict[str, Any] = {"url": target, "format": form}
    body |= ({"events": event} if event else {}) | ({"team": team} if team else {})
    return client.webhooks.create(body)


@app.command("set")
@service_command(_say_changed)
def set_webhook(
    client: Client,
    webhook: Webhook,
    target: Annotated[
        str | None, typer.Option("--target", metavar="TARGET", show_default=False, help="Send to this URL instead.")
    ] = None,
    event: Events = None,
    form: Annotated[
        FormatName | None,
        typer.Option("--format", show_default=False, help="Format of the body of a delivery."),
    ] = None,
    enabled: Annotated[
        bool | None,
        typer.Option("--enabled/--disabled", show_default=False, help="Whether anything is sent there."),
    ] = None,
) -> WebhookRecord:
    """Change a webhook.

    Options that are left out change nothing.

    Example:
        tuner webhook set 4f9c21b7 --event job.completed --disabled
    """
    wanted = {"url": target, "events": event or None, "format": form, "enabled": enabled}
    change = {field: value for field, value in wanted.items() if value is not None}
    if not change:
        raise InvalidValue("the change", allowed="given by at least one option")
    return client.webhooks.change(find_webhook(client, text=webhook), change)


@app.command()
def remove(webhook: Webhook, yes: Yes = False, url: Url = CURRENT_URL) -> None:
    """Remove a webhook with its deliveries.

    Example:
        tuner webhook remove 4f9c21b7
    """

    def confirm_and_remove(client: Client) -> str:
        webhook_id = find_webhook(client, text=webhook)
        if yes:
            check_whole(webhook, found=webhook_id, kind="webhook")
        confirm_action(f"Remove webhook {webhook_id} with its deliveries?", yes=yes)
        client.webhooks.delete(webhook_id)
        return webhook_id

    say(f"Removed webhook {request(confirm_and_remove, url=url)}.")


@app.command("test")
def send_test(webhook: Webhook, as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Send a test delivery at once.

    The exit code is 1 when it was not delivered.

    Example:
        tuner webhook test 4f9c21b7
    """
    result = request(lambda client: client.webhooks.test(find_webhook(client, text=webhook)), url=url)
    if as_json:
        show_json(result)
    elif result.delivered:
        say(f"Delivered: the receiver responded with {result.status}.")
    else:
        say(f"Not delivered: {result.error}")
    if not result.delivered:
        raise typer.Exit(ExitCode.JOB_NOT_COMPLETED)


@app.command("rotate-key")
@service_command(_show_key)
def rotate_key(client: Client, webhook: Webhook) -> WebhookWithKey:
    """Replace the signing key, and print the new one, this once.

    Example:
        tuner webhook rotate-key 4f9c21b7
    """
    return client.webhooks.rotate_key(find_webhook(client, text=webhook))


@app.command()
@service_command(_DELIVERIES.print)
def deliveries(
    client: Client,
    webhook: Webhook,
    state: Annotated[
        StateName | None, typer.Option("--state", show_default=False, help="Only those in this state.")
    ] = None,
    limit: Limit = 20,
) -> list[DeliveryRecord]:
    """List the deliveries of a webhook, the newest first.

    Example:
        tuner webhook deliveries 4f9c21b7 --state failed
    """
    from tuner.jobs.webhooks import DeliveryState

    wanted = None if state is None else DeliveryState(state)
    return list(islice(client.webhooks.deliveries(find_webhook(client, text=webhook), state=wanted), limit))
