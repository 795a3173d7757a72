"""Stateless thresholds: judged point by point in log order, before any window closes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tocsin.detect.threshold import breach
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.finding import Direction, Finding, Phase, finding_id
from tocsin.model.rows import Rows, grown
from tocsin.spec.monitor import MonitorSpec

NEWS_EVERY_NS = 10 * 10**9


@dataclass(slots=True)
class Episode:
    """A series beyond its limit: since when, the worst value, whether it was already reported."""

    since: int
    last: int
    worst: float
    direction: Direction
    reported: int = 0
    told: int = 0


class PointRule:
    """One threshold monitor without a window, over every series it watches."""

    def __init__(self, spec: MonitorSpec, rows: Rows) -> None:
        assert spec.detect.threshold is not None
        self.spec = spec
        self.rows = rows
        self._watched: Mask = np.zeros(0, bool)
        self._above: F8 = np.zeros(0)
        self._below: F8 = np.zeros(0)
        self._episodes: dict[int, Episode] = {}
        self._busy: Mask = np.zeros(0, bool)
        self.heard: Callable[[I4, I8, F8], None] | None = None  # who replays the log listens; no state

    def watch(self, row: int) -> None:
        """Watch a series, the limits taken in its unit."""
        need = row + 1
        limit = self.spec.detect.threshold
        assert limit is not None
        self._reserve(need)
        unit = self.rows.series(row).signal.unit
        self._watched[row] = True
        self._above[row] = np.inf if limit.above is None else limit.above.in_unit(unit)
        self._below[row] = -np.inf if limit.below is None else limit.below.in_unit(unit)

    def _reserve(self, need: int) -> None:
        self._watched = grown(self._watched, need, False).astype(bool, copy=False)
        self._busy = grown(self._busy, need, False).astype(bool, copy=False)
        self._above = grown(self._above, need, np.inf).astype("f8", copy=False)
        self._below = grown(self._below, need, -np.inf).astype("f8", copy=False)

    def fold(self, rows: I4, time: I8, value: F8) -> list[Finding]:
        """News from points in log order, each (n,)."""
        if self.heard is not None:
            self.heard(rows, time, value)
        if not len(rows) or not len(self._watched):
            return []
        self._reserve(int(rows.max()) + 1)
        beyond = breach(value, self._above[rows], self._below[rows])
        work = np.flatnonzero(self._watched[rows] & np.isfinite(value) & (beyond | self._busy[rows]))
        # a series may breach and recover inside one batch: episodes opened on the way need their later points
        opened = np.unique(rows[work])
        work = np.flatnonzero(self._watched[rows] & np.isfinite(value) & np.isin(rows, opened)) if len(work) else work
        found = []
        for i in work.tolist():
            row = int(rows[i])
            news = self._point(row, int(time[i]), float(value[i]), bool(beyond[i]))
            if news is not None:
                found.append(news)
            self._busy[row] = row in self._episodes
        return found

    def _point(self, row: int, time: int, value: float, beyond: bool) -> Finding | None:
        episode = self._episodes.get(row)
        if beyond:
            direction: Direction = "up" if value > self._above[row] else "down"
            if episode is None:
                episode = self._episodes[row] = Episode(time, time, value, direction)
            episode.last = max(episode.last, time)
            sign = 1 if episode.direction == "up" else -1
            episode.worst = max(episode.worst, value, key=lambda v: sign * v)
            if not episode.reported:
                if time - episode.since < self.spec.for_:
                    return None
                episode.reported = 1
                return self._news(row, episode, Phase.OPEN, time)
            return self._news(row, episode, Phase.UPDATE, time) if time - episode.told >= NEWS_EVERY_NS else None
        if episode is None:
            return None
        if not episode.reported:
            del self._episodes[row]
        elif time - episode.last >= self.spec.clear:
            del self._episodes[row]
            return self._news(row, episode, Phase.CLOSE, time)
        return None

    def _news(self, row: int, episode: Episode, phase: Phase, time: int) -> Finding:
        episode.told = time
        series = self.rows.series(row)
        return Finding(
            id=finding_id(series.tenant, self.spec.name, series.id, episode.since),
            phase=phase,
            tenant=series.tenant,
            monitor=self.spec.name,
            series=series,
            start=episode.since,
            end=episode.last,
            time=time,
            value=episode.worst,
            expected=(float(self._below[row]), float(self._above[row])),
            log10_p=float("nan"),
            n_eff=0.0,
            level=float("nan"),
            direction=episode.direction,
            evidence={"detector": "threshold", "for_s": self.spec.for_ / 1e9},
        )

    def snapshot(self) -> list[list[Any]]:
        """Open episodes, as JSON can hold them."""
        return [[row, e.since, e.last, e.worst, e.direction, e.reported, e.told] for row, e in self._episodes.items()]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Take a snapshot back; `watch` was called for all rows before."""
        for row, *rest in state:
            self._episodes[int(row)] = Episode(*rest)
            self._busy[int(row)] = True
