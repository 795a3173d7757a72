"""Shares: of all that counters and histograms counted, how much was of a kind - the errors among requests, say."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from tocsin.derive.buckets import Distribution
from tocsin.model.arrays import F8, I4, I8, Array
from tocsin.model.rows import Rows, grown
from tocsin.model.samples import Samples
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.pack import PackSpec, ShareSignalSpec

UNKNOWN: Final = -2
NONE: Final = -1


class Shares:
    """All `share_signals` of the packs; a series counts towards the first that it matches.

    Each growth of a source series is a sample of the share: 1 if the series is of the kind, else 0, weighted with
    what it counted; so the mean of a window is the share in all that was counted in it.
    """

    def __init__(self, packs: Sequence[PackSpec], rows: Rows) -> None:
        self._specs = [spec for pack in packs for spec in pack.share_signals]
        self._rows = rows
        self._target: I4 = np.zeros(0, "i4")
        self._value: F8 = np.zeros(0)
        self._uid: I8 = np.zeros(0, "i8")

    def fold(self, rates: Sequence[Samples], gains: Sequence[Distribution]) -> list[Samples]:
        """All samples of shares from what counters and histograms counted; empty ones left out."""
        if not self._specs:
            return []
        found = [*(self.of_rates(each) for each in rates if len(each)), self.of_gains(gains)]
        return [each for each in found if len(each)]

    def of_rates(self, rates: Samples) -> Samples:
        """Samples of shares from rates of counters, each weighted with its seconds."""
        return self._shares(rates.row, rates.time, rates.value * rates.weight)

    def of_gains(self, gains: Sequence[Distribution]) -> Samples:
        """Samples of shares from what histograms gained."""
        if not gains or not self._specs:
            return Samples.empty()
        row = np.array([gain.row for gain in gains], "i4")
        time = np.array([gain.time for gain in gains], "i8")
        return self._shares(row, time, np.array([sum(gain.counts) for gain in gains], "f8"))

    def _shares(self, row: I4, time: I8, weight: F8) -> Samples:
        if not self._specs or not len(row):
            return Samples.empty()
        self._learn(row)
        target = self._target[row]
        counted: Array = (target >= 0) & (weight > 0)
        if not counted.any():
            return Samples.empty()
        row = row[counted]
        value = self._value[row]
        return Samples(target[counted], time[counted], value, weight[counted], value, value, self._uid[row])

    def _learn(self, row: I4) -> None:
        need = int(row.max()) + 1
        if need > len(self._target):
            self._target = grown(self._target, need, UNKNOWN).astype("i4", copy=False)
            self._value = grown(self._value, need, 0.0).astype("f8", copy=False)
            self._uid = grown(self._uid, need, 0).astype("i8", copy=False)
        for new in np.unique(row[self._target[row] == UNKNOWN]).tolist():
            series = self._rows.series(new)
            spec = next((spec for spec in self._specs if _counts(spec, series)), None)
            self._target[new] = NONE
            if spec is not None:
                labels = [(key, value) for key, value in series.labels if key in spec.by]
                share = Series.of(series.tenant, Signal(spec.name, "1", Kind.GAUGE), labels)
                self._target[new] = self._rows.of_series(share)
                self._value[new] = 1.0 if _is_kind(spec, series) else 0.0
                # what is counted at one time by several series is added up in an order of their own
                self._uid[new] = int.from_bytes(series.id[:8], "little") >> 1


def _counts(spec: ShareSignalSpec, series: Series) -> bool:
    counter = series.signal.kind is Kind.HISTOGRAM or (series.signal.kind is Kind.SUM and series.signal.monotonic)
    return counter and fnmatchcase(series.signal.name, spec.of)


def _is_kind(spec: ShareSignalSpec, series: Series) -> bool:
    labels = dict(series.labels)
    return any(key in labels and fnmatchcase(labels[key], glob) for key, glob in spec.where.items())
