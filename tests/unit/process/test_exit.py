"""A process that has done its work ends, whatever a library has left running in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

MAINS = {
    "worker": "tuner_worker.__main__",
    "service": "tuner_service.__main__",
}
CODE = """
import sys, threading, types
from {module} import main, limit_exit
import {module} as module
package = types.ModuleType("process")
def work(*_, **__):
    threading.Thread(target=threading.Event().wait, name="left-behind").start()
    return 0
package.main = work
import {package}
{package}.process = package
sys.modules["{package}.process"] = package
module.require = lambda *_, **__: None
module.limit_exit = lambda: limit_exit({seconds})
sys.exit(main())
"""


@pytest.mark.parametrize("name", MAINS)
def test_a_thread_that_a_library_has_left_does_not_hold_up_the_end_and_is_shown(name: str) -> None:
    module = MAINS[name]
    code = CODE.format(module=module, package=module.partition(".")[0], seconds=0.5)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "in wait" in ended.stderr


def test_a_process_that_ends_by_itself_has_its_own_exit_code() -> None:
    code = "import sys; from tuner.process.exit import limit_exit; limit_exit(); sys.exit(3)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (3, "")
