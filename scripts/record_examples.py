"""Record again the examples of the API that the code computes: of schedules, of a workload's search, and a report.

    python scripts/record_examples.py

The other examples are edited by hand in service/tuner_service/examples.json; tests/contract holds them to their types.
"""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from tuner import OptimizerKind, Report, simulate_study
from tuner.api.families import FamilyView, FormatView
from tuner.api.workloads import WorkloadView
from tuner.exports import ExportFormat
from tuner.jobs.records import WorkloadInfo
from tuner.search.configuration import Configuration
from tuner.search.range_test.result import RangeTest, SweepCurve, range_test
from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.settings import Settings

EXAMPLES = Path(__file__).parents[1] / "service" / "tuner_service" / "examples.json"
COMPUTED = (
    ("/v1/schedules/preview", "PreviewRequest", "cosine", {"points": 3}, "Preview"),
    ("/v1/schedules/scale", "ScaleRequest", "adam", {}, "ScaledSchedule"),
)
"""Path, schema and name of the request, changes to it, and schema of the response."""


def report(job: dict[str, Any]) -> Report:
    """A report of the job of the other examples, on a formula instead of training."""

    def oracle(configuration: Configuration, steps: int, seed: int) -> tuple[list[tuple[int, float]], float]:
        schedule = configuration.schedule
        last = schedule.lrs(steps)[-1] / schedule.peak_lr
        final = 0.24 + 0.03 * math.log10(schedule.peak_lr / 0.1) ** 2 + 0.08 * last + 0.001 * (seed % 7)
        return [(step, final + 0.4 * (1 - step / steps)) for step in range(30, steps + 1, 30)], final

    found = simulate_study(oracle, space=OptimizerKind.SGD, total_steps=600, budget=job["spec"]["search"]["budget"])
    names = {"job_id": job["id"], "job_name": job["spec"]["name"], "workload": job["spec"]["workload"]}
    of_job = found.model_copy(update={**names, "options": job["spec"]["options"]})
    # Its next steps name the job in commands.
    return Report.model_validate_json(of_job.model_dump_json().replace(f" {found.job_id}", f" {job['id']}"))


def sweep() -> RangeTest:
    """A range test of five evaluations, on a formula."""
    rates = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    losses = (2.3, 2.1, 1.4, 1.1, 3.0)
    points = tuple((40 * place, rate, loss) for place, (rate, loss) in enumerate(zip(rates, losses, strict=True), 1))
    return range_test([SweepCurve(seed=0, points=points)], low=1e-5, high=1.0, steps=200)


def plain(value: object) -> Any:
    """A value of a wire type as JSON."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def main() -> None:
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with closing(Store.open(settings.database)) as store:
            client = TestClient(create_app(settings, store=store), base_url="http://127.0.0.1:8642")
            for path, request, name, changes, response in COMPUTED:
                body = examples["requests"][request][name]["value"] | changes
                examples["responses"][response] = client.post(path, json=body).raise_for_status().json()
            exported = examples["requests"]["ExportRequest"]["torch"]["value"]
            examples["media_types"]["text/x-python"] = client.post("/v1/schedules/export", json=exported).text
    responses = examples["responses"]
    responses["FamilyView"] = plain(FamilyView.of("wsd"))
    responses["FormatView"] = plain(FormatView.of(ExportFormat.TORCH_BUILTIN))
    info = TypeAdapter(WorkloadInfo).validate_python(
        {name: value for name, value in responses["WorkloadView"].items() if name != "default_search"}
    )
    responses["WorkloadView"] = plain(WorkloadView.of(info))
    responses["Report"] = report(responses["JobDetail"]).model_dump(mode="json")
    responses["RangeTest"] = sweep().model_dump(mode="json")
    EXAMPLES.write_text(json.dumps(examples, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
