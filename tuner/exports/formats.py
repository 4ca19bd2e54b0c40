"""The names of the formats."""

from __future__ import annotations

from enum import StrEnum


class ExportFormat(StrEnum):
    """A format to export a schedule to."""

    JSON = "json"
    RECORD = "record"
    CSV = "csv"
    PYTHON = "python"
    TORCH = "torch"
    SCHEDULE_LR = "schedule-lr"
    TORCH_BUILTIN = "torch-builtin"
    HUGGINGFACE = "huggingface"
    LIGHTNING = "lightning"
    TIMM = "timm"
    COMPOSER = "composer"
    KERAS = "keras"
    OPTAX = "optax"
    DEEPSPEED = "deepspeed"
    MEGATRON = "megatron"
