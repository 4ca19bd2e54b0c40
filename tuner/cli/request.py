"""Requests to the service, and what is printed of their results: JSON, a table, or text."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tuner.cli.options import CURRENT_URL, AsJson, Url
from tuner.cli.output import is_tty, say, show_json, show_table
from tuner.cli.signatures import parameters_of, set_parameters

if TYPE_CHECKING:
    from tuner.client import Client

T = TypeVar("T")
_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Table(Generic[T]):
    """How a list of results is printed."""

    columns: Mapping[str, Callable[[T], str]]
    """By heading, the text of a row's cell."""
    empty: str = ""
    """What standard error says in place of a table without rows."""
    details: frozenset[str] = frozenset()
    """Columns that a terminal shows only where their cells differ."""

    def print(self, items: Sequence[T]) -> None:
        """Print the items, one a row."""
        if items:
            columns = {name: [cell(item) for item in items] for name, cell in self.columns.items()}
            if is_tty():
                columns = {name: cells for name, cells in columns.items() if self._is_telling(name, cells)}
            show_table(tuple(columns), list(zip(*columns.values(), strict=True)))
        elif self.empty:
            say(self.empty)

    def _is_telling(self, name: str, cells: Sequence[str]) -> bool:
        return any(cells) and (name not in self.details or len(set(cells)) > 1)


def request(call: Callable[[Client], T], *, url: str, timeout: float = _TIMEOUT_SECONDS) -> T:
    """The result of a call of the service.

    Args:
        call: Makes the call.
        url: Address of the service; empty for the current one.
        timeout: Seconds for one request.

    Raises:
        ApiProblem: The service refuses.
        ServiceUnreachable: No service responds.
    """
    from tuner.client import Client

    with Client.from_profile(url, timeout=timeout) as client:
        return call(client)


def service_command(show: Callable[[T], None]) -> Callable[[Callable[..., T]], Callable[..., None]]:
    """Make a command of a function that calls the service: it gets ``--json`` and ``--url``, and prints the result.

    The function's first parameter is the client; the others become the command's.

    Args:
        show: Prints the result, where ``--json`` does not.
    """

    def decorate(call: Callable[..., T]) -> Callable[..., None]:
        @functools.wraps(call)
        def command(*, as_json: bool, url: str, **options: Any) -> None:
            result = request(lambda client: call(client, **options), url=url)
            if as_json:
                show_json(result)
            else:
                show(result)

        _, *own = parameters_of(call)
        return set_parameters(command, [*own, *parameters_of(_every_command)])

    return decorate


def _every_command(as_json: AsJson = False, url: Url = CURRENT_URL) -> None: ...
