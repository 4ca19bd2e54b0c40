"""Schedules without a job: preview, export, conversion to other runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from tuner.api.schedules import Preview
from tuner.client.transport import Transport, without_none
from tuner.schedules import Schedule
from tuner.schedules.scaling import ScaledSchedule
from tuner.schedules.values import Losses

if TYPE_CHECKING:
    from tuner.api.families import FamilyView, FormatView


class SchedulesApi:
    """Requests about schedules; part of `tuner.client.Client`."""

    _http: Transport

    def families(self) -> tuple[FamilyView, ...]:
        """The families of schedules, with their parameters."""
        from tuner.api.families import FamilyView

        return self._http.get(tuple[FamilyView, ...], "/v1/schedules/families")

    def formats(self) -> tuple[FormatView, ...]:
        """The formats that a schedule can be exported to."""
        from tuner.api.families import FormatView

        return self._http.get(tuple[FormatView, ...], "/v1/schedules/formats")

    def preview(self, schedule: Schedule, *, total_steps: int, points: int = 200, losses: Losses = ()) -> Preview:
        """The learning rates of a schedule over a run.

        Args:
            schedule: The schedule.
            total_steps: Updates of the run.
            points: Maximum number of points, evenly spaced.
            losses: Evaluations of a run (updates done, and the loss there), for a schedule that follows them.
        """
        body: dict[str, Any] = {"schedule": _plain(schedule), "total_steps": total_steps, "points": points}
        if losses:
            body["losses"] = [{"step": step, "loss": loss} for step, loss in losses]
        return self._http.send(Preview, "POST", "/v1/schedules/preview", body=body)

    def export_schedule(
        self,
        schedule: Schedule,
        *,
        total_steps: int,
        format: str,
        batch_size: int | None = None,
        optimizer: str | None = None,
    ) -> str:
        """A schedule as text: data, or code for a library to train with it.

        Args:
            schedule: The schedule.
            total_steps: Updates of the run.
            format: A name of `tuner.exports.ExportFormat`, as ``"csv"`` for the rate of every update.
            batch_size: Samples of one update, for the export to state.
            optimizer: What trains, for the export to state.
        """
        facts = {"total_steps": total_steps, "format": format, "batch_size": batch_size, "optimizer": optimizer}
        body = without_none({"schedule": _plain(schedule), **facts})
        return self._http.request("POST", "/v1/schedules/export", json=body).text

    def import_schedule(
        self,
        text: str,
        *,
        total_steps: int | None = None,
        steps_per_epoch: int | None = None,
        kind: str | None = None,
        stepped_per: Literal["update", "epoch"] | None = None,
        peak_lr: float | None = None,
    ) -> Schedule:
        """The schedule that a script uses today, from the text of its settings.

        Args:
            text: JSON or YAML; `tuner.import_schedule` says of what.
            total_steps: Updates of the run; that of the text when absent.
            steps_per_epoch: Updates in one epoch, where the text counts epochs.
            kind: What the text is; found out when absent.
            stepped_per: How often a scheduler of PyTorch is stepped; per update when absent.
            peak_lr: The rate, where the text does not hold it.
        """
        lengths = {"total_steps": total_steps, "steps_per_epoch": steps_per_epoch}
        facts = {"kind": kind, "stepped_per": stepped_per, "peak_lr": peak_lr}
        body = without_none({"text": text, **lengths, **facts})
        return Schedule.from_json(self._http.request("POST", "/v1/schedules/import", json=body).text)

    def compress(
        self, schedule: Schedule, *, from_steps: int, to_steps: int, min_warmup: int | None = None
    ) -> Schedule:
        """The schedule of the same shape for a run of another length.

        Args:
            schedule: The schedule.
            from_steps: Updates of the run that it was made for.
            to_steps: Updates of the run that it is wanted for.
            min_warmup: Updates that the warm-up keeps where it had them; the service's usual when absent.
        """
        steps = {"from_steps": from_steps, "to_steps": to_steps, "min_warmup": min_warmup}
        body = without_none({"schedule": _plain(schedule), **steps})
        return Schedule.from_json(self._http.request("POST", "/v1/schedules/compress", json=body).text)

    def scale(
        self,
        schedule: Schedule,
        *,
        rule: Literal["sqrt", "linear"],
        from_batch: int,
        to_batch: int,
        optimizer: str | None = None,
    ) -> ScaledSchedule:
        """The schedule for another batch size, and what to mind about it.

        Args:
            schedule: The schedule.
            rule: How the rate grows with the batch.
            from_batch: Batch size that it was found with.
            to_batch: Batch size that it is wanted for.
            optimizer: What trains; some caveats depend on it.
        """
        sizes = {"from_batch": from_batch, "to_batch": to_batch}
        body = without_none({"schedule": _plain(schedule), "rule": rule, **sizes, "optimizer": optimizer})
        return self._http.send(ScaledSchedule, "POST", "/v1/schedules/scale", body=body)


def _plain(schedule: Schedule) -> Any:
    return json.loads(schedule.to_json())
