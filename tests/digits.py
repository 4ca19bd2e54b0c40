"""A workload as a worker announces it, a request for it, and schedules."""

from __future__ import annotations

from typing import Any

from tuner.jobs.records import Level, WorkloadInfo
from tuner.schedules import Constant, Cosine, Schedule, Warmup, Wsd
from tuner.search.space import OptimizerKind

DIGITS = WorkloadInfo(
    name="digits-mlp",
    version="1",
    level=Level.DECLARED,
    description="Handwritten digits.",
    options_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "width": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1024,
                "default": 64,
                "description": "Units per layer.",
            },
            "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.0, "description": "Share."},
            "optimizer": {"$ref": "#/$defs/Optimizer", "default": "sgd", "description": "What trains it."},
        },
        "$defs": {"Optimizer": {"type": "string", "enum": ["sgd", "adam"]}},
    },
    optimizer_option="optimizer",
    optimizer=OptimizerKind.SGD,
    default_steps=90,
    peak_lr={"sgd": (0.01, 1.0)},
)
REQUEST: dict[str, Any] = {
    "workload": "digits-mlp",
    "name": "a job",
    "search": {"total_steps": 90, "budget": 9, "trials": 3, "seeds": 3, "seed": 0},
}
SCHEDULES = (
    Schedule(peak_lr=0.1, family=Constant()),
    Schedule(peak_lr=0.1, family=Cosine(), warmup=Warmup(shape="linear", fraction=0.1)),
    Schedule(peak_lr=0.2, family=Wsd(cooldown=0.4, shape="1-sqrt")),
)
