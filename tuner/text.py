"""Text of any origin in a form that every pipe, database, log and terminal takes."""

from __future__ import annotations


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


def is_storable(text: str) -> bool:
    """Whether text holds neither NUL nor lone surrogates, so that it is stored as it is."""
    return escaped_text(text) == text
