"""The figure of a picture, which shows itself in a notebook also where pyplot was never imported."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class ReportFigure(Figure):
    """A figure of matplotlib, made without pyplot: it has no window, and ``savefig`` writes it to a file."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
