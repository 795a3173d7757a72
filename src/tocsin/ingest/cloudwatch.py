"""Metric streams as Amazon Data Firehose delivers them, in JSON and in OpenTelemetry 0.7 and 1.0 -> POINTS frames.

A datum is a summary of one period. Which of its statistics are kept is said by packs (`wires: cloudwatch`); each is a
signal of its own, `amazonaws.com/NAMESPACE/METRIC.STATISTIC`, and percentiles that a stream is told to send always are.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from tocsin.ingest.decoded import Decoded, Unusable
from tocsin.ingest.edge import Edge
from tocsin.ingest.identify import Pairs
from tocsin.ingest.proto import message_of
from tocsin.ingest.pushed_points import PushedPoints, number
from tocsin.model.errors import BadInput
from tocsin.model.series import Signal
from tocsin.spec.wire import WireSpec

WIRE: Final = "cloudwatch"
PREFIX: Final = "amazonaws.com/"
_MS: Final = 1_000_000
_STATISTICS: Final = {"min": "minimum", "max": "maximum", "sum": "sum", "count": "samples"}
_NAMES: Final = ("MetricName", "Namespace")
_MOST_DIMENSIONS: Final = 30

# field numbers as published; a data point has `labels` in 0.7 and `attributes` in 1.0
_REQUEST = message_of(
    "metric_stream",
    "Request",
    {
        "Request": {"resources": (1, "ResourceMetrics*")},
        "ResourceMetrics": {"resource": (1, "Resource"), "scopes": (2, "ScopeMetrics*")},
        "Resource": {"attributes": (1, "KeyValue*")},
        "ScopeMetrics": {"metrics": (2, "Metric*")},
        "Metric": {"name": (1, "string"), "unit": (3, "string"), "summary": (11, "Summary")},
        "Summary": {"points": (1, "Point*")},
        "Point": {
            "labels": (1, "Label*"),
            "time": (3, "fixed64"),
            "count": (4, "fixed64"),
            "sum": (5, "double"),
            "quantiles": (6, "Quantile*"),
            "attributes": (7, "KeyValue*"),
        },
        "Quantile": {"quantile": (1, "double"), "value": (2, "double")},
        "Label": {"key": (1, "string"), "value": (2, "string")},
        "KeyValue": {"key": (1, "string"), "value": (2, "Value")},
        "Value": {"text": (1, "string"), "list": (6, "KeyValues")},
        "KeyValues": {"values": (1, "KeyValue*")},
    },
)


@dataclass(frozen=True, slots=True)
class _Datum:
    """One summary: its metric's name (`NAMESPACE/METRIC`), unit in UCUM, time (ns) and statistics by name."""

    name: str
    unit: str
    time: int
    labels: Pairs
    values: Mapping[str, float]


class MetricStreamDecoder:
    """Decodes bodies that Firehose posts."""

    def __init__(self, edge: Edge, wire: WireSpec) -> None:
        self._edge = edge
        self._wire = wire

    def decode(self, body: bytes, tenant: str, common: Pairs = ()) -> Decoded:
        """Frames of one delivery; `common` are labels that the delivery stream adds.

        Raises
        ------
        BadInput
            It is no delivery.
        """
        points = PushedPoints(self._edge, tenant)
        for record in _records(body):
            for found in self._data(record):
                self._take(found, points, common)
        return points.decoded()

    def _take(self, found: _Datum | Unusable, points: PushedPoints, common: Pairs) -> None:
        if isinstance(found, Unusable):
            points.refusals.add(WIRE, found.reason)
            return
        labels = (*common, *found.labels)
        source = points.source(WIRE, dict(labels).get("cloud.region", ""))
        try:
            for statistic, value in self._kept(found):
                unit = "1" if statistic == "samples" else found.unit
                signal = Signal(f"{PREFIX}{found.name}.{statistic}", unit)
                points.add(source, points.ref(source, signal, labels), found.time, value)
        except Unusable as bad:
            points.refusals.add(source, bad.reason, found.name)

    def _kept(self, found: _Datum) -> Iterator[tuple[str, float]]:
        rule = next((each for each in self._wire.statistics if each.matches(found.name, found.unit)), None)
        keep = rule.keep if rule is not None else ["average"]
        known = dict(found.values)
        if known.get("samples", 0) > 0 and "sum" in known:
            known["average"] = known["sum"] / known["samples"]
        plain = {"average", *_STATISTICS.values()}
        for statistic, value in known.items():
            if statistic in keep or statistic not in plain:
                yield statistic, value

    def _data(self, record: bytes) -> Iterator[_Datum | Unusable]:
        if record.lstrip()[:2] == b'{"':
            for line in record.splitlines():
                if line.strip():
                    yield self._of_json(line)
        else:
            yield from _of_protobuf(record)

    def _of_json(self, line: bytes) -> _Datum | Unusable:
        try:
            tree = json.loads(line)
        except (ValueError, RecursionError):
            return Unusable("bad_json")
        if not isinstance(tree, dict):
            return Unusable("bad_json")
        try:
            return self._datum(tree)
        except Unusable as bad:
            return bad

    def _datum(self, tree: Mapping[str, Any]) -> _Datum:
        namespace, metric = _text(tree.get("namespace")), _text(tree.get("metric_name"))
        values, dimensions = tree.get("value"), tree.get("dimensions") or {}
        if not namespace or not metric:
            raise Unusable("no_name")
        if not isinstance(values, dict) or not isinstance(dimensions, dict) or len(dimensions) > _MOST_DIMENSIONS:
            raise Unusable("bad_field")
        told = tree.get("timestamp")
        if isinstance(told, bool) or not isinstance(told, int) or abs(told) >= 2**43:
            raise Unusable("bad_time")
        labels = _labels(_text(tree.get("account_id")), _text(tree.get("region")))
        labels += tuple((str(name), _text(value)) for name, value in dimensions.items())
        found = {_STATISTICS.get(name, str(name)): number(value) for name, value in values.items() if value is not None}
        return _Datum(f"{namespace}/{metric}", self._unit(_text(tree.get("unit"))), told * _MS, labels, found)

    def _unit(self, word: str) -> str:
        """UCUM of a unit; of `A/B` both."""
        return "/".join(self._wire.units.get(part, part) for part in word.split("/")) if word else ""


