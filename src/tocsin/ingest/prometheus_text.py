"""Prometheus text and OpenMetrics -> rows of points and distributions; `prometheus_client` parses the lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tocsin.ingest.prometheus_names import signal_of, ucum
from tocsin.model.errors import BadInput
from tocsin.model.series import Kind, Labels, Signal, canonical

_openmetrics: Any = openmetrics_parser.text_string_to_metric_families  # it has no types
_OPENMETRICS = "application/openmetrics-text"
ACCEPT = f"{_OPENMETRICS};version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8,*/*;q=0.1"
"""What a scrape asks for."""


@dataclass(frozen=True, slots=True)
class PointRow:
    """One sample; times in nanoseconds, 0 = not told."""

    signal: Signal
    labels: Labels
    value: float
    time: int = 0
    start: int = 0


@dataclass(slots=True)
class DistributionRow:
    """One histogram, its buckets no longer cumulative: `counts` has one more than `bounds`."""

    signal: Signal
    labels: Labels
    bounds: list[float] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)
    count: float = math.nan
    sum: float = math.nan
    time: int = 0
    start: int = 0


@dataclass(slots=True)
class Exposition:
    """All that one page of metrics said."""

    points: list[PointRow] = field(default_factory=list)
    distributions: list[DistributionRow] = field(default_factory=list)
    samples: int = 0


def parse_exposition(text: str, content_type: str, extra: Mapping[str, str]) -> Exposition:
    r"""Read one page; `extra` are the labels of the target, and win over those of the page.

    Raises
    ------
    BadInput
        A line can't be read; nothing of the page is taken, as Prometheus does it.

    >>> page = "# TYPE hits counter\nhits_total 3\n"
    >>> [(row.signal.name, row.value) for row in parse_exposition(page, "text/plain", {}).points]
    [('hits_total', 3.0)]
    """
    openmetrics = content_type.partition(";")[0].strip().lower() == _OPENMETRICS
    found = Exposition()
    try:
        families: Iterable[Any] = _openmetrics(text) if openmetrics else parse_text(text)
        for family in families:
            _family(family, extra, found)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as bad:
        # the parsers raise whatever a broken line makes their code raise
        raise BadInput(
            f"the page can't be read as {'OpenMetrics' if openmetrics else 'Prometheus text'}: {str(bad)[:200]}"
        ) from bad
    return found


def _time(timestamp: Any) -> int:
    return 0 if timestamp is None else round(float(timestamp) * 1e9)


def _family(family: Any, extra: Mapping[str, str], found: Exposition) -> None:
    found.samples += len(family.samples)
    loose = _histograms(family, extra, found) if family.type == "histogram" else family.samples
    created = {
        _key(sample.labels, extra): round(sample.value * 1e9) for sample in loose if sample.name.endswith("_created")
    }
    for sample in loose:
        if sample.name.endswith("_created") and family.type in {"counter", "summary", "histogram"}:
            continue
        name = sample.name
        metric_type = "counter" if name.endswith("_total") and family.type == "counter" else family.type
        signal = signal_of(name, metric_type if metric_type != "untyped" else "unknown", family.unit)
        labels = _key(sample.labels, extra)
        start = created.get(labels, 0) if signal.cumulative else 0
        found.points.append(PointRow(signal, labels, float(sample.value), _time(sample.timestamp), start))


def _key(labels: Mapping[str, str], extra: Mapping[str, str], *, drop: str = "") -> Labels:
    pairs = {name: value for name, value in labels.items() if value and name != drop}
    # as Prometheus does with honor_labels off: what the page says moves aside
    moved = {(f"exported_{name}" if name in extra else name): value for name, value in pairs.items()}
    return canonical(moved | dict(extra))


def _histograms(family: Any, extra: Mapping[str, str], found: Exposition) -> list[Any]:
    """Put the buckets of each label set together; gives back the samples that belong to none."""
    rows: dict[Labels, DistributionRow] = {}
    buckets: dict[Labels, dict[float, float]] = {}
    loose = []
    # the text parser keeps the name as exposed, so a histogram called `x_total` keeps its ending
    signal = Signal(family.name, ucum(family.unit, family.name), Kind.HISTOGRAM, cumulative=True)
    for sample in family.samples:
        part = sample.name.removeprefix(family.name)
        if part not in {"_bucket", "_count", "_sum", "_created"} or getattr(sample, "native_histogram", None):
            loose.append(sample)
            continue
        labels = _key(sample.labels, extra, drop="le")
        row = rows.setdefault(labels, DistributionRow(signal, labels, time=_time(sample.timestamp)))
        if part == "_bucket":
            buckets.setdefault(labels, {})[float(sample.labels["le"])] = float(sample.value)
        elif part == "_count":
            row.count = float(sample.value)
        elif part == "_sum":
            row.sum = float(sample.value)
        else:
            row.start = round(sample.value * 1e9)
    for labels, row in rows.items():
        _fill(row, buckets.get(labels, {}))
        found.distributions.append(row)
    return loose


def _fill(row: DistributionRow, cumulative: dict[float, float]) -> None:
    bounds = sorted(cumulative)
    if any(math.isnan(bound) for bound in bounds):
        raise BadInput(f"histogram {row.signal.name!r} has a bucket le=NaN")
    if math.isnan(row.count):
        row.count = cumulative.get(math.inf, math.nan)
    totals = [cumulative[bound] for bound in bounds if bound != math.inf]
    if any(high < low for low, high in zip([0.0, *totals], [*totals, row.count], strict=True)):
        raise BadInput(f"the buckets of histogram {row.signal.name!r} don't grow with `le`")
    row.bounds = [bound for bound in bounds if bound != math.inf]
    row.counts = [high - low for low, high in zip([0.0, *totals], [*totals, row.count], strict=True)] if bounds else []


def series_keys(page: Exposition) -> Iterable[tuple[Signal, Labels]]:
    """Signal and labels of every row of a page."""
    for point in page.points:
        yield point.signal, point.labels
    for distribution in page.distributions:
        yield distribution.signal, distribution.labels
