"""The process's own metrics: `tocsin_<stage>_<noun>_<unit>[_total]`, base units, one registry a process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from tocsin.model.arrays import F8, I4, I8

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


class Binned(Collector):
    """A histogram by one label whose values come many at once; make it once a module, at import."""

    def __init__(self, name: str, text: str, label: str, buckets: Sequence[float]) -> None:
        self._name, self._text, self._labelnames = name, text, (label,)
        self._buckets: F8 = np.array(buckets)
        self._counts: dict[str, tuple[I8, F8]] = {}
        REGISTRY.register(self)

    def binned(self, of: I4, values: F8, groups: int) -> I8:
        """Values (n,) of groups `of` (n,) counted by bucket, (groups, buckets + 1)."""
        bins = len(self._buckets) + 1
        at = of * bins + np.searchsorted(self._buckets, values)
        found: I8 = np.bincount(at, minlength=groups * bins).reshape(groups, bins)
        return found

    def add(self, label: str, counts: I8, total: float) -> None:
        """Take in values by bucket, (buckets + 1,), and their sum."""
        known = self._counts.get(label)
        if known is None:
            known = self._counts.setdefault(label, (np.zeros(len(counts), "i8"), np.zeros(1)))
        known[0][:] += counts
        known[1][:] += total

    def describe(self) -> list[HistogramMetricFamily]:
        """The family without values."""
        return [HistogramMetricFamily(self._name, self._text, labels=self._labelnames)]

    def collect(self) -> list[HistogramMetricFamily]:
        """The family with what was counted."""
        (family,) = self.describe()
        names = [*(f"{bound:g}" for bound in self._buckets), "+Inf"]
        for label, (counts, total) in list(self._counts.items()):
            below = np.cumsum(counts).tolist()
            family.add_metric([label], list(zip(names, map(float, below), strict=True)), float(total[0]))
        return [family]


def exposition() -> bytes:
    """All metrics in Prometheus text format."""
    return generate_latest(REGISTRY)
