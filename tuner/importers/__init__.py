"""Schedules that scripts use today, read from what the scripts have: the reverse of `tuner.exports`."""

from tuner.importers.importer import MAX_TEXT, ScheduleSource, SteppedPer, import_schedule, import_text

__all__ = ["MAX_TEXT", "ScheduleSource", "SteppedPer", "import_schedule", "import_text"]
