"""Workloads that are commands: ``python train.py ...`` or anything else that can be started, in a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tuner.errors import MISSING, InvalidValue
from tuner.metric import DEFAULT_METRIC, Metric
from tuner.search.space import OptimizerKind, TrainingKind
from tuner.training.commands.command_process import PLACEHOLDER, run_command
from tuner.training.options import WorkloadOptions
from tuner.training.run import TrainingRun
from tuner.training.workload import OpaqueWorkload, Workload
from tuner.validation import allowed_by

_GIVEN = ("python", "device", "lrs_file", "reports", "schedule_file", "seed", "snapshot_dir", "total_steps")
"""What an argument may hold besides the options."""
_LONGEST_TEXT = 4_000
"""Characters of a text option, which a command gets in arguments and variables: the system takes 128 KiB of each."""
_TEXT = r"^[^\x00]*$"
_NO_OPTION = r"^([^-\x00][^\x00]*)?$"
"""Text that does not turn an argument into an option of the command's."""
_WOULD_BE_OPTIONS = ("-", "--", "-x", "--x", "--x=1", "-1", "--evil=1", "-e")
_NUMBERS = ("integer", "number")
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
    training: TrainingKind = TrainingKind.SCRATCH
    metric: Metric = DEFAULT_METRIC
    needs_lrs: bool = False
    """Whether the program reads the file that TUNER_LRS_FILE names; one that gets it as an argument always does."""
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
    _check_beginnings(file, path=path)
    attributes = {
        "__doc__": file.description,
        "name": file.name,
        "version": file.version,
        "description": file.description,
        "default_steps": file.default_steps,
        "optimizer": file.optimizer,
        "peak_lr": {} if file.peak_lr is None else {file.optimizer: file.peak_lr},
        "training_kind": file.training,
        "metric": file.metric,
        "needs_lrs": file.needs_lrs or any("lrs_file" in PLACEHOLDER.findall(argument) for argument in file.command),
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


def _check_beginnings(file: CommandFile, *, path: Path) -> None:
    """Refuse what could make an option of the command's out of an option's value.

    Raises:
        InvalidValue: A pattern allows a value that begins with ``-`` where an argument begins with it, or text follows
            a number that may be negative.
    """
    for argument in file.command:
        leading = _leading_options(argument, file=file)
        for name in leading:
            option = file.options[name]
            allowed_beginnings = [text for text in _WOULD_BE_OPTIONS if re.search(option.pattern or _NO_OPTION, text)]
            if option.type == "string" and option.choices is None and allowed_beginnings:
                field = f"{path}: options.{name}.pattern"
                allowed = f"one that refuses {allowed_beginnings[0]!r}, as the argument {argument!r} begins with it"
                raise InvalidValue(field, value=option.pattern, allowed=allowed)
        first = file.options.get(leading[0]) if leading else None
        is_alone = leading and argument == f"{{{leading[0]}}}"
        if (
            first is not None
            and first.type in _NUMBERS
            and not is_alone
            and (first.minimum is None or first.minimum < 0)
        ):
            field = f"{path}: options.{leading[0]}.minimum"
            allowed = f"at least 0, as the argument {argument!r} begins with it and goes on"
            raise InvalidValue(field, value=first.minimum, allowed=allowed)


def _leading_options(argument: str, *, file: CommandFile) -> tuple[str, ...]:
    """The options that an argument may begin with: the first one, and each after one whose value may be empty."""
    found, end = [], 0
    for placeholder in PLACEHOLDER.finditer(argument):
        option = file.options.get(placeholder[1] or "")
        if placeholder.start() != end or option is None:
            break
        found.append(placeholder[1])
        end = placeholder.end()
        if option.type != "string" or (option.choices is not None and "" not in option.choices):
            break
    return tuple(found)


def _options_class(file: CommandFile, *, path: Path) -> type[WorkloadOptions]:
    fields: dict[str, Any] = {}
    for name, option in file.options.items():
        kind: Any = Literal[option.choices] if option.choices is not None else _TYPES[option.type]
        limits: dict[str, Any] = {"ge": option.minimum, "le": option.maximum}
        if option.type == "string" and option.choices is None:
            leads = any(name in _leading_options(argument, file=file) for argument in file.command)
            limits |= {"pattern": option.pattern or (_NO_OPTION if leads else _TEXT), "max_length": _LONGEST_TEXT}
        elif option.pattern is not None:
            limits |= {"pattern": option.pattern}
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
    errors = error.errors(include_url=False)
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])  # a typo may leave one missing
    reason = first.get("ctx", {}).get("error")
    if isinstance(reason, InvalidValue):
        return InvalidValue(f"{path}: {reason.field}", value=reason.value, allowed=reason.allowed, hint=reason.hint)
    where = ".".join(map(str, (*within, *first["loc"])))
    if first["type"] == "extra_forbidden":
        parts: dict[str, type[BaseModel]] = {"options": CommandOption, "metric": Metric}
        model = parts.get(where.partition(".")[0], CommandFile)
        close = get_close_matches(str(first["loc"][-1]), model.model_fields, n=1)
        hint = f"Did you mean {close[0]}?" if close else ""
        return InvalidValue(
            f"{path}: the key", value=where, allowed=f"one of {', '.join(model.model_fields)}", hint=hint
        )
    value = MISSING if first["type"] == "missing" else first["input"]
    return InvalidValue(f"{path}: {where}", value=value, allowed=allowed_by(first))
