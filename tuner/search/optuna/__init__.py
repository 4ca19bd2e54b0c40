"""The studies in Optuna, and what it computes of them."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # In a notebook without ipywidgets, tqdm, which Optuna imports, warns that it will not draw its bars. None is drawn.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import optuna as _  # noqa: F401
