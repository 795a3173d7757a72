"""`LoggedCalls`: lines of logs that tell of a call of a language model give a span of it, and stay lines.

What a line may say is data: `call_lines` of packs, and `llm.call_lines` of the configuration for forms of one's own. Lines are
read after secrets have left them.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.ingest.identify import Redactor
from tocsin.ingest.line_pairs import pairs_of_line, pairs_of_tree
from tocsin.ingest.redact_rules import compile_re2
from tocsin.llm.lines import LINE_SCOPE, NAMELESS_SCOPE
from tocsin.model.frame import SCHEMAS, Frame, FrameKind, frame_of
from tocsin.model.series import Labels
from tocsin.selfmon.metrics import counter
from tocsin.spec.call_lines import CallLineSpec, CallLinesSpec, LineFieldSpec
from tocsin.spec.mapping import canonical_of

Row: TypeAlias = dict[str, Any]
_READ = counter("tocsin_ingest_logged_calls_total", "Calls of language models read from lines of logs.")
_MODEL: Final = "gen_ai.request.model"
_ANSWERED: Final = "gen_ai.response.model"
_PROVIDER: Final = "gen_ai.provider.name"
_OPERATION: Final = "gen_ai.operation.name"
_RESPONSE: Final = "gen_ai.response.id"
_REQUEST: Final = "gen_ai.request.id"
_TTFT: Final = "gen_ai.response.time_to_first_chunk"
_OWN: Final = frozenset({"duration", "began", "ended", "failed", "status_message", "trace_id", "span_id"})
_UNITS_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0}
_NUMBER: Final = re.compile(
    r"\s*\$?\s*([0-9][0-9,]{0,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-zµ]{0,7})\s*"
)
_MOST: Final = {"gen_ai.usage.cost": 1e5, "gen_ai.request.retry_count": 1e4}
_MOST_TOKENS: Final = 1e8
_LONGEST_S: Final = 86_400.0
_UNIX_MS: Final = 1e11
_MOST_S: Final = {"began": 1e13, "ended": 1e13}
_TEXT_CHARS: Final = 500


class LoggedCalls:
    """A redactor that adds spans of the calls which clean lines tell of.

    Parameters
    ----------
    redactor : what takes secrets and contents out
    packs : what packs know of such lines
    own : forms of the user's own, before those of packs
    """

    def __init__(self, redactor: Redactor, packs: Sequence[CallLinesSpec], own: Sequence[CallLineSpec] = ()) -> None:
        self._redactor = redactor
        self._packs = packs
        self.adopt(own)

    def adopt(self, own: Sequence[CallLineSpec]) -> None:
        """Go by these forms of the user's own from now on; thread-safe."""
        self._readers = [_Reader(spec, own) for spec in self._packs]

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames without secrets, and frames of the calls that logs among them tell of."""
        clean = self._redactor.frames(frames)
        return [*clean, *(made for frame in clean if frame.kind is FrameKind.LOGS for made in self._spans(frame))]

    def labels(self, labels: Labels) -> Labels:
        """The labels without secrets."""
        return self._redactor.labels(labels)

    def _spans(self, frame: Frame) -> Iterator[Frame]:
        readers = self._readers
        places = sorted({place for reader in readers for place in reader.near(frame)})
        rows = []
        for log in frame.batch.take(pa.array(places, pa.int64())).to_pylist():
            found = next(filter(None, (reader.call(log) for reader in readers)), None)
            if found is not None:
                rows.append(_span(log, found))
        if rows:
            _READ.inc(len(rows))
            columns: dict[str, Sequence[object]] = {
                name: [row[name] for row in rows] for name in SCHEMAS[FrameKind.SPANS].names
            }
            yield frame_of(FrameKind.SPANS, frame.tenant, frame.source, columns)


class _Reader:
    """The rules of one pack."""

    def __init__(self, spec: CallLinesSpec, own: Sequence[CallLineSpec]) -> None:
        self._spec = spec
        self._own = [(each.pattern, compile_re2(each.pattern)) for each in own]
        self._rules = [(rule, compile_re2(rule.hint), [*rule.fields, *spec.fields]) for rule in spec.rules]
        self._near = "|".join(
            f"(?:{pattern})" for pattern in (*(rule.hint for rule in spec.rules), *(own for own, _ in self._own))
        )
        self._keys: dict[str, bool] = {}
        self._pattern = compile_re2(self._near) if self._near else None

    def near(self, frame: Frame) -> list[int]:
        """Rows that may tell of a call."""
        if self._pattern is None:
            return []
        found = pc.match_substring_regex(frame.batch.column("body"), self._near).fill_null(False)
        hit = np.array(found.to_numpy(zero_copy_only=False), "?")
        attributes = frame.batch.column("attributes")
        keys = attributes.keys.dictionary_encode()
        told = np.array([self._speaks(key) for key in keys.dictionary.to_pylist()], "?")
        if told.any():
            offsets = np.asarray(attributes.offsets)
            codes = keys.indices.to_numpy(zero_copy_only=False)[: offsets[-1] - offsets[0]]
            hit[np.repeat(np.arange(len(attributes)), np.diff(offsets))[told[codes]]] = True
        return np.flatnonzero(hit).tolist()

    def _speaks(self, key: str) -> bool:
        known = self._keys.get(key)
        if known is None:
            if len(self._keys) > 10_000:  # names come from telemetry: bounded
                self._keys.clear()
            assert self._pattern is not None
            known = self._keys[key] = self._pattern.search(key) is not None
        return known

    def call(self, log: Row) -> dict[str, str] | None:
        """What a record says of a call, by attribute; None if it tells of none."""
        body, attributes = log["body"] or "", dict(log["attributes"] or ())
        for _, pattern in self._own:
            match = pattern.search(body)
            if match is not None:
                said = {key: value for key, value in match.groupdict().items() if value}
                found = self._read(said, self._spec.fields)
                return self._provided(found) if {_MODEL, _ANSWERED} & found.keys() else None
        said = pairs_of_tree(_trees(attributes), self._spec.under)
        line = pairs_of_line(body, self._spec.under, self._spec.texts)
        said = line | said
        searched = "\n".join((body, *attributes))
        for rule, hint, fields in self._rules:
            if hint.search(searched) is None or any(name in said for name in rule.unless):
                continue
            found = self._read(said, fields)
            if all(any(name in found for name in names) for names in rule.needs):
                return self._provided(found)
        return None

    def _read(self, said: Mapping[str, str], fields: Sequence[LineFieldSpec]) -> dict[str, str]:
        found: dict[str, str] = {}
        for spec in fields:
            if spec.field in found:
                continue
            for name in spec.names:
                value = _value(spec, said.get(name, "").strip())
                if value:
                    found[spec.field] = value
                    break
        return found

    def _provided(self, found: dict[str, str]) -> dict[str, str]:
        """With the provider that serves such a model, where none is told."""
        model = found.get(_MODEL, found.get(_ANSWERED, "")).lower()
        if model and _PROVIDER not in found:
            provider = next((of for glob, of in self._spec.providers.items() if fnmatchcase(model, glob)), "")
            if provider:
                found[_PROVIDER] = provider
        return found


def _trees(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Attributes with those that hold an object as JSON opened."""
    found: dict[str, Any] = {}
    for key, value in attributes.items():
        found[key] = value
        if value.startswith("{") and len(value) < 16_384:
            try:
                found[key] = json.loads(value, parse_int=str, parse_float=str, parse_constant=str)
            except (ValueError, RecursionError):
                continue
    return found


