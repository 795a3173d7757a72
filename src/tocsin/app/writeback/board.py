"""The board: of all that the engine says of watched series, the bounded part that is written back.

Every closed window carries a score; writing all of them back would be a second monitoring system. The board keeps,
for each tenant, the series with an open finding, those that were asked for, and the strangest of the last hour.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.codec import findings_of
from tocsin.model.finding import Finding, Phase
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import Output
from tocsin.model.series import Catalog, Series
from tocsin.selfmon.metrics import counter
from tocsin.spec.scores import ScoresSpec
from tocsin.spec.selection import selects

HALF_LIFE_NS: Final = 3600 * 10**9
"""In which a strange moment loses half of its claim to a place."""
FORGET_NS: Final = 600 * 10**9
"""A series without a closed window for so long leaves, unless it is in trouble: silence resolves nothing."""
SPARE: Final = 2
"""Places kept for each that is written, so that the strangest don't come and go with every window."""

_LEFT_OUT = counter(
    "tocsin_cold_scores_dropped_total", "Verdicts of series in trouble or asked for that found no place", ["tenant"]
)


@dataclass(slots=True)
class Row:
    """What was last said of one series by one monitor; `decades` is -log10 p, `ratio` the severity ratio."""

    monitor: str
    series: Series
    time: int
    value: float = math.nan
    score: float = math.nan
    decades: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    ratio: float = math.nan
    open: bool = False
    asked: bool = False
    heat: float = 0.0

    def warm(self, time: int) -> None:
        """Let heat fade from the last window to this one, and take in its strangeness."""
        faded = self.heat * 0.5 ** (max(time - self.time, 0) / HALF_LIFE_NS)
        self.heat = max(faded, 0.0 if math.isnan(self.decades) else self.decades)
        self.time = max(self.time, time)


class _TenantBoard:
    """Rows of one tenant, by monitor number and series number."""

    def __init__(self, tenant: str, spec: ScoresSpec) -> None:
        self.tenant, self.spec = tenant, spec
        self.rows: dict[int, Row] = {}
        self.waived: set[int] = set()  # keys that nobody asked for
        self._keys: I8 = np.zeros(0, "i8")
        self._stale = True

    def windows(self, keys: I8, names: list[str], frame: Frame, catalog: Catalog) -> None:
        """Take closed windows in: rows that are known, and those strange enough for a place."""
        decades: F8 = np.nan_to_num(-frame.f8("log10_p"), nan=0.0)
        columns = [frame.f8(name) for name in ("value", "score", "lower", "upper")]
        log10_p, time = frame.f8("log10_p"), frame.i8("time")
        known = np.isin(keys, self._known())
        for i in (*np.flatnonzero(known).tolist(), *self._newcomers(keys, decades, ~known, names, frame, catalog)):
            row = self.rows[int(keys[i])]
            row.value, row.score, row.lower, row.upper = (float(column[i]) for column in columns)
            row.decades = -float(log10_p[i])
            row.warm(int(time[i]))

    def _known(self) -> I8:
        if self._stale:
            self._keys = np.fromiter(self.rows, "i8", len(self.rows))
            self._stale = False
        return self._keys

    def _newcomers(
        self, keys: I8, decades: F8, new: Mask, names: list[str], frame: Frame, catalog: Catalog
    ) -> list[int]:
        """Which unknown rows of a frame get a place, the strangest first."""
        refs = frame.i4("series")
        found = []
        if self.spec.always:
            for i in np.flatnonzero(new).tolist():
                key = int(keys[i])
                if key not in self.waived:
                    series = catalog[int(refs[i])]
                    if any(selects(each, names[i], series.labels) for each in self.spec.always):
                        self._place(key, Row(names[i], series, 0, asked=True))
                        found.append(i)
                    else:
                        self.waived.add(key)
        loose = sorted(row.heat for row in self.rows.values() if not (row.open or row.asked))
        room = SPARE * self.spec.top - len(loose)
        least = -1.0 if room > 0 else (loose[0] if loose else math.inf)
        fit = np.flatnonzero(new & (decades > least) & np.isfinite(frame.f8("score")))
        for i in fit[np.argsort(-decades[fit], kind="stable")][: max(room, self.spec.top)].tolist():
            if int(keys[i]) not in self.rows:
                self._place(int(keys[i]), Row(names[i], catalog[int(refs[i])], 0))
                found.append(i)
        return found

    def _place(self, key: int, row: Row) -> None:
        self.rows[key] = row
        self._stale = True

    def verdict(self, key: int, finding: Finding) -> None:
        """Take a finding's news in."""
        row = self.rows.get(key)
        if row is None:
            if finding.phase is Phase.CLOSE:
                return
            if sum(each.open for each in self.rows.values()) >= SPARE * self.spec.most:
                _LEFT_OUT.labels(self.tenant).inc()
                return
            asked = any(selects(each, finding.monitor, finding.series.labels) for each in self.spec.always)
            row = Row(finding.monitor, finding.series, finding.time, asked=asked)
            self._place(key, row)
        row.open = finding.phase is not Phase.CLOSE
        row.value, (row.lower, row.upper) = finding.value, finding.expected
        row.decades = -finding.log10_p
        row.score = _number(finding.evidence.get("score"))
        row.ratio = _number(finding.evidence.get("severity_ratio")) if row.open else math.nan
        row.warm(finding.time)

    def tidy(self, now: int) -> None:
        """Let go of what fell silent, and of the least strange beyond the spare places."""
        gone = [key for key, row in self.rows.items() if not row.open and now - row.time > FORGET_NS]
        loose = [(row.heat, key) for key, row in self.rows.items() if not (row.open or row.asked)]
        over = len(loose) - len(gone) - SPARE * self.spec.top
        if over > 0:
            gone += [key for _, key in sorted(loose)[:over]]
        for key in gone:
            self.rows.pop(key, None)
        self._stale = self._stale or bool(gone)

    def chosen(self) -> list[Row]:
        """Rows that are written: in trouble, asked for, strangest; counts those that found no place."""
        held = sorted(self.rows.values(), key=lambda row: (not row.open, not row.asked, -row.heat))
        sure = sum(row.open or row.asked for row in held)
        if sure > self.spec.most:
            _LEFT_OUT.labels(self.tenant).inc(sure - self.spec.most)
        return held[: min(sure + self.spec.top, self.spec.most)]


