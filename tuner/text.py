"""Text of any origin in a form that every pipe, database, log and terminal takes."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_HIDDEN: Final = ("C", "Zl", "Zp")
"""Unicode's categories of what is no character to be seen: controls, formats, what is not assigned, line separators."""
_NOT_ASCII: Final = re.compile(r"[^ -~]")
_JOINER: Final = "\u200d"
"""What joins the parts of an emoji."""


def escaped_text(text: str) -> str:
    r"""Text with NUL and lone surrogates escaped, as Python itself prints them; all else stays.

    Names of files that are no UTF-8 hold lone surrogates (PEP 383), and so do the errors that name them. No JSON, no
    database and no strict stream takes these.

    Example:
        >>> from tuner.text import escaped_text
        >>> print(escaped_text("caf\udce9.png is no \u00e9clair"))
        caf\udce9.png is no éclair
    """
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def visible_text(text: str, *, keep: str = "\n\t") -> str:
    r"""Text that does nothing to a terminal: controls, and what else cannot be seen, are spelt out.

    Args:
        text: Any.
        keep: The controls that stay.

    Example:
        >>> from tuner.text import visible_text
        >>> print(visible_text("a name\x1b]0;a title\x07"))
        a name\x1b]0;a title\x07
    """

    def shown(found: re.Match[str]) -> str:
        one = found[0]
        stays = one in keep or one == _JOINER or not unicodedata.category(one).startswith(_HIDDEN)
        return one if stays else one.encode("unicode_escape").decode()

    return _NOT_ASCII.sub(shown, text)


def one_line(text: str) -> str:
    """Text of any origin on one line, for tables and titles: line breaks and runs of blanks are one blank."""
    return visible_text(" ".join(text.split()), keep="")


def is_storable(text: str) -> bool:
    """Whether text holds neither NUL nor lone surrogates, so that it is stored as it is."""
    return escaped_text(text) == text
