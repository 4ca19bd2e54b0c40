"""Export to Lightning: the return value of ``configure_optimizers``."""

from __future__ import annotations

from typing import Final

from tuner.exports.exporter import Export, Exporter, TargetRun, comment, header
from tuner.exports.pytorch import lambda_code
from tuner.schedules import Schedule

_USAGE: Final = (
    "Use: in your LightningModule, build the optimizer with lr=PEAK_LR in configure_optimizers, and return "
    "with_schedule(optimizer). Give the Trainer max_steps=TOTAL_UPDATES: it counts optimizer updates, for any "
    "accumulate_grad_batches. Lightning saves and loads the scheduler's state with its checkpoints. Several optimizers "
    "need its manual optimization: return with_schedule(first, second), the first with lr=PEAK_LR, step all of "
    "self.lr_schedulers() once per update of the first, and let max_steps be -1, as it counts the steps of both."
)
_BODY: Final = '''\
def with_schedule(optimizer, *others):
    """What configure_optimizers returns; the interval "step" is one optimizer update, not one epoch."""
    schedulers = [make_scheduler(optimizer), *(make_scheduler(other, reference=optimizer) for other in others)]
    configured = [
        {"optimizer": each, "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1}}
        for each, scheduler in zip((optimizer, *others), schedulers)
    ]
    return configured if others else configured[0]
'''


def _write(schedule: Schedule, run: TargetRun) -> Export:
    body = lambda_code(schedule, total_steps=run.total_steps, body=_BODY)
    return Export(chunks=[header(schedule, run), comment(_USAGE), "\n", body])


EXPORTERS: Final = (
    Exporter(
        name="lightning",
        description="Lightning: what configure_optimizers returns, with a LambdaLR stepped per update.",
        native="Every schedule: it takes any scheduler of PyTorch.",
        requires="lightning or pytorch-lightning",
        write=_write,
    ),
)
