"""Record again the examples of the API that the service itself computes: the conversions of schedules.

    python scripts/record_examples.py

The other examples are edited by hand in service/tuner_service/examples.json; tests/contract holds them to their types.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi.testclient import TestClient

from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.settings import Settings

EXAMPLES = Path(__file__).parents[1] / "service" / "tuner_service" / "examples.json"
COMPUTED = (
    ("/v1/schedules/preview", "PreviewRequest", "cosine", {"points": 3}, "Preview"),
    ("/v1/schedules/scale", "ScaleRequest", "adam", {}, "ScaledSchedule"),
)
"""Path, schema and name of the request, changes to it, and schema of the response."""


def main() -> None:
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with closing(Store.open(settings.database)) as store:
            client = TestClient(create_app(settings, store=store), base_url="http://127.0.0.1:8642")
            for path, request, name, changes, response in COMPUTED:
                body = examples["requests"][request][name]["value"] | changes
                examples["responses"][response] = client.post(path, json=body).raise_for_status().json()
    EXAMPLES.write_text(json.dumps(examples, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
