"""What a shell completes beyond commands and options: jobs, runs, workloads, families, people's names.

The service is asked with a short time-out; where it does not respond, nothing is completed, and nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from tuner.client import Client

_TIMEOUT_SECONDS: Final = 1.0
_MOST: Final = 50
_SHORT: Final = 8
Completions = list[tuple[str, str]]
"""Values and what a shell shows beside them."""


def jobs(ctx: typer.Context, incomplete: str) -> Completions:
    """The latest jobs, and the word for the latest of all."""

    def listed(client: Client) -> Completions:
        found = islice(client.job_summaries(text=incomplete if len(incomplete) >= _SHORT else None), _MOST)
        return [
            ("latest", "the job submitted last"),
            *(_by_id(one.id, f"{one.state.value} {one.workload} {one.name}", incomplete=incomplete) for one in found),
        ]

    return _from_service(ctx, listed)


def runs(ctx: typer.Context, incomplete: str) -> Completions:
    """The runs of the job submitted last."""

    def listed(client: Client) -> Completions:
        latest = next(client.jobs(), None)
        found = client.runs(latest.id) if latest is not None else ()
        return [
            _by_id(one.id, f"{one.state.value} trial {one.trial_number}", incomplete=incomplete)
            for one in found[-_MOST:]
        ]

    return _from_service(ctx, listed)


def workloads(ctx: typer.Context, incomplete: str) -> Completions:
    """The workloads that the workers offer."""
    return _from_service(ctx, lambda client: [(info.name, info.description) for info in client.workloads()])


def options(ctx: typer.Context, incomplete: str) -> Completions:
    """``NAME=`` for each option of the workload on the command line."""

    def listed(client: Client) -> Completions:
        info = client.workload(str(ctx.params["workload"]))
        declared: dict[str, dict[str, Any]] = info.options_schema.get("properties", {})
        return [(f"{name}=", str(schema.get("description", ""))) for name, schema in declared.items()]

    return _from_service(ctx, listed)


def families(incomplete: str) -> Completions:
    """The schedule families."""
    from tuner.schedules import FAMILIES

    return [(name, "") for name in FAMILIES]


def workers(ctx: typer.Context, incomplete: str) -> Completions:
    """The workers."""
    return _from_service(ctx, lambda client: [(worker.name, worker.device_model) for worker in client.workers()])


def webhooks(ctx: typer.Context, incomplete: str) -> Completions:
    """The webhooks."""
    return _from_service(
        ctx, lambda client: [_by_id(one.id, one.url, incomplete=incomplete) for one in client.webhooks.list()]
    )


def tokens(ctx: typer.Context, incomplete: str) -> Completions:
    """The tokens that are valid."""
    return _from_service(
        ctx,
        lambda client: [
            _by_id(one.id, f"{one.user} {one.label}", incomplete=incomplete) for one in client.people.tokens(valid=True)
        ],
    )


def teams(ctx: typer.Context, incomplete: str) -> Completions:
    """The teams."""
    return _from_service(ctx, lambda client: [(team.name, "") for team in client.people.teams()])


def users(ctx: typer.Context, incomplete: str) -> Completions:
    """The users."""
    return _from_service(ctx, lambda client: [(user.name, "") for user in client.people.users()])


def _by_id(text: str, description: str, *, incomplete: str) -> tuple[str, str]:
    return (text if len(incomplete) > _SHORT else text[:_SHORT], " ".join(description.split()))


def _from_service(ctx: typer.Context, listed: Callable[[Client], Iterable[tuple[str, str]]]) -> Completions:
    from tuner.client import Client

    try:
        with Client.from_profile(ctx.params.get("url") or None, timeout=_TIMEOUT_SECONDS) as client:
            return list(listed(client))
    except Exception:  # a shell that completes has no place for an error
        return []
