"""The live display of a study: an output of a notebook's cell, replaced as the curves grow.

It needs IPython's display messages alone, which every front end of Jupyter shows; no widgets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tuner.errors import InvalidValue
from tuner.jobs.states import RunState
from tuner.notebook.page import RunCurve, study_html, study_text
from tuner.store import Store

Bundle = Mapping[str, str]
"""What a front end chooses from: the content by its MIME type."""
Show = Callable[[Bundle], None]
"""Shows a bundle, in the place of the one before."""

_POINTS: Final = 100
"""Of one curve, at most."""
_LEAST_SECONDS: Final = 0.5
_SHARE: Final = 0.05
"""Of the time, at most, that drawing may take."""


class LiveDisplay:
    """Draws a study, but not more often than is worth its time.

    Args:
        store: Where the study is.
        job_id: Its job.
        show: Shows what is drawn.
        clock: Seconds, from any start.
    """

    def __init__(self, store: Store, *, job_id: str, show: Show, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._job_id = job_id
        self._show = show
        self._clock = clock
        self._due = clock()

    def refresh(self) -> None:
        """Draw the study, unless it was drawn a moment ago."""
        if self._clock() >= self._due:
            self.draw()

    def draw(self, *, note: str = "") -> None:
        """Draw the study.

        Args:
            note: A line below it.
        """
        began = self._clock()
        status = self._store.jobs.status(self._job_id)
        html = study_html(status, curves=self._curves(), note=note)
        self._show({"text/plain": study_text(status, note=note), "text/html": html})
        ended = self._clock()
        self._due = ended + max(_LEAST_SECONDS, (ended - began) / _SHARE)

    def _curves(self) -> list[RunCurve]:
        record = self._store.planning.load(self._job_id)
        losses = self._store.forecasts.losses([run.id for run in record.runs], points=_POINTS)
        metric = record.job.metric
        return [
            RunCurve(
                trial=run.trial_number,
                is_running=run.state is RunState.LEASED,
                points=tuple((step, metric.value(loss)) for step, loss in losses[run.id]),
            )
            for run in record.runs
        ]


@contextmanager
def live_display(store: Store, *, job_id: str, show: Show | None) -> Iterator[Callable[[], None]]:
    """Show a study as long as the context lasts; an error that ends it is named below its last state.

    Args:
        store: Where the study is.
        job_id: Its job.
        show: From `notebook_cell`; ``None`` shows nothing.

    Yields:
        To be called when the study may have changed.
    """
    if show is None:
        yield lambda: None
        return
    display = LiveDisplay(store, job_id=job_id, show=show)
    display.draw()
    try:
        yield display.refresh
    except BaseException as error:
        display.draw(note=f"Ended by {type(error).__name__}")
        raise
    display.draw()


def notebook_cell(live: bool | None) -> Show | None:
    """What shows a bundle in the cell that runs now.

    Args:
        live: Whether to show anything; where this process serves a notebook when ``None``.

    Returns:
        ``None`` where nothing is to be shown.

    Raises:
        InvalidValue: ``live`` is true, and this is no notebook.
    """
    if live is False or (live is None and not _serves_a_notebook()):
        return None
    if not _serves_a_notebook():
        raise InvalidValue("live", value=live, allowed="left out or False outside of a notebook")
    return _Cell()


def _serves_a_notebook() -> bool:
    """Whether this process is a kernel of Jupyter: IPython is loaded there, and in a terminal it has no kernel."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class _Cell:
    """An output of the cell that runs, replaced by every further one."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, bundle: Bundle) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(dict(bundle), raw=True, display_id=True)
        else:
            self._handle.update(dict(bundle), raw=True)
