"""What names, types and units of Prometheus say about a signal."""

from __future__ import annotations

from tocsin.model.series import Kind, Signal

METADATA_TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
"""Types in the order of their numbers in both versions of remote write."""

_UNITS = {
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
    "minutes": "min",
    "hours": "h",
    "days": "d",
    "bytes": "By",
    "kibibytes": "KiBy",
    "mebibytes": "MiBy",
    "gibibytes": "GiBy",
    "bits": "bit",
    "ratio": "1",
    "percent": "%",
    "celsius": "Cel",
    "volts": "V",
    "amperes": "A",
    "joules": "J",
    "watts": "W",
    "grams": "g",
    "meters": "m",
    "hertz": "Hz",
    "tokens": "{token}",
}
_TOTALS = ("_total", "_count", "_sum", "_bucket")


def family(name: str) -> str:
    """Name without the part that its type added.

    >>> family("http_request_duration_seconds_bucket"), family("up")
    ('http_request_duration_seconds', 'up')
    """
    for suffix in (*_TOTALS, "_created", "_gcount", "_gsum"):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def ucum(unit: str, name: str) -> str:
    """UCUM unit from the metadata's word for it, else from the name, "" if neither tells.

    >>> ucum("", "http_request_duration_seconds_sum"), ucum("bytes", "x"), ucum("", "x_seconds_bucket"), ucum("", "up")
    ('s', 'By', '1', '')
    """
    if name.endswith(("_count", "_bucket", "_gcount")):
        return "1"
    if unit:
        return _UNITS.get(unit, unit)
    return _UNITS.get(family(name).rpartition("_")[2], "")


def signal_of(name: str, metric_type: str = "unknown", unit: str = "") -> Signal:
    """Signal of one sample's name; the type is that of its family, `unknown` where nobody said.

    >>> signal_of("http_requests_total").kind.value, signal_of("queue_total", "gauge").kind.value
    ('sum', 'gauge')
    """
    total = name.endswith(_TOTALS)
    if metric_type == "counter":
        total = not name.endswith("_created")
    elif metric_type in {"gauge", "gaugehistogram", "info", "stateset"}:
        total = False
    elif metric_type in {"histogram", "summary"}:
        total = name.endswith(("_count", "_sum", "_bucket"))
    kind = Kind.SUM if total else Kind.GAUGE
    return Signal(name, ucum(unit, name), kind, monotonic=total, cumulative=total)
