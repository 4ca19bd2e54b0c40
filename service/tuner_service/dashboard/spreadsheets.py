"""CSV for spreadsheets, which run cells as formulas that begin like one."""

from __future__ import annotations

import csv
import io
import sys
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BEGINNINGS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a formula, or one that hides behind a blank, begins with (OWASP, CSV injection)."""

csv.field_size_limit(sys.maxsize)


def without_formulas(document: str) -> str:
    """A CSV document in which a cell that begins like a formula, and is no number, begins with an apostrophe."""
    rows = csv.reader(io.StringIO(document, newline=""))
    made = io.StringIO(newline="")
    csv.writer(made).writerows([_without_formula(cell) for cell in row] for row in rows)
    return made.getvalue()


def _without_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_BEGINNINGS) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


class WithoutFormulas:
    """Passes on what the application within responds, its CSV documents `without_formulas`.

    Args:
        app: The application within.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        start: Message | None = None
        body = bytearray()

        async def send_changed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_csv(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            changed = without_formulas(body.decode()).encode()
            headers = MutableHeaders(raw=start["headers"])
            headers["Content-Type"] = "text/csv; charset=utf-8"
            if scope["method"] != "HEAD":
                headers["Content-Length"] = str(len(changed))
            await send(start)
            await send({"type": "http.response.body", "body": changed})

        await self._app(scope, receive, send_changed)


def _is_csv(start: Message) -> bool:
    return MutableHeaders(raw=start["headers"]).get("Content-Type", "").startswith("text/csv")
