"""JSON lines of points: `{"timestamp": RFC 3339 or epoch ms, "metric": NAME, "value": NUMBER, "labels": {...}}`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tocsin.ingest.decoded import Decoded, Refusals, Unusable, decoded
from tocsin.ingest.edge import Edge
from tocsin.ingest.follow import Follow
from tocsin.ingest.identify import Pairs
from tocsin.ingest.point_rows import point_rows
from tocsin.ingest.tail import Tail
from tocsin.ingest.times import check_time, parse_time_ns
from tocsin.model.series import MAIN_TENANT, Signal

_MS = 1_000_000


def _not_a_number(text: str) -> float:
    return float(text.replace("Infinity", "inf"))


def _labels(found: object) -> Pairs:
    if found is None:
        return ()
    if not isinstance(found, dict) or any(isinstance(value, (dict, list)) for value in found.values()):
        raise Unusable("bad_field")
    return tuple(
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in found.items()
        if value is not None
    )


def _time_ns(found: object, received: int) -> int:
    if found is None:
        return received
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        # told to be milliseconds: guessing the unit from the size would be wrong once
        try:
            return round(found * _MS)
        except (ValueError, OverflowError) as bad:
            raise Unusable("bad_field") from bad
    return parse_time_ns(found)


def point_of(line: bytes, received: int, ahead_ns: int) -> tuple[Signal, Pairs, int, float]:
    """Signal, labels, time (ns) and value of one line.

    Raises
    ------
    Unusable
        It is no such point.

    >>> point_of(b'{"timestamp": 1763768254123, "metric": "cpu", "value": 0.5}', 1763768254123 * 10**6, 0)[2:]
    (1763768254123000000, 0.5)
    """
    try:
        found = json.loads(line, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as bad:
        raise Unusable("bad_json") from bad
    if not isinstance(found, dict):
        raise Unusable("bad_json")
    name, value, unit = found.get("metric"), found.get("value"), found.get("unit", "")
    if not isinstance(name, str) or not name:
        raise Unusable("no_name")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unusable("no_number")
    if not isinstance(unit, str):
        raise Unusable("bad_field")
    try:
        number = float(value)
    except OverflowError as bad:
        raise Unusable("no_number") from bad
    time = check_time(_time_ns(found.get("timestamp"), received), received, ahead_ns)
    return Signal(name, unit[:60]), _labels(found.get("labels")), time, number


def decode_points(
    lines: Sequence[bytes], edge: Edge, tenant: str, source: str, received: int, resource: Pairs = ()
) -> Decoded:
    """One POINTS frame of all lines that are points; blank lines are skipped, bad ones counted."""
    rows: list[tuple[int, int, float]] = []
    refusals = Refusals()
    for line in lines:
        if not line.strip():
            continue
        if len(line) > edge.limits.label_bytes:
            refusals.add(source, "labels_too_large")
            continue
        try:
            signal, labels, time, value = point_of(line, received, edge.limits.ahead_ns)
            ref = edge.identifier.ref(tenant, source, signal, resource, labels)
        except Unusable as bad:
            refusals.add(source, bad.reason)
            continue
        rows.append((ref, time, value))
    return decoded([point_rows(tenant, source, rows)] if rows else [], refusals)


def follow_jsonl(
    name: str,
    path: Path,
    edge: Edge,
    state_dir: Path,
    *,
    resource: Mapping[str, str] = MappingProxyType({}),
    tenant: str = MAIN_TENANT,
) -> Follow:
    """A file of JSON lines as a source, from its first line; its place is kept in `state_dir`."""
    source = edge.source_name(tenant, "jsonl", name)
    pairs = tuple(resource.items())

    def decode(lines: Sequence[bytes], received: int) -> Decoded:
        return decode_points(lines, edge, tenant, source, received, pairs)

    return Follow(Tail(path, state_dir / f"{name}.json", source), decode, edge, tenant)
