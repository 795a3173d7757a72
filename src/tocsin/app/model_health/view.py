"""`ModelHealth`: everything a model's page shows, computed of bounded rows, one question at a time, kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from tocsin.api.model_ports import Json, ModelAsked
from tocsin.app.drift_files.outcome import Outcome
from tocsin.app.model_health.drifting import Drifting
from tocsin.app.model_health.faults import quality
from tocsin.app.model_health.laws import laws
from tocsin.app.model_health.performance import performance
from tocsin.app.model_health.ranking import ranking
from tocsin.app.model_health.rows import Row, Source, Span, kinds_of, outcome_of
from tocsin.app.model_health.segments import fairness, segments
from tocsin.app.model_health.versions import versions
from tocsin.assess.column import FeatureKind
from tocsin.model.clock import Clock
from tocsin.model.errors import BadInput, Overloaded
from tocsin.model.lineage import lineage_json
from tocsin.model.times import time_to_json
from tocsin.spec.drift import DriftSpec, policy_of
from tocsin.spec.problem import nearest
from tocsin.store.model_rows import Taken

Rows: TypeAlias = list[Row]
MOST_ROWS: Final = 20_000
"""Records of a span that are computed with; of more, a sample by the hash of their ids."""
KEPT_NS: Final = 30_000_000_000
MOST_KEPT: Final = 32
WAIT_S: Final = 30.0
REFERENCE_SPANS: Final = 4
LEAST_REFERENCE: Final = 30
_FAR: Final = 1 << 62
_MOST_VALUES: Final = 50


class ModelHealth:
    """`tocsin.api.model_ports.Models` over records in the store."""

    def __init__(
        self,
        source: Source,
        clock: Clock,
        most_rows: int = MOST_ROWS,
        policies: Callable[[], Sequence[DriftSpec]] = tuple,
    ) -> None:
        self._policies = policies
        self._source, self._clock, self._most = source, clock, most_rows
        self._turn = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], tuple[int, Json]] = OrderedDict()

    def seen(self, tenant: str, start: int, end: int) -> Sequence[Mapping[str, object]]:
        """Models, the latest first."""
        return self._source.seen(tenant, start, end)

    def brief(self, tenant: str, asked: ModelAsked) -> Json | None:
        """Versions and numbers of records, by one look at an index; None: nobody knows the model."""
        everything = self._source.versions(tenant, asked.model, 0, _FAR)
        if not everything:
            return None
        listed = self._source.versions(tenant, asked.model, asked.start, asked.end)
        return {
            "model": asked.model,
            "from": time_to_json(asked.start),
            "to": time_to_json(asked.end),
            "last_time": time_to_json(max(int(each["last_time"]) for each in everything)),
            "all_versions": [str(each["version"]) for each in everything],
            "versions": [
                {**each, **{name: time_to_json(each[name]) for name in ("first_time", "last_time")}} for each in listed
            ],
        }

    def health(self, tenant: str, asked: ModelAsked) -> Json | None:
        """Everything about one model; None: nobody knows it."""
        if not self._turn.acquire(timeout=WAIT_S):
            raise Overloaded("other questions about models are still being computed; try again in a moment")
        try:
            return self._answer((tenant, *asked.key), tenant, asked)
        finally:
            self._turn.release()

    def _answer(self, key: tuple[object, ...], tenant: str, asked: ModelAsked) -> Json | None:
        now = self._clock.now()
        held = self._kept.get(key)
        if held is not None and 0 <= now - held[0] < KEPT_NS:
            return held[1]
        found = self._computed(tenant, asked)
        if found is not None:
            self._kept[key] = (now, found)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _computed(self, tenant: str, asked: ModelAsked) -> Json | None:
        everything = self._source.versions(tenant, asked.model, 0, _FAR)
        if not everything:
            return None
        names = [str(each["version"]) for each in everything]
        if asked.version is not None and asked.version not in names:
            raise BadInput(f"the model has no version {asked.version[:80]!r}{nearest(asked.version, names)}")
        current = self._taken(tenant, asked, asked.start, asked.end)
        if not current.rows and asked.where:
            self._segment_known(tenant, asked)
        before, how, span = self._reference(tenant, asked)
        if not before.rows and len(current.rows) >= 2 * LEAST_REFERENCE and asked.reference is None:
            half = len(current.rows) // 2
            older = current.of * half // len(current.rows)
            before, current = Taken(current.rows[:half], older), Taken(current.rows[half:], current.of - older)
            span = (before.rows[0]["time"], current.rows[0]["time"])
            how = "no record is older than this time, so its older half is the reference"
        first = current.rows[0]["time"] if how.startswith("no record") else asked.start
        return {
            "model": asked.model,
            "from": time_to_json(asked.start),
            "to": time_to_json(asked.end),
            "current": {"rows": len(current.rows), "of": current.of, "from": time_to_json(first)},
            "reference": {
                "rows": len(before.rows),
                "of": before.of,
                "from": time_to_json(span[0]),
                "to": time_to_json(span[1]),
                "how": how,
            },
            "last_time": time_to_json(max(int(each["last_time"]) for each in everything)),
            "all_versions": names,
            "lineage": lineage_json(policy_of(asked.model, self._policies()).lineage.origins),
            **self._sections(tenant, asked, everything, Span.of(asked.model, before), Span.of(asked.model, current)),
        }

    def _taken(self, tenant: str, asked: ModelAsked, start: int, end: int, *, of_all: bool = False) -> Taken:
        version = None if of_all else asked.version
        return self._source.taken(tenant, asked.model, start, end, self._most, version, asked.where)

    def _reference(self, tenant: str, asked: ModelAsked) -> tuple[Taken, str, tuple[int, int]]:
        """What is normal: as asked, else four times the span before it; of all versions, so that a new one has some."""
        if asked.reference is not None:
            start, end = asked.reference
            return self._taken(tenant, asked, start, end, of_all=True), "as asked for", asked.reference
        start = asked.start - REFERENCE_SPANS * (asked.end - asked.start)
        found = self._taken(tenant, asked, start, asked.start, of_all=True)
        return found, "the time before, four times as long", (start, asked.start)

    def _segment_known(self, tenant: str, asked: ModelAsked) -> None:
        """Refuse a segment that no record of this time has."""
        some = self._source.taken(tenant, asked.model, asked.start, asked.end, self._most)
        tags = Span.of(asked.model, some).tags
        for key, value in asked.where.items() if some.rows else ():
            if key not in tags:
                raise BadInput(f"no record has the tag {key[:80]!r}{nearest(key, tags) if tags else ''}")
            values = [str(each) for each in tags[key].unique().to_pylist() if each is not None]
            if value not in values:
                raise BadInput(f"no record has {key[:80]}={value[:80]}{nearest(value, values[:_MOST_VALUES])}")

    def _sections(self, tenant: str, asked: ModelAsked, ever: Rows, before: Span, current: Span) -> dict[str, Any]:
        kinds, left = kinds_of(before, current) if before.rows and current.rows else ({}, {})
        notes: list[str] = []
        found: Outcome | None = None
        try:
            # without a reference the records are their own: what was said and came true is known all the same
            found = outcome_of(before if before.rows else current, current, kinds)
        except BadInput as error:
            notes.append(f"predictions can't be read, so only drift is shown: {error}")
        if found is not None:
            notes += found.notes
        listed = self._source.versions(tenant, asked.model, asked.start, asked.end)
        if asked.version is not None:
            listed = [each for each in listed if each["version"] == asked.version]
        shown: dict[str, Any] = {"notes": notes, "names": _names(current)}
        shown["performance"] = None if found is None else performance(found, current)
        shown.update(_compared(before, current, kinds, left, found, shown["performance"], asked))
        shown["ranking"] = ranking(before, current)
        shown["segments"] = None if found is None else segments(found, current, asked.by)
        shown["fairness"] = None if found is None else fairness(found, current, asked.group)
        shown["versions"] = versions(found, current, listed, ever, asked) if current.rows else None
        return shown


def _compared(
    before: Span,
    current: Span,
    kinds: Mapping[str, FeatureKind],
    left: dict[str, str],
    found: Outcome | None,
    measured: Json | None,
    asked: ModelAsked,
) -> dict[str, Any]:
    """What only a reference tells: drift, which law moved, behaviour, data quality."""
    names = ("drift", "laws", "behaviour", "quality")
    if not (before.rows and current.rows):
        return dict.fromkeys(names)
    moved = Drifting.of(before, current, kinds, left)
    sections = (
        moved.to_json(asked.feature),
        laws(found, before, current, moved.rows, measured),
        moved.behaviour_json(),
        quality(before, current, moved.references, asked.end),
    )
    return dict(zip(names, sections, strict=True))


def _names(current: Span) -> dict[str, Any]:
    """What may be asked for: tags with their most frequent values, and features."""
    tags = {}
    for name, cells in current.tags.items():
        counted = sorted(cells.value_counts().to_pylist(), key=lambda each: (-each["counts"], str(each["values"])))
        tags[name] = [each["values"] for each in counted if each["values"] is not None][:_MOST_VALUES]
    return {"tags": tags, "features": list(current.features)}
