"""Headers and query parameters that several job operations share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="A text that the client chooses. The same key with the same body returns the same job, however "
        "often it is sent: a submission whose response was lost can be repeated safely.",
        examples=["first-look-1"],
    ),
]
Cursor = Annotated[
    str | None,
    Query(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="`next_cursor` of the previous page."),
]
