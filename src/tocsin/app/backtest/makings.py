"""What stored telemetry the signals are made of that monitors watch: points, histograms, spans, logs, records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from tocsin.spec.pack import PackSpec

POINTS: Final = "points"
DISTRIBUTIONS: Final = "distributions"
SPANS: Final = "spans"
RAW: Final = (POINTS, DISTRIBUTIONS)
"""Origins of signals that are stored under their own name."""
_BEGINS: Final = {"service_graph.": SPANS, "log.": "logs", "tocsin.model.": "records"}
"""How signals begin that the engine itself makes of a table."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Tables that must be folded, and of points and histograms which signals."""

    tables: frozenset[str] = frozenset()
    signals: frozenset[str] = frozenset()

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.tables | other.tables, self.signals | other.signals)


class Makings:
    """Knows of each signal what it is made of; `stored` has the origins of signals that are stored, by name.

    >>> spans = PackSpec.model_validate({"name": "a", "version": 1, "span_signals": [{"name": "db.duration"}]})
    >>> known = Makings([spans], {"cpu": {"points", "engine"}})
    >>> sorted(known.of("cpu").tables), sorted(known.of("db.duration").tables), known.of("odd")
    (['points'], ['spans'], None)
    >>> known.matching(["*.duration"])
    ['db.duration']
    """

    def __init__(self, packs: Sequence[PackSpec], stored: Mapping[str, set[str]]) -> None:
        self._stored = stored
        self._raw = {name: origins & set(RAW) for name, origins in stored.items() if origins & set(RAW)}
        self._made: dict[str, Needs] = {}
        readings = self._raw_like(glob for pack in packs for each in pack.readings for glob in each.names)
        for pack in packs:
            self._made |= {each.name: readings for each in pack.joint_signals}
            self._made |= {each.name: self._raw_like([each.of]) for each in pack.share_signals}
            self._made |= {each.name: Needs(frozenset({SPANS})) for each in pack.span_signals}

    def _raw_like(self, globs: Iterable[str]) -> Needs:
        wanted = tuple(globs)
        names = {name for name in self._raw if any(fnmatchcase(name, glob) for glob in wanted)}
        return Needs(frozenset(table for name in names for table in self._raw[name]), frozenset(names))

    def matching(self, globs: Sequence[str]) -> list[str]:
        """Names of signals that are stored, or can be made of what is, and match any of some globs."""
        names = {*self._stored, *self._made}
        return sorted(name for name in names if any(fnmatchcase(name, glob) for glob in globs))

    def of(self, signal: str) -> Needs | None:
        """What a signal is made of; None where that is not known."""
        raw = self._raw.get(signal)
        if raw:
            return Needs(frozenset(raw), frozenset({signal}))
        if signal in self._made:
            return self._made[signal]
        return next((Needs(frozenset({table})) for begin, table in _BEGINS.items() if signal.startswith(begin)), None)
