"""The process's own metrics: `tocsin_<stage>_<noun>_<unit>[_total]`, base units, one registry a process."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
_LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """A counter; its name ends in `_total`. Call once a module, at import."""
    return Counter(name, text, labels, registry=REGISTRY)


def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    """A gauge. Call once a module, at import."""
    return Gauge(name, text, labels, registry=REGISTRY)


def histogram(name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = _LATENCY_S) -> Histogram:
    """A histogram, by default of seconds. Call once a module, at import."""
    return Histogram(name, text, labels, registry=REGISTRY, buckets=buckets)


def exposition() -> bytes:
    """All metrics in Prometheus text format."""
    return generate_latest(REGISTRY)
