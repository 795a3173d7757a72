"""Which monitor watches which series, and under which group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from tocsin.model.series import Kind, Labels, Series, Signal
from tocsin.spec.monitor import MonitorSpec

OVERFLOW_LABEL = "tocsin.overflow"


def _label_matches(labels: Mapping[str, str], where: Mapping[str, str]) -> bool:
    return all(key in labels and fnmatchcase(labels[key], want) for key, want in where.items())


class Matcher:
    """Monitors by signal name, the fallback ones only for series that no other watches."""

    def __init__(self, monitors: Sequence[MonitorSpec]) -> None:
        self._monitors = monitors
        self._by_signal: dict[str, list[int]] = {}

    def _candidates(self, signal: str) -> list[int]:
        found = self._by_signal.get(signal)
        if found is None:
            found = [i for i, m in enumerate(self._monitors) if fnmatchcase(signal, m.signal)]
            self._by_signal[signal] = found
        return found

    def of(self, series: Series) -> list[int]:
        """Numbers of the monitors that watch a series."""
        labels = dict(series.labels)
        if labels.get(OVERFLOW_LABEL) == "true":
            return []
        hits = [
            i
            for i in self._candidates(series.signal.name)
            if _label_matches(labels, self._monitors[i].where)
            and not any(_label_matches(labels, {key: glob}) for key, glob in self._monitors[i].unless.items())
        ]
        named = [i for i in hits if not self._monitors[i].fallback]
        # of the fallbacks the one that knows most of the name
        return named or sorted(hits, key=lambda i: (-len(self._monitors[i].signal), i))[:1]


def group_of(series: Series, monitor: MonitorSpec) -> Series:
    """The series that a monitor judges: the raw one, or one per distinct values of its `by` labels.

    >>> m = MonitorSpec(name="m", signal="cpu", by=["host"])
    >>> s = Series.of("main", Signal("cpu", "1"), {"host": "a", "core": "0"})
    >>> group_of(s, m).labels
    (('host', 'a'),)
    """
    if monitor.by is None:
        return series
    labels: Labels = tuple((k, v) for k, v in series.labels if k in monitor.by)
    signal = Signal(series.signal.name, series.signal.unit, Kind.GAUGE)
    return Series.of(series.tenant, signal, labels)
