"""What was meant by a command or an option that does not exist. Pure."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

_COMMANDS: Final = {
    "tuner jobs": "list ls ps job all",
    "tuner show JOB": "status info get describe progress",
    "tuner submit WORKLOAD": "run train tune start-job new-job create add search optimize fit",
    "tuner up": "start server service launch",
    "tuner cancel JOB": "stop kill abort end",
    "tuner delete JOB": "rm remove del",
    "tuner set JOB": "edit update change modify",
    "tuner report JOB": "result results best recommend recommendation answer",
    "tuner schedule export --job JOB": "export code",
    "tuner schedule preview --family NAME": "preview draw plot",
    "tuner schedule families": "families family schedules",
    "tuner schedule formats": "formats",
    "tuner workload new FILE": "init new template",
    "tuner workload check MODULE:CLASS": "check validate test",
    "tuner admin team list": "team teams",
    "tuner admin user list": "user users",
    "tuner admin token list": "token tokens",
    "tuner webhook list": "webhooks hooks",
    "tuner db upgrade": "migrate upgrade",
    "tuner db backup FILE": "backup",
    "tuner --help": "help",
    "tuner --version": "version",
}
_MEANT: Final = {word: command for command, words in _COMMANDS.items() for word in words.split()}
_OPTIONS: Final = {
    "--total-steps": "epochs steps max-steps num-steps updates iterations max-epochs num-epochs",
    "--peak-lr": "lr learning-rate max-lr base-lr peak",
    "--floor": "min-lr eta-min lr-min",
    "--family": "families schedule scheduler schedules lr-scheduler",
    "--warmup": "warm-up warmup-steps warmup-ratio warmup-fraction warmup-epochs",
    "--space": "preset",
    "--steps-per-epoch": "updates-per-epoch iterations-per-epoch",
    "--budget": "runs full-runs max-runs cost",
    "--trials": "n-trials max-trials num-samples",
    "--vary": "range search space sweep",
    "--option": "options opt set hparam",
    "--incumbent": "baseline current",
    "--from": "resume from-job job base",
    "--dry-run": "dryrun preview price estimate check",
    "--watch": "follow wait",
    "--follow": "watch wait f",
    "--memory-gib": "memory mem ram",
    "--device": "gpu gpus cuda cpu devices",
    "--wall-hours": "timeout time-limit max-time hours",
    "--json": "output-json format-json j",
    "--limit": "n max count",
    "--yes": "force",
    "--data-dir": "dir folder data",
    "--format": "to type",
    "--workload": "workloads module",
}
_MEANT_OPTIONS: Final = {word: option for option, words in _OPTIONS.items() for word in words.split()}


def meant_command(word: str) -> str:
    """The command that does what a word usually means; empty for other words.

    Args:
        word: As it was typed in the place of a command.
    """
    return _MEANT.get(word.lower().replace("_", "-"), "")


def meant_options(typed: str, *, known: Collection[str]) -> tuple[str, ...]:
    """The options of a command that an unknown one may stand for, the likeliest first.

    Args:
        typed: The unknown option, with its dashes.
        known: The options of the command.
    """
    name = typed.lstrip("-").lower().replace("_", "-")
    usual = _MEANT_OPTIONS.get(name)
    if usual is not None and usual in known:
        return (usual,)
    long = [one for one in known if one.startswith("--")]
    return tuple(get_close_matches(f"--{name}", long, n=2, cutoff=0.75))