def _records(body: bytes) -> Iterator[bytes]:
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError) as bad:
        raise BadInput(f"the body is not JSON: {str(bad)[:200]}") from None
    records = tree.get("records") if isinstance(tree, dict) else None
    if not isinstance(records, list):
        raise BadInput('the body must be {"requestId": ..., "timestamp": ..., "records": [{"data": base64}]}')
    for number_, record in enumerate(records):
        data = record.get("data") if isinstance(record, dict) else None
        if not isinstance(data, str):
            raise BadInput(f"record {number_} has no text `data`")
        try:
            yield base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as bad:
            raise BadInput(f"the data of record {number_} are not base64: {bad}") from None


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable("bad_field")
    return value


def _labels(account: str, region: str) -> Pairs:
    pairs = (("cloud.provider", "aws"), ("cloud.account.id", account), ("cloud.region", region))
    return tuple((name, value) for name, value in pairs if value)


def _messages(record: bytes) -> Iterator[bytes]:
    """Messages that each have their length in front, as a varint."""
    place = 0
    while place < len(record):
        size = shift = 0
        while True:
            if place >= len(record) or shift > 28:
                raise BadInput("a record is neither JSON nor messages with their lengths in front")
            byte = record[place]
            place += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if size > len(record) - place:
            raise BadInput(f"a record ends {size - (len(record) - place)} bytes before its message does")
        yield record[place : place + size]
        place += size


def _of_protobuf(record: bytes) -> Iterator[_Datum | Unusable]:
    for raw in _messages(record):
        try:
            request = _REQUEST.FromString(raw)
        except DecodeError as bad:
            raise BadInput(f"a record holds no ExportMetricsServiceRequest: {str(bad)[:200]}") from bad
        for of_resource in request.resources:
            own = {pair.key: pair.value.text for pair in of_resource.resource.attributes}
            labels = _labels(own.get("cloud.account.id", ""), own.get("cloud.region", ""))
            for metric in (metric for scope in of_resource.scopes for metric in scope.metrics):
                if not metric.HasField("summary"):
                    yield Unusable("no_summary")
                for point in metric.summary.points:
                    yield _of_point(metric, point, labels)


def _of_point(metric: Any, point: Any, labels: Pairs) -> _Datum:
    dimensions: dict[str, str] = {pair.key: pair.value for pair in point.labels}
    for pair in point.attributes:
        if pair.key == "Dimensions":
            dimensions |= {own.key: own.value.text for own in pair.value.list.values}
        else:
            dimensions[pair.key] = pair.value.text
    values = {_quantile(each.quantile): each.value for each in point.quantiles}
    values |= {"sum": point.sum, "samples": float(point.count)}
    own = tuple((name, value) for name, value in dimensions.items() if name not in _NAMES)
    return _Datum(metric.name.removeprefix(PREFIX), metric.unit, point.time, (*labels, *own), values)


def _quantile(quantile: float) -> str:
    """Name of a quantile as the statistic that it is.

    >>> _quantile(0.0), _quantile(0.99), _quantile(0.999)
    ('minimum', 'p99', 'p99.9')
    """
    return {0.0: "minimum", 1.0: "maximum"}.get(quantile, f"p{quantile * 100:.10g}")
