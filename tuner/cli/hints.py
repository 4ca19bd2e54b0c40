"""The service's hints in the words of the command line: ``GET /v1/jobs`` becomes ```tuner jobs```. Pure."""

from __future__ import annotations

import re
from typing import Final

_COMMANDS: Final = (
    (r"/v1/jobs/([^/\s]+)/export\?trial=([^\s]+)", r"tuner schedule export --job \1 --trial \2"),
    (r"/v1/jobs/([^/\s]+)/events", r"tuner watch \1"),
    (r"/v1/jobs/([^/\s]+)/runs", r"tuner runs \1"),
    (r"/v1/teams/([^/\s]+)/members", r"tuner admin member list \1"),
    (r"/v1/jobs", "tuner jobs"),
    (r"/v1/workloads", "tuner workloads"),
    (r"/v1/workers", "tuner workers"),
    (r"/v1/webhooks", "tuner webhook list"),
    (r"/v1/teams", "tuner admin team list"),
    (r"/v1/tokens", "tuner admin token list"),
)
_CALLS: Final = tuple((re.compile(rf"`?\bGET {path}(?![\w/])`?"), f"`{command}`") for path, command in _COMMANDS)
_PLACEHOLDER: Final = re.compile(r"\{(\w+?)(?:_id)?\}")


def in_commands(text: str) -> str:
    """A text of the service in which each call of its API is replaced by the command that does the same.

    Args:
        text: A problem's detail, a hint or a refusal.
    """
    for call, command in _CALLS:
        text = call.sub(command, text)
    return _PLACEHOLDER.sub(lambda name: name[1].upper(), text)
