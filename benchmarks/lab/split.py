"""Which workloads the constants of the search are tuned on, and on which its claims are measured.

The split is by workload and was committed before the first constant was tuned. No constant may be chosen, and no
default changed, in view of a result on a workload of `CLAIMED_ON`.
"""

from __future__ import annotations

from typing import Final

TUNED_ON: Final = (
    "llama124m_slimpajama",
    "noisy-classification-a",
    "noisy-regression-a",
    "half-diverging",
    "digits-image",
)
"""Names of tables, and of the live workloads that have the same names."""
CLAIMED_ON: Final = (
    "noisy-classification-b",
    "noisy-regression-b",
    "constant-best",
    "warmup-matters",
    "tiny-lm",
    "power-law-easy",
    "power-law-hard",
)
"""The same. The last two have no table: `benchmarks.lab.power_law` computes their losses exactly."""
