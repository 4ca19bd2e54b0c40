"""Runs the script that RECORDED_SCRIPT names, and leaves the rates that its first optimizer used in RECORDED_FOLDER.

In the place of the script on its own command line, so that launchers that start the script again start this.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

from tuner.schedules import Schedule
from tuner.training.checks.recording import recorded_optimizers

script = Path(os.environ["RECORDED_SCRIPT"]).resolve()
sys.path.insert(0, str(script.parent))
with recorded_optimizers() as record:
    runpy.run_path(str(script), run_name="__main__")
schedule = Schedule.from_json(Path(os.environ["TUNER_SCHEDULE_FILE"]).read_text(encoding="utf-8"))
content = {
    "rates": [max(rates) for rates in record.lrs[0]],
    "schedule": schedule.lrs(int(os.environ["TUNER_TOTAL_STEPS"])).tolist(),
}
(Path(os.environ["RECORDED_FOLDER"]) / f"{os.getpid()}.json").write_text(json.dumps(content), encoding="utf-8")