class Board:
    """What is written back, by tenant; thread-safe.

    >>> Board(ScoresSpec()).chosen("main")
    []
    """

    def __init__(self, spec: ScoresSpec) -> None:
        self._spec = spec
        self._tenants: dict[str, _TenantBoard] = {}
        self._monitors: dict[str, int] = {}
        self._lock = threading.Lock()
        self.received = 0

    def adopt(self, spec: ScoresSpec) -> None:
        """Put another selection into force; what is known stays."""
        with self._lock:
            self._spec = spec
            for board in self._tenants.values():
                board.spec = spec
                board.waived.clear()
                for row in board.rows.values():
                    row.asked = any(selects(each, row.monitor, row.series.labels) for each in spec.always)

    def seed(self, findings: Iterable[Finding], catalog: Catalog) -> None:
        """Know again which series were in trouble before a restart."""
        with self._lock:
            for finding in findings:
                self._of(finding.tenant).verdict(self._key(finding, catalog), finding)

    def hear(self, output: Output, catalog: Catalog) -> None:
        """Take in what the engine said about one record."""
        with self._lock:
            self.received = max(self.received, output.received)
            for frame in output.frames:
                if frame.kind is FrameKind.PANES:
                    self._of(frame.tenant).windows(*self._keys(frame), frame, catalog)
                elif frame.kind is FrameKind.FINDINGS:
                    for finding in findings_of(frame, catalog):
                        self._of(frame.tenant).verdict(self._key(finding, catalog), finding)
            if output.tick:
                for board in self._tenants.values():
                    board.tidy(self.received)

    def chosen(self, tenant: str) -> list[Row]:
        """Rows of a tenant that are written now, those in trouble first; copies."""
        with self._lock:
            board = self._tenants.get(tenant)
            return [] if board is None else [_copy(row) for row in board.chosen()]

    def _of(self, tenant: str) -> _TenantBoard:
        found = self._tenants.get(tenant)
        if found is None:
            found = self._tenants[tenant] = _TenantBoard(tenant, self._spec)
        return found

    def _code(self, monitor: str) -> int:
        return self._monitors.setdefault(monitor, len(self._monitors))

    def _keys(self, frame: Frame) -> tuple[I8, list[str]]:
        """Key and monitor of each row of a frame of panes, (n,)."""
        encoded = frame.batch.column("monitor").dictionary_encode()
        names: list[str] = encoded.dictionary.to_pylist()
        at = encoded.indices.to_numpy(zero_copy_only=False)
        codes = np.array([self._code(name) for name in names], "i8")[at]
        return (codes << 32) | frame.i4("series").astype("i8"), [names[i] for i in at.tolist()]

    def _key(self, finding: Finding, catalog: Catalog) -> int:
        return self._code(finding.monitor) << 32 | catalog.intern(finding.series)


def _copy(row: Row) -> Row:
    return Row(
        row.monitor, row.series, row.time, row.value, row.score, row.decades, row.lower, row.upper, row.ratio,
        row.open, row.asked, row.heat,
    )  # fmt: skip


def _number(value: float | str | None) -> float:
    return value if isinstance(value, float) else math.nan


def metric_values(row: Row) -> Mapping[str, float]:
    """Values of a row by metric; what is not known, or has no end, is left out.

    >>> from tocsin.model.series import Signal
    >>> row = Row("m", Series.of("main", Signal("cpu"), {}), 0, decades=7.5, open=True)
    >>> dict(metric_values(row))
    {'tocsin_anomaly_rarity_decades': 7.5, 'tocsin_anomaly_verdict': 1.0}
    """
    values = {
        "tocsin_anomaly_score": row.score,
        "tocsin_anomaly_rarity_decades": row.decades,
        "tocsin_anomaly_severity_ratio": row.ratio,
        "tocsin_anomaly_value": row.value,
        "tocsin_anomaly_lower": row.lower,
        "tocsin_anomaly_upper": row.upper,
        "tocsin_anomaly_verdict": 1.0 if row.open else 0.0,
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}
