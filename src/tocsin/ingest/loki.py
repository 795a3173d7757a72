"""Pushed log streams (`/loki/api/v1/push`): labels and lines, in JSON or in protobuf packed with snappy -> LOGS frames.

The labels of a stream become its resource; those that packs know under another name (`wires`) are there under
the name of OpenTelemetry too. The third element of an entry, its structured metadata, becomes its attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError

from tocsin.ingest.decoded import Decoded, Refusals, Unusable, decoded
from tocsin.ingest.edge import Edge
from tocsin.ingest.identify import Pairs
from tocsin.ingest.log_level import level_of_line, level_of_word
from tocsin.ingest.proto import message_of
from tocsin.ingest.times import check_time
from tocsin.model.errors import BadInput
from tocsin.model.frame import SCHEMAS, Frame, FrameKind, frame_of
from tocsin.spec.mapping import MappingSpec

WIRE: Final = "loki"
LEVEL: Final = "level"
SERVICE: Final = "service.name"
_BODY_CHARS: Final = 32 * 1024
_LABEL: Final = re.compile(
    r'\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)\s*(,|$)', re.ASCII | re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_HEX: Final = re.compile(r"(?:[0-9a-f]{16}){1,2}", re.IGNORECASE)
_TRACE_KEYS: Final = ("trace_id", "traceId", "traceID")
_SPAN_KEYS: Final = ("span_id", "spanId", "spanID")

_COLUMNS: Final = SCHEMAS[FrameKind.LOGS].names

Entry: TypeAlias = tuple[int, str, Pairs]
"""Time in ns, line, structured metadata."""

# the published schema: field numbers and types of logproto
_PUSH = message_of(
    "logproto",
    "PushRequest",
    {
        "PushRequest": {"streams": (1, "Stream*")},
        "Stream": {"labels": (1, "string"), "entries": (2, "Entry*")},
        "Entry": {"timestamp": (1, "Timestamp"), "line": (2, "string"), "metadata": (3, "Pair*")},
        "Timestamp": {"seconds": (1, "int64"), "nanos": (2, "int32")},
        "Pair": {"name": (1, "string"), "value": (2, "string")},
    },
)


@dataclass(slots=True)
class _Rows:
    """Log records of one source, as columns."""

    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})

    def add(self, **row: object) -> None:
        for name, column in self.columns.items():
            column.append(row[name])


def labels_of(text: str) -> Pairs:
    r"""Pairs of a stream's labels as they are written in protobuf.

    Raises
    ------
    BadInput
        They are not written `{name="value", ...}`.

    >>> labels_of('{app="a\\"b", job="x"}')
    (('app', 'a"b'), ('job', 'x'))
    """
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise BadInput(f'labels {text[:60]!r} are not written like {{app="checkout"}}')
    inner = inner[1:-1].strip()
    found: dict[str, str] = {}
    place = 0
    while place < len(inner):
        match = _LABEL.match(inner, place)
        if match is None:
            raise BadInput(f'labels {text[:60]!r}: no `name="value"` at character {place + 1}')
        name, quoted, plain, _ = match.groups()
        found[name] = plain if quoted is None else _ESCAPE.sub(_unescaped, quoted)
        place = match.end()
    return tuple(found.items())


def _unescaped(match: re.Match[str]) -> str:
    short, four, eight, octal, letter = match.groups()
    if letter is not None:
        return _PLAIN.get(letter, letter)
    number = int(octal, 8) if octal is not None else int(short or four or eight, 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"


def streams_of_protobuf(raw: bytes) -> Iterator[tuple[Pairs, list[Entry]]]:
    """Labels and entries of each stream of a push request.

    Raises
    ------
    BadInput
        The bytes are no such message, or labels in it are not.
    """
    try:
        request = _PUSH.FromString(raw)
    except DecodeError as bad:
        raise BadInput(f"the body is not a logproto.PushRequest: {str(bad)[:200]}") from bad
    for stream in request.streams:
        entries = [
            (
                entry.timestamp.seconds * 10**9 + entry.timestamp.nanos,
                entry.line,
                tuple((pair.name, pair.value) for pair in entry.metadata),
            )
            for entry in stream.entries
        ]
        yield labels_of(stream.labels), entries


def streams_of_json(raw: bytes) -> Iterator[tuple[Pairs, list[object]]]:
    """Labels and entries, not yet looked at, of each stream of a push request in JSON.

    Raises
    ------
    BadInput
        It is not of that form.
    """
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError) as bad:
        raise BadInput(f"the body is not JSON: {str(bad)[:200]}") from None
    streams = tree.get("streams") if isinstance(tree, dict) else None
    if not isinstance(streams, list):
        raise BadInput('the body must be {"streams": [{"stream": {...}, "values": [["time in ns", "line"]]}]}')
    for number, stream in enumerate(streams):
        labels = stream.get("stream") if isinstance(stream, dict) else None
        values = stream.get("values") if isinstance(stream, dict) else None
        if not isinstance(labels, dict) or not isinstance(values, list):
            raise BadInput(f"stream {number} has no `stream` (an object of labels) or no `values` (a list)")
        yield _text_pairs(labels, f"stream {number}"), values


def _text_pairs(found: Mapping[object, object], where: str) -> Pairs:
    if not all(isinstance(value, str) for value in found.values()):
        raise BadInput(f"{where}: every label is a text")
    return tuple((str(name), str(value)) for name, value in found.items())


def _entry(found: object) -> Entry:
    """One entry in JSON: `[time in ns as text, line, {metadata}]`.

    Raises
    ------
    Unusable
        It is something else.
    """
    if isinstance(found, tuple):  # protobuf's, read before
        return found
    if not isinstance(found, list) or not 2 <= len(found) <= 3:
        raise Unusable("bad_entry")
    time, line, *rest = found
    metadata = rest[0] if rest else {}
    if not isinstance(line, str) or not isinstance(metadata, dict) or isinstance(time, bool):
        raise Unusable("bad_entry")
    if not (isinstance(time, int) or (isinstance(time, str) and time.isascii() and time.isdigit() and len(time) < 20)):
        raise Unusable("bad_time")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise Unusable("bad_entry")
    return int(time), line, tuple(metadata.items())


class StreamsDecoder:
    """Decodes pushed streams; `mappings` say which labels are what in the words of OpenTelemetry."""

    def __init__(self, edge: Edge, mappings: Sequence[MappingSpec]) -> None:
        self._edge = edge
        self._mappings = mappings

    def decode(self, raw: bytes, tenant: str, *, as_json: bool) -> Decoded:
        """Frames of one push, uncompressed; entries that can't be taken are refused one by one.

        Raises
        ------
        BadInput
            The body is no push.
        """
        found = streams_of_json(raw) if as_json else streams_of_protobuf(raw)
        return self._frames(found, tenant, self._edge.received())

    def _frames(self, streams: Iterable[tuple[Pairs, Sequence[object]]], tenant: str, received: int) -> Decoded:
        sources: dict[str, _Rows] = {}
        refusals = Refusals()
        for labels, entries in streams:
            known = self._known(labels)
            source = self._edge.source_name(tenant, WIRE, known.get(SERVICE, ""))
            if sum(len(name) + len(value) for name, value in labels) > self._edge.limits.label_bytes:
                refusals.add(source, "labels_too_large", rows=len(entries))
                continue
            level = level_of_word(known.pop(LEVEL, ""))
            resource = {**known, **dict(labels)}
            rows = sources.setdefault(source, _Rows())
            for entry in entries:
                try:
                    self._row(_entry(entry), level, list(resource.items()), received, rows)
                except Unusable as bad:
                    refusals.add(source, bad.reason)
        frames = [_frame(rows, tenant, source) for source, rows in sources.items() if rows.columns["time"]]
        return decoded(frames, refusals)

    def _known(self, pairs: Pairs) -> dict[str, str]:
        """What labels say in canonical names: the first name that is there wins."""
        of = dict(pairs)
        found: dict[str, str] = {}
        for mapping in self._mappings:
            value = next((of[name] for name in mapping.names if of.get(name)), "")
            if value:
                found[mapping.field] = mapping.canonical(value)
        return found

    def _row(
        self, entry: Entry, level: tuple[str, int], resource: list[tuple[str, str]], received: int, rows: _Rows
    ) -> None:
        time, line, metadata = entry
        check_time(time, received, self._edge.limits.ahead_ns)
        if len(line) > _BODY_CHARS or sum(len(k) + len(v) for k, v in metadata) > self._edge.limits.label_bytes:
            raise Unusable("line_too_long")
        own = dict(metadata)
        try:
            line.encode()
            "".join(f"{name}{value}" for name, value in (*own.items(), *resource)).encode()
        except UnicodeEncodeError as bad:  # half of a surrogate pair, which JSON can spell
            raise Unusable("not_utf8") from bad
        told = level_of_word(self._known(metadata).get(LEVEL, ""))
        severity, number = next((each for each in (told, level) if each[1]), None) or level_of_line(line)
        rows.add(
            time=time,
            severity=severity,
            severity_number=number,
            body=line,
            event_name="",
            trace_id=_id(own, _TRACE_KEYS, 16),
            span_id=_id(own, _SPAN_KEYS, 8),
            resource=resource,
            attributes=list(own.items()),
        )


def _id(metadata: Mapping[str, str], names: Sequence[str], size: int) -> bytes:
    """A trace or span id that metadata carry in hexadecimal, else zeros: none."""
    text = next((metadata[name] for name in names if name in metadata), "")
    return bytes.fromhex(text) if len(text) == 2 * size and _HEX.fullmatch(text) else bytes(size)


def _frame(rows: _Rows, tenant: str, source: str) -> Frame:
    return frame_of(FrameKind.LOGS, tenant, source, dict(rows.columns))
