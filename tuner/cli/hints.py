"""The service's words in those of the command line: calls become commands, fields of a job become options. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

_COMMANDS: Final = (
    (r"/v1/jobs/([^/\s]+)/export\?trial=([^\s]+)", r"tuner schedule export --job \1 --trial \2"),
    (r"/v1/jobs/([^/\s]+)/range-test", r"tuner lr-range-test --job \1"),
    (r"/v1/jobs/([^/\s]+)/events", r"tuner watch \1"),
    (r"/v1/jobs/([^/\s]+)/runs", r"tuner runs \1"),
    (r"/v1/jobs/([^/\s]+)/standing", r"tuner report \1"),
    (r"/v1/teams/([^/\s]+)/members", r"tuner admin member list \1"),
    (r"/v1/jobs", "tuner jobs"),
    (r"/v1/workloads", "tuner workloads"),
    (r"/v1/workers", "tuner workers"),
    (r"/v1/webhooks", "tuner webhook list"),
    (r"/v1/users", "tuner admin user list"),
    (r"/v1/teams", "tuner admin team list"),
    (r"/v1/tokens", "tuner admin token list"),
    (r"/v1/schedules/families", "tuner schedule families"),
)
_CALLS: Final = tuple((re.compile(rf"`?\bGET {path}(?![\w/])`?"), f"`{command}`") for path, command in _COMMANDS)
_PLACEHOLDER: Final = re.compile(r"\{(\w+?)(?:_id)?\}")
_FIELDS: Final = tuple(
    (re.compile(rf"(?<![\w.]){field}(?![\w.]*\w)"), option)
    for field, option in (
        (r"search\.space\.peak_lr(?:\.(?:low|high|log))?", "--peak-lr"),
        (r"search\.space\.(warmup|floor)(?:\.\d+)?", r"--\1"),
        (r"search\.space\.warmup_shape(?:\.\d+)?", "--warmup-shape"),
        (r"search\.space\.preset", "--space"),
        (r"search\.space\.training", "--training"),
        (r"search\.steps_per_epoch", "--steps-per-epoch"),
        (r"search\.space\.families(?:\.\d+(?:\.name)?)?", "--family"),
        (r"search\.options\.(\w+)(?:\.(?:low|high|log|values(?:\.\d+)?))?", r"--vary \1"),
        (r"options\.(\w+)", r"--option \1"),
        (r"search\.incumbent\.([\w.]+)", r"--incumbent \1"),
        (r"search\.(budget|worth|trials|seeds|seed|sampler|pruner|incumbent)", r"--\1"),
        (r"search\.total_steps", "--total-steps"),
        (r"search\.least_gain", "--least-gain"),
        (r"search\.range_test(?!\.)", "--range-test"),
        (r"search\.range_test\.(steps|low|high|seeds)", r"--\1"),
        (r"search\.prune", "--no-prune"),
        (r"resources\.(device|devices)", r"--\1"),
        (r"resources\.memory_gib", "--memory-gib"),
        (r"limits\.(device|wall)_hours", r"--\1-hours"),
        (r"limits\.(target|patience)", r"--\1"),
        (r"(?:^|(?<=: ))(device)(?= must be)", r"--\1"),
        (r"(?<=: )workloads(?= must be)", "--workload"),
        (r"^workloads(?= must be)", "WORKLOAD"),
        (r"(database_url)(?= must be)", "--database-url"),
    )
)
_FIRST: Final = re.compile(r"^([a-z_]+)(?:\.\d+)?(?= (?:must|is) )")
_OPTIONS: Final = {
    "workload": "WORKLOAD",
    "url": "TARGET",
    "events": "--event",
    "lifetime_days": "--days",
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            *("name", "notes", "team", "priority", "longer", "reason", "user", "role", "label", "weight", "format"),
            *("budget", "trials", "total_steps", "trial"),
            *("state", "owner", "text", "sort", "limit", "after", "actor", "action"),
            *("highest_priority", "max_running_runs", "max_open_jobs", "device_hours_per_month"),
            *("user_max_running_runs", "user_max_open_jobs", "user_device_hours_per_month"),
        )
    },
}
"""The options of fields that stand alone, where a refusal of the service begins with them."""


def in_commands(text: str) -> str:
    """A text of the service or the library in the words of the command line.

    Each call of the API is replaced by the command that does the same, each field of a job by the option that sets it.

    Args:
        text: A problem's detail, a hint or a refusal.
    """
    for call, command in _CALLS:
        text = call.sub(partial(_command_of, command=command), text)
    for field, option in _FIELDS:
        text = field.sub(option, text)
    return text


def _command_of(call: re.Match[str], *, command: str) -> str:
    """The command for a call, its placeholders as in its help; braces elsewhere are a user's own."""
    return _PLACEHOLDER.sub(lambda name: name[1].upper(), call.expand(command))


def refusal_lines(detail: str, members: Mapping[str, Any]) -> str:
    """A problem of the service in the words of the command line: one line for each refused value.

    Args:
        detail: The problem's.
        members: The problem's own, by name.
    """
    listed = [one["msg"] for one in members.get("errors", ()) if isinstance(one, Mapping) and one.get("msg")]
    return "\n       ".join(map(refusal_in_options, listed if len(listed) > 1 else [detail]))


def refusal_in_options(text: str) -> str:
    """A refusal of the service in the words of the command line, also where it begins with a field that stands alone.

    Args:
        text: The refusal.
    """
    text = in_commands(text)
    return _FIRST.sub(lambda found: _OPTIONS.get(found[1], found[0]), text)
