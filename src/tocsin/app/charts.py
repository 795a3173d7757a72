"""The chart that goes out with a message: the surest finding of its incident, with what was expected of it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tocsin.model.clock import SECOND, Clock
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident
from tocsin.model.message import Picture
from tocsin.model.text import one_line
from tocsin.notify.chart import Trend, chart_png
from tocsin.store.queries import Queries

BEFORE_NS: Final = 45 * 60 * SECOND
MOST_POINTS: Final = 300


class Charts:
    """Draws from what is stored; nothing stored yet is no chart."""

    def __init__(self, queries: Queries, clock: Clock) -> None:
        self._queries = queries
        self._clock = clock

    def of(self, incident: Incident) -> Picture | None:
        """The chart of an incident as it is now, or at its end."""
        finding = min(incident.findings, key=_doubt, default=None)
        if finding is None:
            return None
        end = incident.resolved_at or self._clock.now()
        trend = self._windows(finding, end) or self._points(finding, end)
        png = chart_png(trend) if trend is not None else b""
        if not png:
            return None
        labels = ", ".join(value for _, value in finding.series.labels[:4])
        unit = finding.series.signal.unit.strip("{}")
        name = f"{finding.series.signal.name}{f' [{unit}]' if unit not in ('', '1') else ''}"
        text = f"{name} of {labels or finding.monitor}: values and the expected band, red from when it got out of line"
        return Picture(png, one_line(text, 240))

    def _windows(self, finding: Finding, end: int) -> Trend | None:
        found = self._queries.panes(
            finding.tenant, finding.monitor, finding.series.id, finding.start - BEFORE_NS, end + 1, MOST_POINTS, 1
        )
        if not found or len(found[0].time) < 2:
            return None
        it = found[0]
        return Trend(it.time.tolist(), it.value.tolist(), it.lower.tolist(), it.upper.tolist(), finding.start)

    def _points(self, finding: Finding, end: int) -> Trend | None:
        """The points themselves, beside the limit that the finding names: of monitors that judge each point."""
        found = self._queries.points(
            finding.tenant, finding.series.signal.name, (), finding.start - BEFORE_NS, end + 1, MOST_POINTS,
            series_id=finding.series.id,
        )  # fmt: skip
        if not found or len(found[0].time) < 2:
            return None
        it = found[0]
        lower, upper = (np.full(len(it.time), limit if math.isfinite(limit) else np.nan) for limit in finding.expected)
        return Trend(it.time.tolist(), it.mean.tolist(), lower.tolist(), upper.tolist(), finding.start)


def _doubt(finding: Finding) -> tuple[float, int, bytes]:
    """How little sure a finding is: its log10 p, then the later ones."""
    return (finding.log10_p if math.isfinite(finding.log10_p) else 0.0, finding.start, finding.id)
