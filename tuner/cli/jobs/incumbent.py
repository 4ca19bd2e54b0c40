"""``tuner submit --incumbent``: the schedule that is used today, from a file, in words, or of a finished job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tuner.cli.ids import LATEST, find_job
from tuner.cli.parsing import parse_assignments, read_document, read_text
from tuner.cli.request import request
from tuner.cli.schedule_documents import check_family, in_flags, read_schedule, schedule_document
from tuner.errors import InvalidValue
from tuner.jobs.admission.settings_names import where_set

if TYPE_CHECKING:
    from tuner.client import Client
    from tuner.schedules import Schedule

OPTION: Final = "--incumbent"
_JOB: Final = re.compile(rf"{LATEST}|[0-9a-f-]+", re.IGNORECASE)
_EXAMPLE: Final = "cosine,peak-lr=3e-4,warmup=5%"


def read_incumbent(
    text: str, *, url: str, total_steps: int | None, steps_per_epoch: int | None = None
) -> dict[str, Any]:
    """The schedule that an ``--incumbent`` names, as JSON.

    Args:
        text: A JSON file, ``-`` for standard input; a family with the options of ``tuner schedule preview`` as
            ``NAME=VALUE``, separated by commas; or the id of a finished job, for its recommended schedule.
        url: Address of the service; used only for a job.
        total_steps: The horizon, to which a job's schedule is scaled; the job's own when ``None``.
        steps_per_epoch: Updates in one epoch, for lengths in epochs without them.

    Raises:
        InvalidValue: It is none of these, or no schedule.
        NotFound: There is no such job.
        ApiProblem: The job has no report.
    """
    if text == "-" or text.endswith(".json"):
        schedule = read_schedule(_with_epochs(read_document(text, option=OPTION), steps_per_epoch))
    elif _JOB.fullmatch(text):
        schedule = request(lambda client: _of_job(client, text=text, total_steps=total_steps), url=url)
    else:
        document = _with_epochs(_from_words(text), steps_per_epoch)
        try:
            schedule = read_schedule(document)
        except InvalidValue as error:
            raise in_flags(error, within=f"{OPTION} ") from None
    return schedule.model_dump(mode="json", exclude_none=True)


def import_incumbent(
    file: str, *, workload: str, url: str, total_steps: int | None, steps_per_epoch: int | None
) -> dict[str, Any]:
    """The schedule that a script uses today, from the file of its settings, as JSON.

    Args:
        file: The file, or ``-`` for standard input.
        workload: Its usual horizon counts where none is given.
        url: Address of the service; used only for that horizon.
        total_steps: The horizon.
        steps_per_epoch: Updates in one epoch, where the file counts epochs.

    Raises:
        InvalidValue: The file is unknown, or its schedule cannot be written exactly.
    """
    from tuner.importers import import_text

    text = read_text(file, option="--incumbent-from")
    if total_steps is None and workload:
        total_steps = request(lambda client: client.workload(workload).default_steps, url=url)
    schedule = import_text(text, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    return schedule.model_dump(mode="json", exclude_none=True)


def _with_epochs(document: dict[str, Any], steps_per_epoch: int | None) -> dict[str, Any]:
    from tuner.jobs.admission.epochs import check_epochs, with_updates_per_epoch

    found = document if steps_per_epoch is None else with_updates_per_epoch(document, updates=steps_per_epoch)
    check_epochs(found)
    return dict(found)


def _of_job(client: Client, *, text: str, total_steps: int | None) -> Schedule:
    return client.export(find_job(client, text=text), total_steps=total_steps)


def _from_words(text: str) -> dict[str, Any]:
    family, *words = (word.strip() for word in text.split(","))
    values = parse_assignments(words, option=OPTION)
    shared = {name: values.pop(name, None) for name in ("peak-lr", "floor", "warmup")}
    check_family(family, field=OPTION)
    if shared["peak-lr"] is None:
        meant = next((name for name in values if where_set(name) == "search.space.peak_lr"), "")
        hint = f"Did you mean peak-lr={values[meant]}?" if meant else ""
        allowed = f"a JSON file, a job, or a schedule with a peak: {_EXAMPLE}"
        raise InvalidValue(OPTION, value=text, allowed=allowed, hint=hint)
    return schedule_document(
        family,
        parameters=values,
        peak_lr=shared["peak-lr"],
        warmup="" if shared["warmup"] is None else str(shared["warmup"]),
        floor=shared["floor"],
    )
