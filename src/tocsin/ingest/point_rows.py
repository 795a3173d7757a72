"""A POINTS frame from a list of rows, for sources that give few of them."""

from __future__ import annotations

import numpy as np

from tocsin.model.frame import Frame, points_frame


def point_rows(tenant: str, source: str, rows: list[tuple[int, int, float]]) -> Frame:
    """Frame of (series, time in ns, value) rows, without starts and flags."""
    series, times, values = zip(*rows, strict=True)
    return points_frame(tenant, source, np.array(series, "i4"), np.array(times, "i8"), np.array(values, "f8"))
