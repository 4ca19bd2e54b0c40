import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tuner.cli.failures import ExitCode
from tuner.cli.main import app, main
from tuner.cli.output import show

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def commands() -> dict[str, Any]:
    """Every command of the application by its full name, the root included."""
    found = {}

    def collect(command, name):
        children = getattr(command, "commands", {})
        if not children or name == "tuner" or command.invoke_without_command:
            found[name] = command
        for child, sub in children.items():
            collect(sub, f"{name} {child}")

    collect(get_command(app), "tuner")
    return found


def groups() -> dict[str, Any]:
    """The groups of commands below the root that do nothing themselves, by their words."""
    found = {}

    def collect(command, name):
        for child, sub in getattr(command, "commands", {}).items():
            if getattr(sub, "commands", {}) and not sub.invoke_without_command:
                found[f"{name} {child}"] = sub
            collect(sub, f"{name} {child}")

    collect(get_command(app), "tuner")
    return found


COMMANDS = commands()
GROUPS = groups()


def options(command) -> set[str]:
    flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return {flag for flag in flags if flag.startswith("-")} - {"--help"}


def documented() -> dict[str, set[str]]:
    """The options that the page's tables list, by the heading that they stand under."""
    found: dict[str, set[str]] = {}
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
            found[heading] = set()
        elif line.startswith("| `"):
            found[heading] |= set(re.findall(r"`(-[-a-z]+)`", line.split("|")[1]))
    del found["Exit codes"]
    return found


class TestHelp:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_has_help_for_itself_and_each_option(self, name):
        result = CliRunner().invoke(app, [*name.split()[1:], "--help"])
        assert result.exit_code == 0
        assert result.output.startswith(f"Usage: {'tuner' if name == 'tuner' else 'tuner ' + name[6:]}")
        assert all(parameter.help for parameter in COMMANDS[name].params if parameter.opts != ["job"])

    def test_help_imports_nothing_heavy(self):
        code = """
            import sys
            from typer.testing import CliRunner
            from tuner.cli.main import app
            assert CliRunner().invoke(app, ["--help"]).exit_code == 0
            heavy = {"torch", "optuna", "sqlalchemy", "fastapi", "matplotlib", "httpx2", "numpy", "pydantic"}
            print(*sorted(heavy & set(sys.modules)))
        """
        lines = [line.strip() for line in code.strip().splitlines()]
        done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
        assert done.stdout == "\n"

    def test_the_version_is_that_of_the_distribution(self):
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", CliRunner().invoke(app, ["--version"]).stdout)


class TestThePage:
    def test_it_documents_every_command_and_no_other(self):
        assert set(documented()) == set(COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_it_documents_every_option_and_no_other(self, name):
        assert documented()[name] == options(COMMANDS[name])

    def test_it_documents_every_exit_code(self):
        codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(), flags=re.MULTILINE)}
        assert codes == {code.value for code in ExitCode}


