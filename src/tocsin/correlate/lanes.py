"""What was measured lately: panes of the last while, kept beside the incidents so that onsets can be compared.

Nothing of it is written down: after a restart it is taken again from the log, as far back as it reaches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow.compute as pc

from tocsin.correlate.metric_shift import Readings
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.frame import Frame
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter

HISTORY_NS: Final = 45 * 60 * 10**9
MAX_ROWS: Final = 1_000_000
_FORGOTTEN = counter("tocsin_correlate_panes_forgotten_total", "Panes no longer looked at for causes: too many")


class _Piece(NamedTuple):
    received: int
    series: I4
    monitor: I4
    time: I8
    value: F8


class Lanes:
    """Panes by series and monitor, of the last `HISTORY_NS` by the log's time, at most `MAX_ROWS`."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()
        self._rows = 0
        self._monitors: dict[str, int] = {}

    def take(self, frame: Frame, received: int) -> None:
        """Take in a frame of panes that was said at a time (ns) of the log."""
        names = pc.dictionary_encode(frame.batch.column("monitor"))
        codes = np.array(
            [self._monitors.setdefault(name, len(self._monitors)) for name in names.dictionary.to_pylist()], "i4"
        )
        value = np.asarray(frame.f8("value"))
        known = np.flatnonzero(np.isfinite(value))
        if len(known):
            monitor = codes[names.indices.to_numpy(zero_copy_only=False)][known]
            series, time = frame.i4("series")[known], frame.i8("time")[known]
            self._pieces.append(_Piece(received, series, monitor, time, value[known]))
            self._rows += len(known)
        while self._pieces and (self._rows > MAX_ROWS or self._pieces[0].received < received - HISTORY_NS):
            gone = self._pieces.popleft()
            self._rows -= len(gone.series)
            if gone.received >= received - HISTORY_NS:
                _FORGOTTEN.inc(len(gone.series))

    def series(self, upto: int) -> I4:
        """Catalog numbers of all series of which anything was said up to a time of the log, (n,)."""
        found = [piece.series for piece in self._pieces if piece.received <= upto]
        return np.unique(np.concatenate(found)) if found else np.empty(0, "i4")

    def readings(self, wanted: Mapping[int, str], catalog: Catalog, upto: int, origin_ns: int) -> list[Readings]:
        """Readings of series, given with their entity, said up to a time of the log; seconds count from `origin_ns`.

        Of several monitors of one series the one that says most is taken.
        """
        pieces = [piece for piece in self._pieces if piece.received <= upto]
        if not pieces or not wanted:
            return []
        series = np.concatenate([piece.series for piece in pieces])
        picked = np.flatnonzero(np.isin(series, np.fromiter(wanted, "i4", len(wanted))))
        columns = [np.concatenate([piece[k] for piece in pieces])[picked] for k in (1, 2, 3, 4)]
        order = np.lexsort((columns[2], columns[1], columns[0]))
        series, monitor, time, value = (column[order] for column in columns)
        cuts = np.flatnonzero((np.diff(series) != 0) | (np.diff(monitor) != 0)) + 1
        names = list(self._monitors)
        best: dict[int, tuple[int, str, I8]] = {}
        for rows in np.split(np.arange(len(series)), cuts):
            if not len(rows):
                continue
            ref, said = int(series[rows[0]]), (len(rows), names[int(monitor[rows[0]])])
            if ref not in best or said > best[ref][:2]:
                best[ref] = (*said, rows)
        found = []
        for ref, (_, _, rows) in best.items():
            last = np.append(np.diff(time[rows]) > 0, True)
            kept = rows[last]
            one = catalog[ref]
            seconds: F8 = (time[kept] - origin_ns) / 1e9
            found.append(
                (wanted[ref], one.signal.name, one.id, Readings(wanted[ref], one.signal.name, seconds, value[kept]))
            )
        return [each[-1] for each in sorted(found, key=lambda each: each[:3])]
