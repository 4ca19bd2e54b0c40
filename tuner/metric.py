"""The metric that a workload is judged by, and its conversion to the loss that the search minimizes.

Users report and read *values* of their metric. Everything in between (search, queue, tables) holds *losses*, where
lower is always better. Nothing but `Metric.loss` and `Metric.value` converts: the first where a run reports, the second
where people read.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.errors import InvalidValue

_HIGHER = re.compile(
    r"(?<![a-z])(?:accuracy|acc|f\d|auc|auroc|auprc|map|bleu|rouge|meteor|precision|recall|r2|score|reward|return|iou"
    r"|miou|dice|ndcg|mrr|psnr|ssim)s?(?![a-z])"
)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Metric(BaseModel):
    """What the runs of a workload are judged by, as people read it.

    Example:
        >>> from tuner import Metric
        >>> metric = Metric(name="accuracy", direction="maximize", unit="%")
        >>> metric.text(93.125)
        '93.12 %'
        >>> metric.loss(93.125)  # what the search minimizes
        -93.125

    Raises:
        ValidationError: A field is refused; or ``direction`` is absent and the name is one of those where higher is
            usually better (accuracy, F1, AUC, reward, ...).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")] = "validation loss"
    """As it stands in sentences and tables: ``"accuracy"``, ``"perplexity"``."""
    direction: Literal["minimize", "maximize"] = "minimize"
    unit: Annotated[str, Field(max_length=20, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    """Shown behind values: ``"%"``, ``"dB"``."""

    @model_validator(mode="after")
    def _states_its_direction(self) -> Self:
        if "direction" not in self.model_fields_set and sounds_maximized(self.name):
            raise direction_needed(self.name)
        return self

    @property
    def maximized(self) -> bool:
        """Whether higher values are better."""
        return self.direction == "maximize"

    def loss(self, value: float) -> float:
        """The loss of a value: lower is better."""
        return -value if self.maximized else value

    def value(self, loss: float) -> float:
        """The value of a loss, as people read it; never ``-0.0``."""
        return (-loss if self.maximized else loss) + 0.0

    def value_or_none(self, loss: float | None) -> float | None:
        """The value of a loss that may be absent."""
        return None if loss is None else self.value(loss)

    def text(self, value: float | None) -> str:
        """A value with four significant digits and its unit; ``diverged`` for ``None``."""
        if value is None:
            return "diverged"
        return f"{value:#.4g}".rstrip(".") + (f" {self.unit}" if self.unit else "")

    def described(self, loss: float) -> str:
        """The name and the value of a loss: ``"accuracy 93.12 %"``."""
        return f"{self.name} {self.text(self.value(loss))}"


def sounds_maximized(name: str) -> bool:
    """Whether higher values of a metric of this name are usually better; true for ambiguous ones such as ``score``."""
    return any(_HIGHER.search(form.lower()) for form in (name, _CAMEL.sub("_", name)))


def direction_needed(name: str) -> InvalidValue:
    """The refusal of a metric whose name sounds maximized and whose direction is absent."""
    return InvalidValue(
        "metric.direction",
        value=None,
        allowed=f'"maximize" or "minimize" for a metric called {name!r}',
        hint=f'Write Metric(name="{name}", direction="maximize") if higher is better',
    )


def check_monitored(field: str, *, name: str, metric: Metric, higher_is_better: bool | None = None) -> None:
    """Check that a logged quantity may be the workload's metric.

    Args:
        field: The argument that names it.
        name: Its name in the training library: ``"eval_accuracy"``.
        metric: The metric that the workload declares.
        higher_is_better: The direction that the training library states; ``None`` where it states none.

    Raises:
        InvalidValue: Its direction contradicts the metric's.
    """
    declared = f"{metric.name}, {metric.direction}d"
    if higher_is_better is None:
        if metric.maximized and "loss" in name.lower():
            higher_is_better = False
        elif not metric.maximized and sounds_maximized(name) and not sounds_maximized(metric.name):
            higher_is_better = True
    if higher_is_better is None or higher_is_better == metric.maximized:
        return
    direction = "maximize" if higher_is_better else "minimize"
    raise InvalidValue(
        field,
        value=name,
        allowed=f"of the direction of the workload's metric ({declared})",
        hint=f'Name another quantity, or declare metric = Metric(name=..., direction="{direction}") in the workload',
    )


DEFAULT_METRIC: Final = Metric()
"""The validation loss, minimized: the metric of workloads that declare none."""