class TestErrors:
    def test_an_unreachable_service_is_one_line_and_its_exit_code(self):
        result = CliRunner().invoke(app, ["jobs", "--url", "http://127.0.0.1:9"])
        assert result.exit_code == ExitCode.UNREACHABLE
        assert result.stdout == ""
        assert result.stderr.startswith("Error: no service answers at http://127.0.0.1:9 (")
        assert "`tuner up`" in result.stderr
        assert result.stderr.count("\n") == 1

    def test_a_wrong_value_is_refused_with_what_is_allowed(self):
        result = CliRunner().invoke(app, ["jobs", "--state", "done"])
        assert result.exit_code == ExitCode.REFUSED
        assert "'done' is not one of 'queued', 'running', 'paused', 'completed', 'cancelled', 'failed'" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("schedule", "preview", "--total-steps", "0"), "'--total-steps': it must be at least 1, got '0'"),
            (("submit", "--seeds", "abc"), "'--seeds': it must be a whole number, got 'abc'"),
            (("up", "--port", "99999"), "it must be at most 65535, got '99999'"),
            (("schedule", "export", "--floor", "low"), "'--floor': it must be a number, got 'low'"),
            (("submit", "--priority", "urgent"), "'--priority': 'urgent' is not one of 'low', 'normal', 'high'"),
        ],
    )
    def test_a_refused_option_names_itself_its_value_and_what_is_allowed_in_one_line(self, arguments, message):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == ExitCode.REFUSED
        assert message in result.stderr.splitlines()[-1]

    @pytest.mark.parametrize(
        "arguments", [("export", "--format", "csv", "--total-steps", "99999"), ("export",), ("preview",)]
    )
    def test_a_reader_that_ends_early_ends_the_command_quietly(self, arguments):
        reading, writing = os.pipe()
        os.close(reading)
        words = ("schedule", *arguments, "--family", "constant")
        with os.fdopen(writing, "wb") as output:
            code = "from tuner.cli.main import main; main()"
            done = subprocess.run(
                [sys.executable, "-c", code, *words], stdout=output, stderr=subprocess.PIPE, check=False
            )
        assert (done.returncode, done.stderr) == (ExitCode.PIPE_CLOSED, b"")

    def test_an_argument_that_is_no_utf_8_is_refused_as_such(self):
        result = CliRunner().invoke(app, ["submit", os.fsdecode(b"caf\xe9"), "--url", "http://127.0.0.1:9"])
        assert result.exit_code == ExitCode.REFUSED
        assert result.stderr.startswith("Error: the command line must be text in UTF-8, got ")
        assert "caf\\udce9" in result.stderr

    def test_a_terminal_without_a_character_shows_its_number(self, monkeypatch):
        output = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="latin-1"))
        monkeypatch.setattr("tuner.cli.main.app", lambda **_: show("a loss \u2264 1"))
        with pytest.raises(SystemExit):
            main()
        sys.stdout.flush()
        assert output.getvalue() == b"a loss \\u2264 1\n"

    @pytest.mark.parametrize(
        "url", ["foo", "localhost:8642", "ftp://host", "http://", "http://host:port", "http://[::1"]
    )
    def test_a_text_that_is_no_address_is_a_usage_error(self, url):
        result = CliRunner().invoke(app, ["jobs", "--url", url])
        assert result.exit_code == ExitCode.REFUSED
        assert result.stderr == f"Error: --url must be an address like http://127.0.0.1:8642, got '{url}'\n"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("demo", "--budget", "0"), "--budget must be at least 1, got 0.0"),
            (("demo", "--workload", "nope"), "--workload must be one of digits-cnn, digits-mlp, "),
            (("demo", "--total-steps", "3"), "--total-steps must be at least 10, got 3"),
            (
                ("up", "--workload", "no_such_module:Mine"),
                "--workload must be module:Class of a module that Python finds, got 'no_such_module:Mine'. There is no",
            ),
            (("up", "--device", "gpu0"), "--device must be auto or one of those this worker can see"),
            (
                ("up", "--database-url", "mysql://me@host/tuner"),
                "--database-url must be sqlite:///path/to/file.db or postgresql://",
            ),
            (
                ("up", "--host", "0.0.0.0", "--auth", "off"),
                "--auth must be on or auto where the service listens on 0.0.0.0, got 'off'. Without a login",
            ),
        ],
    )
    def test_bad_values_are_refused_before_any_process_starts(self, arguments, message, tmp_path):
        result = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path / "data")])
        assert result.exit_code == ExitCode.REFUSED
        assert result.stderr.startswith(f"Error: {message}")
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "data").exists()

    def test_a_folder_that_cannot_be_made_is_named_with_the_reason(self, tmp_path):
        (tmp_path / "file").write_text("")
        folder = tmp_path / "file" / "data"
        result = CliRunner().invoke(app, ["up", "--port", "0", "--data-dir", str(folder)])
        assert result.exit_code == ExitCode.REFUSED
        assert result.stderr.startswith(f"Error: {folder}")
        assert result.stderr.endswith(" cannot be used: Not a directory\n")

    def test_a_service_on_a_port_in_use_is_refused_before_it_starts(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = CliRunner().invoke(app, ["serve", "--port", str(port), "--data-dir", str(tmp_path / "data")])
        assert result.exit_code == ExitCode.REFUSED
        assert result.stderr.startswith("Error: --port must be free on 127.0.0.1 (Address already in use)")

    def test_debug_shows_where_an_error_came_from(self):
        result = CliRunner().invoke(app, ["--debug", "jobs", "--url", "http://127.0.0.1:9"])
        assert type(result.exception).__name__ == "ServiceUnreachable"
