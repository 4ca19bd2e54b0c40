"""Requests to the service, and what is printed of their results: JSON, a table, or text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from tuner.cli.output import say, show_json, show_table

if TYPE_CHECKING:
    from tuner.client import Client

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Table(Generic[T]):
    """How a list of results is printed."""

    columns: Mapping[str, Callable[[T], str]]
    """By heading, the text of a row's cell."""
    empty: str = ""
    """What standard error says in place of a table without rows."""

    def print(self, items: Sequence[T]) -> None:
        """Print the items, one a row."""
        if items:
            show_table(tuple(self.columns), [tuple(cell(item) for cell in self.columns.values()) for item in items])
        elif self.empty:
            say(self.empty)


def request(call: Callable[[Client], T], *, url: str) -> T:
    """The result of a call of the service.

    Args:
        call: Makes the call.
        url: Address of the service; empty for the current one.

    Raises:
        ApiProblem: The service refuses.
        ServiceUnreachable: No service answers.
    """
    from tuner.client import Client

    with Client.from_profile(url) as client:
        return call(client)


def request_and_print(call: Callable[[Client], T], *, show: Callable[[T], None], as_json: bool, url: str) -> None:
    """Call the service, and print the result: as JSON where that is wanted, else with ``show``.

    Args:
        call: Makes the call.
        show: Prints the result for people.
        as_json: Whether to print JSON.
        url: Address of the service.
    """
    result = request(call, url=url)
    if as_json:
        show_json(result)
    else:
        show(result)
