"""Runs the script that RECORDED_SCRIPT names, and leaves the rates that its first optimizer used in RECORDED_FOLDER.

In the place of the script on its own command line, so that launchers that start the script again start this.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from tuner.schedules import Schedule
from tuner.training.checks.recording import recorded_optimizers

if find_spec("timm") and not find_spec("torchvision"):  # timm's schedulers need torch alone
    sys.path.append(str(Path(__file__).parents[2]))
    from tests.unit.exports.drivers import timm_schedulers

    timm_schedulers()
script = Path(os.environ["RECORDED_SCRIPT"]).resolve()
file = Path(os.environ["RECORDED_FOLDER"]) / f"{os.getpid()}.json"
schedule = Schedule.from_json(Path(os.environ["TUNER_SCHEDULE_FILE"]).read_text(encoding="utf-8"))
lrs = schedule.lrs(int(os.environ["TUNER_TOTAL_STEPS"])).tolist()


def write(updates: int) -> None:
    """At every update: the first process ends the others when it has ended."""
    rates = [max(groups) for groups in record.lrs[0]]
    file.write_text(json.dumps({"rates": rates, "schedule": lrs}), encoding="utf-8")


sys.path.insert(0, str(script.parent))
with recorded_optimizers(on_update=write) as record:
    # Not `runpy`, which shows the script as sys.argv[0], and a launcher would start that one again.
    exec(compile(script.read_text(encoding="utf-8"), script, "exec"), {"__name__": "__main__", "__file__": str(script)})
