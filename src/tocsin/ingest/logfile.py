"""A followed text file: every line is a log record, and rules turn numbers in lines into points."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tocsin.ingest.decoded import YEAR_2000_NS, Decoded, Refusals, Unusable, decoded
from tocsin.ingest.edge import Edge
from tocsin.ingest.follow import Follow
from tocsin.ingest.follow_glob import FollowGlob, is_pattern
from tocsin.ingest.identify import Pairs
from tocsin.ingest.log_level import level_of_line
from tocsin.ingest.point_rows import point_rows
from tocsin.ingest.redact_rules import compile_re2
from tocsin.ingest.tail import Tail
from tocsin.ingest.times import parse_time_ns
from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.model.series import MAIN_TENANT, Kind, Signal

_BODY_CHARS = 32 * 1024
# what belongs to the line before: frames of a stack, text that goes on
_CONTINUES = re.compile(r"[ \t]+\S|Caused by: |\.{3} \d+ more")
# only times with a zone: one without would be off by hours on half of all machines
_TIME = re.compile(r"[\[\s\"']{0,2}(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)")


@dataclass(frozen=True, slots=True)
class LineSignal:
    """A rule: lines that match give a point; other named groups than `value` become its labels."""

    signal: str
    pattern: str
    unit: str = "1"


class LineRules:
    """The rules of one file, compiled.

    Raises
    ------
    BadConfig
        A pattern is none of google-re2.
    """

    def __init__(self, rules: Sequence[LineSignal]) -> None:
        self._rules: list[tuple[Signal, Any, bool, list[str]]] = []
        for rule in rules:
            pattern = compile_re2(rule.pattern)
            groups = list(pattern.groupindex)
            valued = "value" in groups
            # without a number each line counts one, as a delta
            kind = Kind.GAUGE if valued else Kind.SUM
            signal = Signal(rule.signal, rule.unit, kind, monotonic=not valued)
            self._rules.append((signal, pattern, valued, [group for group in groups if group != "value"]))

    def points(self, line: str) -> list[tuple[Signal, Pairs, float]]:
        """What the rules find in one line.

        >>> LineRules([LineSignal("api.latency", r"took (?P<value>[0-9.]+) ms", "ms")]).points("took 12.5 ms")[0][2]
        12.5
        """
        found = []
        for signal, pattern, valued, groups in self._rules:
            match = pattern.search(line)
            if match is None:
                continue
            labels = tuple((group, match.group(group)) for group in groups if match.group(group))
            try:
                found.append((signal, labels, float(match.group("value")) if valued else 1.0))
            except (TypeError, ValueError):
                # the pattern took something that is no number: the line stays in the log
                continue
        return found


def line_time(line: str, received: int, ahead_ns: int) -> int:
    """Time that a line begins with, in nanoseconds; `received` where it tells none that can be true.

    >>> line_time("2026-01-02T03:04:05.5Z INFO hello", 2 * 10**18, 0)
    1767323045500000000
    """
    match = _TIME.match(line)
    if match is None:
        return received
    day, clock, fraction, zone = match.groups()
    zone = zone if zone == "Z" or ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        time = parse_time_ns(f"{day}T{clock}.{fraction or 0}{zone}")
    except Unusable:
        return received
    return time if YEAR_2000_NS <= time <= received + ahead_ns else received


def decode_lines(
    lines: Sequence[bytes], rules: LineRules, edge: Edge, tenant: str, source: str, received: int, resource: Pairs = ()
) -> Decoded:
    """A LOGS frame of all lines and a POINTS frame of what the rules found in them.

    Lines that go on with the one before (indented, `Caused by:`) are one record with it, a stack trace for one.
    """
    points: list[tuple[int, int, float]] = []
    refusals = Refusals()
    rows: list[tuple[int, str, int, str]] = []
    for raw in lines:
        if not raw.strip():
            continue
        line = raw.decode("utf-8", "replace")
        if len(line) > _BODY_CHARS:
            refusals.add(source, "labels_too_large")
            continue
        time = line_time(line, received, edge.limits.ahead_ns)
        for signal, labels, value in rules.points(line):
            points.append((edge.identifier.ref(tenant, source, signal, resource, labels), time, value))
        if rows and _CONTINUES.match(line) and len(rows[-1][3]) + len(line) < _BODY_CHARS:
            rows[-1] = (*rows[-1][:3], f"{rows[-1][3]}\n{line}")
            continue
        rows.append((time, *level_of_line(line), line))
    frames = [_logs(rows, tenant, source, resource)] if rows else []
    if points:
        frames.append(point_rows(tenant, source, points))
    return decoded(frames, refusals)


def _logs(rows: list[tuple[int, str, int, str]], tenant: str, source: str, resource: Pairs) -> Frame:
    n = len(rows)
    times, severities, numbers, bodies = zip(*rows, strict=True)
    columns: dict[str, Sequence[object]] = {
        "time": times,
        "severity": severities,
        "severity_number": numbers,
        "body": bodies,
        "event_name": [""] * n,
        "trace_id": [bytes(16)] * n,
        "span_id": [bytes(8)] * n,
        "resource": [list(resource)] * n,
        "attributes": [[]] * n,
    }
    return frame_of(FrameKind.LOGS, tenant, source, columns)


def follow_log(
    name: str,
    path: str,
    rules: Sequence[LineSignal],
    edge: Edge,
    state_dir: Path,
    *,
    resource: Mapping[str, str] = MappingProxyType({}),
    tenant: str = MAIN_TENANT,
) -> Follow | FollowGlob:
    """A log file, or all that a pattern names, as a source, the first time from its end.

    Its place is kept in `state_dir`.

    Raises
    ------
    BadConfig
        A pattern of a rule is none of google-re2.
    """
    source = edge.source_name(tenant, "file", name)
    compiled = LineRules(rules)

    def open_file(path: Path, position: str, from_end: bool) -> Follow:
        pairs = (*resource.items(), ("log.file.name", path.name))

        def decode(lines: Sequence[bytes], received: int) -> Decoded:
            return decode_lines(lines, compiled, edge, tenant, source, received, pairs)

        return Follow(Tail(path, state_dir / f"{position}.json", source, from_end=from_end), decode, edge, tenant)

    if is_pattern(path):
        return FollowGlob(name, path, open_file)
    return open_file(Path(path), name, True)
