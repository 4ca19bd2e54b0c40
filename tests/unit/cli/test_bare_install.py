"""Every command in an installation without extras: it works, or it names the extra that it needs."""

import json
import subprocess
import sys

import pytest

from tests.unit.cli.test_main import COMMANDS
from tuner.cli.help import examples

RUN = """
import json, os, shlex, sys
from tuner.extras import MODULES

BLOCKED = {name for names in MODULES.values() for name in names}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from typer.testing import CliRunner
from tuner.cli.main import app

ended = {}
for line in json.load(sys.stdin):
    done = CliRunner().invoke(app, shlex.split(line)[1:], input="")
    ended[line] = (done.exit_code, done.stderr)
json.dump(ended, sys.stdout)
"""
LINES = sorted({line.partition("  ")[0] for command in COMMANDS.values() for line in examples(command.help)})
NEEDS = {"tuner demo": "all", "tuner up": "all", "tuner serve": "service", "tuner worker ": "worker"}
NEEDS |= {"tuner workload check": "worker", "tuner db upgrade": "postgres", "tuner db roles": "postgres"}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    (folder / "my_tuning.py").touch()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TUNER_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", RUN]
    asked = json.dumps(LINES)
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", LINES)
def test_a_command_that_needs_an_extra_names_it_and_no_other_fails_for_the_lack_of_one(ended, line):
    code, said = ended[line]
    extra = next((extra for name, extra in NEEDS.items() if line.startswith(name)), None)
    assert "Traceback" not in said
    assert "is a bug" not in said
    if extra is None:
        assert "not installed" not in said
    else:
        assert code == 2
        assert f"pip install 'schedule-tuner[{extra}" in said
