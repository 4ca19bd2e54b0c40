"""Workloads that are commands: ``python train.py ...`` or anything else that can be started, in a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tuner.errors import MISSING, InvalidValue
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.search.space import OptimizerKind
from tuner.training.command_process import PLACEHOLDER, run_command
from tuner.training.options import WorkloadOptions
from tuner.training.run import TrainingRun
from tuner.training.workload import OpaqueWorkload, Workload
from tuner.validation import allowed_by

_GIVEN = ("python", "device", "lrs_file", "reports", "schedule_file", "seed", "snapshot_dir", "total_steps")
"""What an argument may hold besides the options."""
_TYPES: Mapping[str, type] = {"integer": int, "number": float, "string": str, "boolean": bool}


class CommandOption(BaseModel):
    """One option of a command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["integer", "number", "string", "boolean"]
    default: bool | int | float | str
    description: str = Field(min_length=1)
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: tuple[int | float | str, ...] | None = Field(default=None, min_length=1)
    pattern: str | None = None


class CommandFile(BaseModel):
    """What a command file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    description: str
    command: tuple[str, ...] = Field(min_length=1)
    """The program and its arguments; no shell reads them. ``{option}`` stands for an option's value."""
    folder: str = "."
    """Where it runs; relative to the file."""
    default_steps: int
    optimizer: OptimizerKind
    peak_lr: float | tuple[float, float] | None = None
    metric: Metric = DEFAULT_METRIC
    options: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], CommandOption] = {}


class CommandWorkload(OpaqueWorkload):
    """Starts a command for every run, passes the schedule in files, and reads its reports."""

    command: ClassVar[tuple[str, ...]]
    folder: ClassVar[Path]

    def train(self, run: TrainingRun, options: WorkloadOptions) -> None:
        """Run the command to its end.

        Raises:
            WorkloadError: It cannot be started, ends with another code than 0, or writes a report that is none.
            RunStopped: The run is over; the command and all that it started are gone.
        """
        run_command(self.command, run=run, folder=self.folder, options=options.model_dump(mode="json"))


def read_command_file(path: Path) -> Workload:
    """The workload that a command file describes.

    Raises:
        OSError: The file cannot be read.
        InvalidValue: It is no TOML, or something in it is missing, unknown or out of range.
    """
    try:
        file = CommandFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(str(path), value=str(error), allowed="a TOML file, in UTF-8") from None
    except ValidationError as error:
        raise _refused(error, path=path) from None
    _check_placeholders(file, path=path)
    attributes = {
        "__doc__": file.description,
        "name": file.name,
        "version": file.version,
        "description": file.description,
        "default_steps": file.default_steps,
        "optimizer": file.optimizer,
        "peak_lr": {} if file.peak_lr is None else {file.optimizer: file.peak_lr},
        "metric": file.metric,
        "Options": _options_class(file, path=path),
        "command": file.command,
        "folder": (path.resolve().parent / file.folder).resolve(),
    }
    made: Workload = type("CommandWorkload", (CommandWorkload,), attributes)()
    return made


def _check_placeholders(file: CommandFile, *, path: Path) -> None:
    known = {*_GIVEN, *file.options}
    clash = sorted(set(_GIVEN) & file.options.keys())
    if clash:
        raise InvalidValue(f"{path}: options", value=clash[0], allowed="another name: every command gets that one")
    for argument in file.command:
        for found in PLACEHOLDER.finditer(argument):
            if found[1] is not None and found[1] not in known:
                allowed = f"made of placeholders among {', '.join(sorted(known))} ('{{{{' is a brace)"
                raise InvalidValue(f"{path}: command", value=argument, allowed=allowed)


def _options_class(file: CommandFile, *, path: Path) -> type[WorkloadOptions]:
    fields: dict[str, Any] = {}
    for name, option in file.options.items():
        kind: Any = Literal[option.choices] if option.choices is not None else _TYPES[option.type]
        pattern = option.pattern
        if pattern is None and option.type == "string" and option.choices is None and _leads(file.command, name=name):
            pattern = "^([^-]|$)"  # a value must not turn into an option of the command's
        limits = {"ge": option.minimum, "le": option.maximum, "pattern": pattern}
        bounds: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
        fields[name] = (kind, Field(default=option.default, description=option.description, **bounds))
    try:
        made = create_model("CommandOptions", __base__=WorkloadOptions, **fields)
        made.model_validate({name: option.default for name, option in file.options.items()}, strict=True)
    except ValidationError as error:
        raise _refused(error, path=path, within=("options",)) from None
    except Exception as error:  # a limit that its type does not have, a pattern that is none
        raise InvalidValue(f"{path}: options", value=str(error), allowed="limits that fit their types") from None
    return made


def _refused(error: ValidationError, *, path: Path, within: tuple[str, ...] = ()) -> InvalidValue:
    first = error.errors(include_url=False)[0]
    reason = first.get("ctx", {}).get("error")
    if isinstance(reason, InvalidValue):
        return InvalidValue(f"{path}: {reason.field}", value=reason.value, allowed=reason.allowed, hint=reason.hint)
    where = ".".join(map(str, (*within, *first["loc"])))
    value = MISSING if first["type"] == "missing" else first["input"]
    return InvalidValue(f"{path}: {where}", value=value, allowed=allowed_by(first))


def _leads(command: tuple[str, ...], *, name: str) -> bool:
    return any(argument.startswith(f"{{{name}}}") for argument in command)
