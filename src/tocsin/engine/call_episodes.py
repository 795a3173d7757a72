"""Findings about calls of models and tools: one at a time for each series and monitor, with news and an end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.model.finding import Evidence, Finding, Phase, finding_id
from tocsin.model.series import Kind, Labels, Series, Signal
from tocsin.spec.monitor import MonitorSpec

NEWS_EVERY_NS: Final = 60 * 10**9
MOST_EPISODES: Final = 2_000
"""Open at once; what comes beyond is counted."""
LEVEL: Final = 1e-6
"""What these findings stand for: rules with a limit and a test, not ranks of a calibrated score."""
_RATIO_AT_LEVEL, _RATIO_MOST = 1.2, 2.6


@dataclass(slots=True)
class Episode:
    """One finding that is open; `told` is when its last news was said."""

    series: Series
    monitor: str
    start: int
    last: int
    value: float
    limit: float
    told: int
    evidence: Evidence


@dataclass(slots=True)
class Episodes:
    """What is open, and the news since they were last asked for."""

    monitors: Mapping[str, MonitorSpec] = field(default_factory=dict)
    open: dict[tuple[str, bytes], Episode] = field(default_factory=dict)
    news: list[Finding] = field(default_factory=list)
    left_out: int = 0

    def adopt(self, monitors: Iterable[MonitorSpec]) -> None:
        """Put monitors into force, by the signal that they are about."""
        self.monitors = {each.signal: each for each in monitors if each.detect.threshold is not None}

    def limit(self, signal: str) -> float:
        """Above what value the monitor of a signal wants to hear; infinite where there is none."""
        spec = self.monitors.get(signal)
        limit = spec.detect.threshold.above if spec is not None and spec.detect.threshold is not None else None
        return math.inf if limit is None else limit.number

    def tell(
        self, tenant: str, signal: Signal, labels: Mapping[str, str] | Labels, at: int, value: float,
        evidence: Mapping[str, float | str], *, start: int | None = None,
    ) -> None:  # fmt: skip
        """Open a finding, or give news of it; `evidence` has its `deviation` in words."""
        spec = self.monitors.get(signal.name)
        if spec is None:
            return
        series = Series.of(tenant, signal, labels)
        key = (spec.name, series.id)
        limit = self.limit(signal.name)
        said: Evidence = {"detector": "calls", "severity_ratio": _severity(value, limit), **evidence}
        known = self.open.get(key)
        if known is None:
            if len(self.open) >= MOST_EPISODES:
                self.left_out += 1
                return
            began = at if start is None else start
            known = self.open[key] = Episode(series, spec.name, began, at, value, limit, at, said)
            self._say(known, Phase.OPEN, at)
            return
        known.last, known.limit = max(known.last, at), limit
        worse = value > known.value
        if worse or said.get("deviation") != known.evidence.get("deviation"):
            known.value, known.evidence = max(value, known.value), said if worse else {**said, **known.evidence}
        if at - known.told >= NEWS_EVERY_NS:
            self._say(known, Phase.UPDATE, at)

    def holds(self, tenant: str, signal: Signal, labels: Mapping[str, str] | Labels) -> bool:
        """Whether a finding is open."""
        spec = self.monitors.get(signal.name)
        return spec is not None and (spec.name, Series.of(tenant, signal, labels).id) in self.open

    def calm(self, tenant: str, signal: Signal, labels: Mapping[str, str] | Labels, at: int) -> None:
        """End a finding, if it is open."""
        spec = self.monitors.get(signal.name)
        if spec is None:
            return
        known = self.open.pop((spec.name, Series.of(tenant, signal, labels).id), None)
        if known is not None:
            self._say(known, Phase.CLOSE, at)

    def close(self, now: int) -> list[Finding]:
        """End what was not heard of for as long as its monitor says, and give all news."""
        clear = {each.name: each.clear for each in self.monitors.values()}
        for key, episode in list(self.open.items()):
            if now - episode.last >= clear.get(episode.monitor, 0):
                del self.open[key]
                self._say(episode, Phase.CLOSE, now)
        news, self.news = self.news, []
        return news

    def _say(self, episode: Episode, phase: Phase, at: int) -> None:
        episode.told = at
        series = episode.series
        self.news.append(
            Finding(
                id=finding_id(series.tenant, episode.monitor, series.id, episode.start),
                phase=phase,
                tenant=series.tenant,
                monitor=episode.monitor,
                series=series,
                start=episode.start,
                end=max(episode.last, episode.start),
                time=max(at, episode.start),
                value=episode.value,
                expected=(math.nan, episode.limit),
                log10_p=math.log10(LEVEL),
                n_eff=0.0,
                level=math.log10(LEVEL),
                direction="shape",
                evidence=episode.evidence,
            )
        )

    def snapshot(self) -> list[list[Any]]:
        """Open findings, as a tree."""
        return [
            [e.series.tenant, e.series.signal.name, e.series.signal.unit, [list(pair) for pair in e.series.labels],
             e.monitor, e.start, e.last, e.value, e.limit, e.told, dict(e.evidence)]
            for e in self.open.values()
        ]  # fmt: skip

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Take a snapshot back."""
        for tenant, name, unit, labels, *rest in state:
            pairs = [(str(key), str(value)) for key, value in labels]
            series = Series.of(tenant, Signal(name, unit, Kind.GAUGE), pairs)
            self.open[rest[0], series.id] = Episode(series, *rest)


def _severity(value: float, limit: float) -> float:
    """How far beyond its limit: 1.2 at the limit or where that is 0, 2.6 at twice the limit and beyond.

    >>> _severity(10.0, 10.0), _severity(15.0, 10.0), _severity(100.0, 10.0)
    (1.2, 1.9, 2.6)
    """
    over = (value - limit) / limit if limit > 0 else 0.0
    return round(_RATIO_AT_LEVEL + (_RATIO_MOST - _RATIO_AT_LEVEL) * min(max(over, 0.0), 1.0), 3)
