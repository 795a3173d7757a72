"""Series as agents of the metrics API post them (`/api/v1/series`, `/api/v2/series`) -> POINTS frames.

Types: a count is what was counted in an interval (a delta), a rate is per second, the rest is a gauge. Tags `key:value`
and resources become labels, under the names of OpenTelemetry where packs know them (`wires: series_api`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError

from tocsin.ingest.decoded import Decoded, Unusable
from tocsin.ingest.edge import Edge
from tocsin.ingest.identify import Pairs
from tocsin.ingest.proto import message_of
from tocsin.ingest.pushed_points import PushedPoints, number, seconds_ns
from tocsin.model.errors import BadInput
from tocsin.model.series import Kind, Signal
from tocsin.spec.wire import WireSpec

WIRE: Final = "series_api"
HOST: Final = "host"
_COUNT, _RATE, _GAUGE = "count", "rate", "gauge"
_KINDS_V2: Final = (_GAUGE, _COUNT, _RATE, _GAUGE)
"""By number; 0 is a gauge in protobuf and unspecified in JSON, 3 a gauge in JSON."""

# field numbers of the published agent payload, version 5
_PAYLOAD = message_of(
    "agent_payload",
    "Payload",
    {
        "Payload": {"series": (1, "Series*")},
        "Series": {
            "resources": (1, "Resource*"),
            "metric": (2, "string"),
            "tags": (3, "string*"),
            "points": (4, "Point*"),
            "type": (5, "int32"),
            "unit": (6, "string"),
            "interval": (8, "int64"),
        },
        "Point": {"value": (1, "double"), "timestamp": (2, "int64")},
        "Resource": {"type": (1, "string"), "name": (2, "string")},
    },
)

Points: TypeAlias = Iterable[tuple[object, object]]
"""Times in epoch seconds and values, not yet looked at."""


@dataclass(frozen=True, slots=True)
class _Series:
    """One series as it was told."""

    metric: str
    kind: str
    unit: str
    tags: Sequence[object]
    resources: Sequence[tuple[str, str]]
    points: Points


class SeriesDecoder:
    """Decodes bodies of the metrics API."""

    def __init__(self, edge: Edge, wire: WireSpec) -> None:
        self._edge = edge
        self._wire = wire
        self._known = {name: mapping.field for mapping in wire.labels for name in mapping.names}

    def decode(self, raw: bytes, tenant: str, *, as_json: bool) -> Decoded:
        """Frames of one body, uncompressed; points that can't be taken are refused one by one.

        Raises
        ------
        BadInput
            It is no list of series.
        """
        points = PushedPoints(self._edge, tenant)
        for found in _of_json(raw) if as_json else _of_protobuf(raw):
            if isinstance(found, Unusable):
                points.refusals.add(WIRE, found.reason)
            else:
                self._take(found, points)
        return points.decoded()

    def _take(self, found: _Series, points: PushedPoints) -> None:
        try:
            labels = self._labels(found)
            source = points.source(WIRE, next((value for name, value in found.resources if name == HOST), ""))
            ref = points.ref(source, self._signal(found), labels)
        except Unusable as bad:
            points.refusals.add(WIRE, bad.reason, found.metric)
            return
        for time, value in found.points:
            try:
                points.add(source, ref, seconds_ns(time), number(value))
            except Unusable as bad:
                points.refusals.add(source, bad.reason, found.metric)

    def _signal(self, found: _Series) -> Signal:
        unit = self._wire.units.get(found.unit, found.unit)
        if found.kind == _COUNT:
            return Signal(found.metric, unit or "1", Kind.SUM, monotonic=True)
        if found.kind == _RATE:
            return Signal(found.metric, f"{unit or '1'}/s")
        return Signal(found.metric, unit)

    def _labels(self, found: _Series) -> Pairs:
        values: dict[str, list[str]] = {}
        pairs = [*found.resources, *map(_tag, found.tags)]
        for name, value in pairs:
            name = self._known.get(name, name)  # noqa: PLW2901 - the name by which it is known here
            if name and value not in (known := values.setdefault(name, [])):
                known.append(value)
        # a tag may be there several times; its values are no order
        return tuple((name, ",".join(sorted(known))) for name, known in values.items())


def _tag(tag: object) -> tuple[str, str]:
    """Name and value of a tag; one without a value is true.

    >>> _tag("url:http://a"), _tag("canary")
    (('url', 'http://a'), ('canary', 'true'))
    """
    if not isinstance(tag, str):
        raise Unusable("bad_field")
    name, colon, value = tag.partition(":")
    return (name, value) if colon else (tag, "true")


def _of_protobuf(raw: bytes) -> Iterator[_Series]:
    try:
        payload = _PAYLOAD.FromString(raw)
    except DecodeError as bad:
        raise BadInput(f"the body is not a MetricPayload: {str(bad)[:200]}") from bad
    for each in payload.series:
        yield _Series(
            each.metric,
            _KINDS_V2[each.type] if 0 <= each.type < len(_KINDS_V2) else _GAUGE,
            each.unit,
            list(each.tags),
            [(of.type, of.name) for of in each.resources],
            [(point.timestamp, point.value) for point in each.points],
        )


def _of_json(raw: bytes) -> Iterator[_Series | Unusable]:
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError) as bad:
        raise BadInput(f"the body is not JSON: {str(bad)[:200]}") from None
    series = tree.get("series") if isinstance(tree, dict) else None
    if not isinstance(series, list):
        raise BadInput('the body must be {"series": [{"metric": ..., "points": [...]}]}')
    for each in series:
        try:
            yield _series(each)
        except Unusable as bad:
            yield bad


def _series(found: object) -> _Series:
    if not isinstance(found, dict):
        raise Unusable("bad_field")
    resources = [(_text(of, "type"), _text(of, "name")) for of in _list(found, "resources") if isinstance(of, dict)]
    resources += [(name, _text(found, name)) for name in (HOST, "device") if found.get(name)]
    return _Series(
        _text(found, "metric"),
        _kind(found.get("type")),
        _text(found, "unit"),
        _list(found, "tags"),
        [(name, value) for name, value in resources if value],
        [_point(point) for point in _list(found, "points")],
    )


def _kind(told: object) -> str:
    if told is None:
        return _GAUGE
    if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < len(_KINDS_V2):
        return _KINDS_V2[told]
    if told in (_COUNT, _RATE, _GAUGE):
        return str(told)
    raise Unusable("bad_field")


def _point(point: object) -> tuple[object, object]:
    if isinstance(point, dict):
        return point.get("timestamp"), point.get("value")
    if isinstance(point, list) and len(point) == 2:
        return point[0], point[1]
    raise Unusable("bad_field")


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable("bad_field")
    return value


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    value = found.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unusable("bad_field")
    return value
