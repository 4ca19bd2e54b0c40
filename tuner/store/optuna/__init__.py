"""Optuna's own tables in the database of the jobs."""

from __future__ import annotations

import tuner.search.optuna as _  # noqa: F401  # imports Optuna without the warning of tqdm
