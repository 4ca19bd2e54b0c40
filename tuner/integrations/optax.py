"""optax (JAX): the run's schedule for a gradient transformation. Needs no torch.

```python
optimizer = optax.adamw(learning_rate(run))
```

The training reports with ``run.report``, as any other loop.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from optax import Schedule as OptaxSchedule

from tuner.training.run import TrainingRun

__all__ = ["learning_rate"]


def learning_rate(run: TrainingRun) -> OptaxSchedule:
    """The run's schedule as a schedule of optax: a function, also of a traced count, to the rate in single precision.

    optax counts updates in the optimizer's state, so that a resumed training continues; with ``optax.MultiSteps`` it
    counts those of the parameters. Parameters at another rate, in ``optax.multi_transform`` or a second optimizer, have
    this one times their ratio to it: ``lambda count: 0.1 * rate(count)``.

    Args:
        run: The run to follow.
    """
    end = run.schedule.lr(run.total_steps, total_steps=run.total_steps)
    rates = np.append(run.lrs, end).astype(np.float32)  # [total_steps + 1]

    def rate(count: jnp.ndarray | int) -> jnp.ndarray:
        return jnp.asarray(rates)[jnp.minimum(count, run.total_steps)]

    return rate
