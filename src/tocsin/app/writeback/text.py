"""Rows of the board as Prometheus knows series: names, labels, the text of `/metrics`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tocsin.app.writeback.board import Row, metric_values
from tocsin.model.series import Labels, Series

METRICS: Final = {
    "tocsin_anomaly_score": "Raw score of the latest window, larger is stranger; not comparable between monitors",
    "tocsin_anomaly_rarity_decades": "How rare that score is in the series' own past, -log10 of its calibrated rank",
    "tocsin_anomaly_severity_ratio": "Worst score of the open finding over the score that its level needs",
    "tocsin_anomaly_value": "Value of the latest window, in the unit of the signal",
    "tocsin_anomaly_lower": "Learned or given lower limit, in the unit of the signal",
    "tocsin_anomaly_upper": "Learned or given upper limit, in the unit of the signal",
    "tocsin_anomaly_verdict": "1 while a finding of this monitor on this series is open, else 0",
}
WRITTEN: Final = "tocsin_anomaly_written_series"
HELP_OF_WRITTEN: Final = "Series whose scores are written back: in trouble, asked for, or among the strangest"
OWN_LABELS: Final = ("monitor", "signal")
VALUE_CHARS: Final = 200
_BAD = re.compile(r"[^a-zA-Z0-9_]")


def prometheus_labels(monitor: str, series: Series) -> Labels:
    """Labels of a series as Prometheus takes them: dots become underscores, names that meet share their values.

    >>> from tocsin.model.series import Signal
    >>> s = Series.of("main", Signal("cpu"), {"service.name": "a", "service_name": "b", "monitor": "x", "__tmp": "y"})
    >>> prometheus_labels("m", s)
    (('exported_monitor', 'x'), ('monitor', 'm'), ('service_name', 'a;b'), ('signal', 'cpu'), ('tmp', 'y'))
    """
    found: dict[str, list[str]] = {}
    for key, value in series.labels:
        name = _BAD.sub("_", key).lstrip("_") or "label"
        if name[0].isdigit():
            name = f"label_{name}"
        if name in OWN_LABELS:
            name = f"exported_{name}"
        if value:
            found.setdefault(name, []).append(value)
    labels = {name: ";".join(values)[:VALUE_CHARS] for name, values in found.items()}
    labels |= {"monitor": monitor, "signal": series.signal.name}
    return tuple(sorted(labels.items()))


def samples_of(rows: Sequence[Row]) -> Iterator[tuple[str, Labels, float]]:
    """Name, labels and value of every sample; two rows that Prometheus can't tell apart are one, the worse.

    The last sample tells how many series there are, so that its absence can be told from calm.
    """
    seen: set[Labels] = set()
    for row in rows:  # those in trouble come first
        labels = prometheus_labels(row.monitor, row.series)
        if labels not in seen:
            seen.add(labels)
            for name, value in metric_values(row).items():
                yield name, labels, value
    yield WRITTEN, (), float(len(seen))


def exposition_of(rows: Sequence[Row]) -> str:
    r"""The text of `/metrics`.

    >>> print(exposition_of([]), end="")
    # HELP tocsin_anomaly_written_series Series whose scores are written back: in trouble, asked for, or among the strangest
    # TYPE tocsin_anomaly_written_series gauge
    tocsin_anomaly_written_series 0.0
    """
    lines: dict[str, list[str]] = {}
    for name, labels, value in samples_of(rows):
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        lines.setdefault(name, []).append(f"{name}{{{pairs}}} {value!r}" if pairs else f"{name} {value!r}")
    return "".join(_family(name, lines.get(name, ())) for name in (*METRICS, WRITTEN))


def _family(name: str, lines: Iterable[str]) -> str:
    body = "".join(f"{line}\n" for line in lines)
    return f"# HELP {name} {METRICS.get(name, HELP_OF_WRITTEN)}\n# TYPE {name} gauge\n{body}" if body else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
