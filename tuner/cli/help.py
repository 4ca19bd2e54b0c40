"""Help texts: commands and options in groups, defaults in brackets, examples as they are typed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from tuner.cli.suggestions import meant_command, meant_options

Function = TypeVar("Function", bound=Callable[..., Any])

_EXAMPLE: Final = re.compile(r"^Examples?:$")
_WORDS: Final = {int: "NUMBER", float: "NUMBER", str: "TEXT"}
_LONGEST_CHOICES: Final = 24  # a longer list of choices stands in the description
_EVERYWHERE: Final = frozenset({"--url", "--json"})
_EXTRA: Final = "Got unexpected extra argument(s)"
_OPTIONS: Final = "Options"
_COMMANDS: Final = "Commands"
COMMON: Final = "Service and output"
"""Group of the options that most commands have; they stand among the others where a command has no groups."""


class Command(TyperCommand):
    """A command whose help has its options in groups and its examples as they are typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; an error says what was meant."""
        with _explained(self, ctx=ctx):
            return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after the name in the usage line."""
        return _usage(self)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description."""
        _write_description(self, formatter=formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write_parameters(self, ctx=ctx, formatter=formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(self, formatter=formatter)


class Commands(TyperGroup):
    """A group of commands, listed under the headings that they were added with."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words before the command; an error says what was meant."""
        with _explained(self, ctx=ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command; an error says what was meant."""
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            meant = meant_command(args[0]) if ctx.parent is None else ""
            if meant:
                error.message = f"No such command '{args[0]}'. Did you mean `{meant}`?"
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after the name in the usage line."""
        command = "[COMMAND]" if self.invoke_without_command else "COMMAND"
        return [*_usage(self), command, "[ARGS]..."]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description."""
        _write_description(self, formatter=formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options of the group itself, and its commands."""
        _write_parameters(self, ctx=ctx, formatter=formatter)
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                heading = getattr(command, "rich_help_panel", None) or _COMMANDS
                groups.setdefault(heading, []).append((name, summary(command.help or "")))
        width = max((len(name) for rows in groups.values() for name, _ in rows), default=0)
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(self, formatter=formatter)


class App(typer.Typer):
    """A group of commands with help texts as this module writes them.

    Args:
        help: What its commands are for; the docstring of its callback when absent.
        examples: Commands of it as they are typed, with ``help``.
        cls: The class of the group.
        invoke_without_command: Whether it does something itself.
    """

    def __init__(
        self,
        *,
        help: str | None = None,
        examples: Sequence[str] = (),
        name: str | None = None,
        cls: type[Commands] = Commands,
        invoke_without_command: bool = False,
    ) -> None:
        shown = "".join(f"\n    {line}" for line in examples)
        texts: dict[str, Any] = {} if help is None else {"help": f"{help}\n\nExamples:{shown}" if shown else help}
        super().__init__(
            name=name,
            cls=cls,
            **texts,
            context_settings={"help_option_names": ["--help", "-h"]},
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            invoke_without_command=invoke_without_command,
            no_args_is_help=not invoke_without_command,
        )

    def command(
        self, name: str | None = None, *, group: str | None = None, **rest: Any
    ) -> Callable[[Function], Function]:
        """Add a command.

        Args:
            name: Its name; that of the function when absent.
            group: Heading under which the help lists it.
            rest: As typer takes it.
        """
        return super().command(name, cls=Command, rich_help_panel=group, **rest)


@contextmanager
def _explained(command: Any, *, ctx: Any) -> Iterator[None]:
    """Errors of the parser inside it say what was meant, or what is missing."""
    try:
        yield
    except typer.TyperException as error:
        if hasattr(error, "possibilities"):  # an option that does not exist
            _explain_option(error, command=command, ctx=ctx)
        if error.message.startswith(_EXTRA):
            _explain_extra(error, command=command)
        parameter = getattr(error, "param", None)
        if hasattr(error, "param_type") and isinstance(parameter, TyperArgument) and parameter.help:
            error.message = parameter.help
        raise


def _explain_extra(error: Any, *, command: Any) -> None:
    from tuner.schedules import FAMILIES

    known = {name for one in command.params for name in one.opts}
    word = error.message[len(_EXTRA) :].strip("() ").split(" ")[0]
    if "=" in word and "--option" in known:
        error.message = f"{error.message}. An option of the workload is set as in `--option {word}`"
    elif word in FAMILIES and "--family" in known:
        error.message = f"{error.message}. A family is named by `--family {word}`"


def _explain_option(error: Any, *, command: Any, ctx: Any) -> None:
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    meant = meant_options(error.option_name, known=known)
    error.possibilities = None
    if meant:
        error.message = f"{error.message}. Did you mean {' or '.join(meant)}?"
    elif ctx.parent is None and error.option_name in _EVERYWHERE:
        error.message = f"{error.message} here: it stands after the command, as in `tuner jobs {error.option_name}`"
    if "--option" in known and len(meant) != 1:
        name = error.option_name.lstrip("-")
        error.message = f"{error.message}. Options of the workload are set as in `--option {name}=VALUE`"


def examples(text: str) -> tuple[str, ...]:
    """The examples of a docstring: the indented lines below ``Example:``, as they are typed."""
    return tuple(line.strip() for line in _parts(text)[1])


def summary(text: str) -> str:
    """The first sentence of a docstring, without its full stop."""
    return inspect.cleandoc(text).split("\n\n", 1)[0].replace("\n", " ").rstrip(".")


def _parts(text: str) -> tuple[str, list[str]]:
    """The description of a docstring, and the lines of its examples."""
    lines = inspect.cleandoc(text).splitlines()
    start = next((number for number, line in enumerate(lines) if _EXAMPLE.match(line)), len(lines))
    return "\n".join(lines[:start]).strip(), [line for line in lines[start + 1 :] if line.strip()]


def _usage(command: Any) -> list[str]:
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    return ["[OPTIONS]", *(_word(one) if one.required else f"[{_word(one)}]" for one in arguments)]


def _write_description(command: Any, *, formatter: Any) -> None:
    description, _ = _parts(command.help or "")
    if description:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(description)


def _write_examples(command: Any, *, formatter: Any) -> None:
    lines = examples(command.help or "")
    if lines:
        with formatter.section("Example" if len(lines) == 1 else "Examples"):
            for line in lines:  # as it is typed: never wrapped
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _write_parameters(command: Any, *, ctx: Any, formatter: Any) -> None:
    shown = [one for one in command.get_params(ctx) if not getattr(one, "hidden", False)]
    arguments = [(_word(one), _help_of(one)) for one in shown if isinstance(one, TyperArgument)]
    if arguments:
        with formatter.section("Arguments"):
            formatter.write_dl(arguments)
    options = [one for one in shown if isinstance(one, TyperOption)]
    is_grouped = any(one.rich_help_panel not in (None, COMMON) for one in options)
    groups: dict[str, list[tuple[str, str]]] = {}
    for one in options:
        heading = one.rich_help_panel or (COMMON if one.name == "help" else _OPTIONS)
        groups.setdefault(heading if is_grouped else _OPTIONS, []).append((_names(one), _help_of(one)))
    if COMMON in groups:
        groups[COMMON] = groups.pop(COMMON)
    for heading, rows in groups.items():
        with formatter.section(heading):
            formatter.write_dl(rows, col_max=26)


def _names(option: TyperOption) -> str:
    short_first = sorted(option.opts, key=len)
    names = ", ".join(short_first)
    if option.secondary_opts:
        names += " / " + ", ".join(option.secondary_opts)
    return names if option.is_flag else f"{names} {_word(option)}"


def _word(parameter: Any) -> str:
    """What stands for the value of a parameter."""
    if parameter.metavar:
        return str(parameter.metavar)
    if isinstance(parameter, TyperArgument):
        return parameter.name.upper()
    choices = _choices(parameter)
    if choices:
        joined = "|".join(choices)
        return joined if len(joined) <= _LONGEST_CHOICES else parameter.name.upper().replace("_", "-")
    kind = parameter.type_descriptor.annotation
    kind = next(iter(getattr(kind, "__args__", ())), kind)
    return _WORDS.get(kind, "TEXT")


def _choices(parameter: Any) -> tuple[str, ...]:
    described = parameter.type_descriptor
    return tuple(str(getattr(one, "value", one)) for one in described.choices or ()) if described.is_choice else ()


def _help_of(parameter: Any) -> str:
    return "  ".join(part for part in (parameter.help or "", _extra(parameter)) if part)


def _extra(parameter: Any) -> str:
    parts = list(_facts(parameter))
    return f"[{'; '.join(parts)}]" if parts else ""


def _facts(parameter: Any) -> Iterable[str]:
    choices = _choices(parameter)
    if choices and _word(parameter) != "|".join(choices):
        yield f"one of {', '.join(choices)}"
    default = _default(parameter)
    if default:
        yield f"default: {default}"
    low, high = parameter.min, parameter.max
    if low is not None or high is not None:
        yield (
            f"{low:,} to {high:,}"
            if None not in (low, high)
            else f"from {low:,}"
            if high is None
            else f"up to {high:,}"
        )
    if parameter.envvar:
        yield f"env: {parameter.envvar}"


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if not parameter.show_default or value in (None, "", ()) or isinstance(value, bool) or callable(value):
        return ""
    return str(getattr(value, "value", value))