def _value(spec: LineFieldSpec, text: str) -> str:
    """A value as its attribute has it; "" for what is none."""
    if not text:
        return ""
    if spec.values:
        mapped = canonical_of(text[:_TEXT_CHARS], spec.values.items())
        text = text if mapped is None else mapped
    if spec.field in {"duration", "began", "ended", _TTFT}:
        seconds = _seconds(text, spec.unit)
        return repr(seconds) if 0 < seconds <= _MOST_S.get(spec.field, _LONGEST_S) else ""
    if spec.field.startswith("gen_ai.usage.") or spec.field in _MOST:
        value = _amount(text)
        return repr(value) if 0 <= value <= _MOST.get(spec.field, _MOST_TOKENS) else ""
    return text[:_TEXT_CHARS]


def _amount(text: str) -> float:
    """A number with at most a sign of money or a word behind it, NaN for anything else."""
    match = _NUMBER.fullmatch(text)
    return float(match[1].replace(",", "")) if match is not None else math.nan


def _seconds(text: str, unit: str) -> float:
    """A time in seconds; of a number that has no unit, here or there, nobody knows what it says: NaN.

    >>> _seconds("250", "ms"), _seconds("1.2s", ""), _seconds("7", "")
    (0.25, 1.2, nan)
    """
    match = _NUMBER.fullmatch(text)
    scale = _UNITS_S.get((match[2].lower() or unit), math.nan) if match is not None else math.nan
    return float(match[1].replace(",", "")) * scale if match is not None else math.nan


def _span(log: Row, found: Mapping[str, str]) -> Row:
    """The span of a call that ended when its line was written."""
    took_ns = _took_ns(found)
    trace = _id(found.get("trace_id", ""), 16, log["trace_id"])
    parent = _id(found.get("span_id", ""), 8, log["span_id"])
    response, request = found.get(_RESPONSE, ""), found.get(_REQUEST, "")
    named = bool(response or request or any(trace))
    what = response or f"{log['time']}\n{request}\n{log['body']}\n{log['attributes']}"
    failed = bool(found.get("failed"))
    operation = found.get(_OPERATION, "")
    model = found.get(_MODEL) or found.get(_ANSWERED, "")
    attributes = [(name, value) for name, value in found.items() if name not in _OWN]
    return {
        "trace_id": trace if any(trace) else _digest(request or what, 16),
        "span_id": _digest(what, 8),
        "parent_id": parent if any(trace) else bytes(8),
        "name": f"{operation} {model}".strip(),
        "kind": "client",
        "start": log["time"] - took_ns,
        "time": log["time"],
        "status": "error" if failed else "unset",
        "status_message": found.get("status_message", "") if failed else "",
        "scope": LINE_SCOPE if named else NAMELESS_SCOPE,
        "resource": log["resource"],
        "attributes": attributes,
        "events": "[]",
    }


def _took_ns(found: Mapping[str, str]) -> int:
    """How long a call took, 0 where that is not known."""
    took_s = float(found.get("duration", "nan"))
    if math.isnan(took_s):
        began, ended = (float(found.get(name, "nan")) for name in ("began", "ended"))
        took_s = (ended - began) * (1e-3 if began > _UNIX_MS else 1.0)
    return round(took_s * 1e9) if 0 < took_s <= _LONGEST_S else 0


def _id(text: str, size: int, told: bytes | None) -> bytes:
    """An id of the record itself, else that in its line; zeros for none."""
    if told is not None and any(told):
        return told
    plain = text.replace("-", "").lower()
    return bytes.fromhex(plain) if re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", plain) else bytes(size)


def _digest(text: str, size: int) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=size, person=b"tocsin.line").digest()
