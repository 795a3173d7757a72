"""Spans become samples: durations, counts, errors and numeric fields, as packs declare them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tocsin.derive.fields import FieldReader
from tocsin.model.frame import Frame
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.pack import PackSpec, SpanSignalSpec


class SpanSignals:
    """All `span_signals` of the packs, ready to run over span frames."""

    def __init__(self, packs: Sequence[PackSpec], fields: FieldReader, rows: Rows) -> None:
        self._specs = [spec for pack in packs for spec in pack.span_signals]
        self._signals = [Signal(s.name, s.unit, Kind.GAUGE) for s in self._specs]
        self._fields = fields
        self._rows = rows
        self._cache: dict[tuple[object, ...], int] = {}
        wanted = {f for s in self._specs for f in (*s.by.values(), *s.where)}
        wanted |= {s.value for s in self._specs if s.value not in ("duration", "count", "error")}
        self._wanted = sorted(wanted - {"name", "kind", "status"})

    @property
    def names(self) -> frozenset[str]:
        """Signals that stand for events: no sample means that nothing happened."""
        return frozenset(s.name for s in self._specs)

    def fold(self, frame: Frame) -> Samples:
        """Samples of a frame of spans, each at its span's end, told apart by span id."""
        if not self._specs or not len(frame):
            return Samples.empty()
        batch = frame.batch
        columns: dict[str, list[str | None]] = self._fields.columns(batch, self._wanted)
        for name in ("name", "kind", "status"):
            columns[name] = batch.column(name).to_pylist()
        time, start = frame.i8("time"), frame.i8("start")
        seconds = (time - start) / 1e9
        uid = np.frombuffer(b"".join(batch.column("span_id").to_pylist()), "<i8")
        parts = [self._one(i, frame.tenant, columns, seconds.tolist()) for i in range(len(self._specs))]
        found = [
            Samples.plain(np.array(rows, "i4"), time[at], np.array(values, "f8"), uid[at])
            for at, rows, values in parts
            if at
        ]
        return Samples.concat(found)

    def _one(
        self, i: int, tenant: str, columns: dict[str, list[str | None]], seconds: list[float]
    ) -> tuple[list[int], list[int], list[float]]:
        spec = self._specs[i]
        at: list[int] = []
        rows: list[int] = []
        values: list[float] = []
        by = list(zip(*(columns[field] for field in spec.by.values()), strict=True))
        for n in _matching(spec, columns, len(seconds)):
            value = _value(spec, columns, n, seconds[n])
            if value is None:
                continue
            key = (i, tenant, by[n])
            row = self._cache.get(key)
            if row is None:
                labels = {k: v for k, v in zip(spec.by, by[n], strict=True) if v is not None}
                row = self._rows.of_series(Series.of(tenant, self._signals[i], labels))
                self._cache[key] = row
            at.append(n)
            rows.append(row)
            values.append(value)
        return at, rows, values


def _matching(spec: SpanSignalSpec, columns: dict[str, list[str | None]], n: int) -> list[int]:
    picked = list(range(n))
    for key, want in spec.where.items():
        column = columns[key]
        if want == "*":
            picked = [i for i in picked if column[i] is not None]
        else:
            picked = [i for i in picked if column[i] == want]
    return picked


def _value(spec: SpanSignalSpec, columns: dict[str, list[str | None]], n: int, seconds: float) -> float | None:
    if spec.value == "duration":
        return seconds
    if spec.value == "count":
        return 1.0
    if spec.value == "error":
        return 1.0 if columns["status"][n] == "error" else 0.0
    text = columns[spec.value][n]
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
