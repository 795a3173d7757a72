"""Spans become samples: durations, counts, errors and numeric fields, as packs declare them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.derive.drawn import Drawn
from tocsin.derive.fields import Coded, Fields, coded, joined
from tocsin.derive.vocabulary import OTHER, Vocabulary
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.frame import Frame
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.pack import PackSpec, SpanSignalSpec

_OWN = frozenset({"name", "kind", "status"})


class SpanSignals:
    """All `span_signals` of the packs, ready to run over span frames."""

    def __init__(self, packs: Sequence[PackSpec], words: Vocabulary | None = None) -> None:
        self._words = Vocabulary() if words is None else words
        self._most = {field: most for pack in packs for field, most in pack.label_values.items()}
        self._specs = [spec for pack in packs for spec in pack.span_signals]
        self._signals = [Signal(s.name, s.unit, Kind.GAUGE) for s in self._specs]
        self._series: dict[tuple[object, ...], Series] = {}

    @property
    def names(self) -> frozenset[str]:
        """Signals that stand for events: no sample means that nothing happened."""
        return frozenset(s.name for s in self._specs)

    def draw(self, frames: Sequence[Frame], fields: Fields) -> Drawn:
        """Samples of frames of spans of one tenant, each at its span's end, told apart by span id."""
        columns = _Columns(frames, fields)
        bounded = {field: columns.bounded(field, most, self._words) for field, most in self._most.items()}
        sizes = np.array([len(frame) for frame in frames])
        frame = np.repeat(np.arange(len(frames), dtype="i4"), sizes)
        row = np.arange(len(frame)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        time = np.concatenate([one.i8("time") for one in frames])
        seconds = (time - np.concatenate([one.i8("start") for one in frames])) / 1e9
        uid = np.concatenate([_span_ids(one) for one in frames])
        series: dict[Series, int] = {}
        at: list[I8] = [np.zeros(0, "i8")]
        key: list[I4] = [np.zeros(0, "i4")]
        value: list[F8] = [np.zeros(0)]
        sight: list[I8] = [np.zeros(0, "i8")]
        for i, spec in enumerate(self._specs):
            picked = _matching(spec, columns, len(frame))
            if not len(picked):
                continue
            picked, found = _values(spec, columns, seconds, picked)
            if not len(picked):
                continue
            at.append(picked)
            value.append(found)
            key.append(self._keys(i, frames[0].tenant, columns, bounded, picked, series))
            sight.append(row[picked] | (i << 28))
        place = np.concatenate(at)
        return Drawn(
            frame[place],
            np.concatenate(sight),
            np.concatenate(key),
            time[place],
            np.concatenate(value),
            uid[place],
            list(series),
        )

    def _keys(
        self, i: int, tenant: str, columns: _Columns, bounded: dict[str, Coded], at: I8, series: dict[Series, int]
    ) -> I4:
        """Numbers in `series`, which grows, of the series of the rows `at`."""
        by = [bounded.get(field) or columns[field] for field in self._specs[i].by.values()]
        mixed = np.zeros(len(at), "i8")
        for column in by:
            mixed = mixed * (len(column.texts) + 1) + column.code[at] + 1
        _, first, which = np.unique(mixed, return_index=True, return_inverse=True)
        numbers = []
        for row in at[first].tolist():
            codes = [int(column.code[row]) for column in by]
            texts = tuple(column.texts[c] if c >= 0 else None for column, c in zip(by, codes, strict=True))
            found = self._series.get((i, tenant, texts))
            if found is None:
                labels = {k: v for k, v in zip(self._specs[i].by, texts, strict=True) if v is not None}
                found = self._series[i, tenant, texts] = Series.of(tenant, self._signals[i], labels)
            numbers.append(series.setdefault(found, len(series)))
        return np.array(numbers, "i4")[which]


class _Columns:
    """Fields of spans, the span's own columns among them."""

    def __init__(self, frames: Sequence[Frame], fields: Fields) -> None:
        self._frames = frames
        self._fields = fields
        self._own: dict[str, Coded] = {}

    def __getitem__(self, field: str) -> Coded:
        if field not in _OWN:
            return self._fields[field]
        if field not in self._own:
            self._own[field] = coded(joined(self._frames, field))
        return self._own[field]

    def bounded(self, field: str, most: int, words: Vocabulary) -> Coded:
        """A field of which every service keeps the first `most` values; the rest is one, `OTHER`."""
        column, service = self[field], self["service.name"]
        pair = np.where(column.code >= 0, (service.code + 1) * (len(column.texts) + 1) + column.code, -1)
        known, first, which = np.unique(pair, return_index=True, return_inverse=True)
        new = np.full(len(known), -1, "i4")
        for place in np.argsort(first, kind="stable").tolist():
            if known[place] < 0:
                continue
            row = int(first[place])
            whose = service.texts[service.code[row]] if service.code[row] >= 0 else ""
            text = column.texts[column.code[row]]
            fits = words.knows(("label", self._frames[0].tenant, field, whose), text, most)
            new[place] = column.code[row] if fits else len(column.texts)
        return Coded(new[which], [*column.texts, OTHER])

    def numbers(self, field: str) -> F8:
        """A field as numbers, (n,), NaN for none."""
        return self._fields.numbers(field)

    def model_calls(self, n: int) -> Mask:
        """Which rows are calls of models whose tokens and cost belong to a sum, (n,)."""
        calls = self._fields.calls
        return np.zeros(n, bool) if calls is None else calls.counted.copy()


def _span_ids(frame: Frame) -> I8:
    """Span ids as numbers, (n,)."""
    column = frame.batch.column("span_id")
    found: I8 = np.frombuffer(column.buffers()[1], "<i8")[column.offset : column.offset + len(column)]
    return found


def _matching(spec: SpanSignalSpec, columns: _Columns, n: int) -> I8:
    picked = np.ones(n, bool) if not spec.model_call else columns.model_calls(n)
    for key, want in spec.where.items():
        if not picked.any():
            break
        column = columns[key]
        picked &= column.code >= 0 if want == "*" else np.isin(column.code, column.is_text(want))
    return np.flatnonzero(picked)


def _values(spec: SpanSignalSpec, columns: _Columns, seconds: F8, at: I8) -> tuple[I8, F8]:
    """Of the rows `at` those that have a value, and their values."""
    if spec.value == "duration":
        # a line of a log may tell of a call and not how long it took: no call takes no time at all
        kept = at[seconds[at] > 0] if spec.model_call else at
        return kept, seconds[kept]
    if spec.value == "count":
        return at, np.ones(len(at))
    if spec.value == "error":
        status = columns["status"]
        return at, np.isin(status.code[at], status.is_text("error")).astype("f8")
    found = columns.numbers(spec.value)[at]
    known = np.isfinite(found)
    return at[known], found[known]
