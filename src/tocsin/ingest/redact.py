"""Redaction before the journal: secrets, personal data, prompts and completions leave frames and labels here.

A column is searched by one pass of RE2 over its text; Python touches only the values that hit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.ingest.redact_content import ContentNames, keyed
from tocsin.ingest.redact_rules import BUILT_IN, REDACTOR_VERSION, ColumnFilter, CompiledRule, Rule, Write
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.series import Labels, canonical
from tocsin.selfmon.metrics import counter

__all__ = ["BUILT_IN", "REDACTOR_VERSION", "Redactor", "Rule"]

_HITS = counter(
    "tocsin_ingest_redactions_total", "Secrets and contents taken out before the journal, by rule.", ["rule"]
)
_TEXT_KINDS = frozenset({FrameKind.SPANS, FrameKind.LOGS, FrameKind.RECORDS, FrameKind.EVENTS})
# what things are known by: a keyed token instead of a mark, so that two of them never become one
_IDENTITY_COLUMNS = frozenset({"prediction_id", "entity", "model", "version", "resource"})
_FEW_TEXTS, _CLEAN_TEXTS, _CLEAN_CHARS = 64, 20_000, 200
_JSON_LIKE = re.compile(r"\s*[\[{\"]")


class Redactor:
    """Takes secrets out of frames and labels; the same text and key always give the same result.

    Parameters
    ----------
    rules : the user's own rules, after the built-in ones
    keep_content : whether prompts and completions are kept (secrets in them are redacted all the same)
    token_key : 16 to 64 bytes, secret, kept with the data directory

    >>> Redactor((), keep_content=False, token_key=b"0123456789abcdef").text("mail joe@example.com")
    'mail [redacted:email]'
    """

    def __init__(self, rules: Sequence[Rule], keep_content: bool, token_key: bytes) -> None:
        if not 16 <= len(token_key) <= 64:
            raise ValueError(f"the redaction key has {len(token_key)} bytes; it needs 16 to 64")
        self._rules = [CompiledRule(rule) for rule in (*BUILT_IN, *rules)]
        self._marks = {rule.name: rule.replacement for rule in rules if rule.replacement is not None}
        self._clean_texts: set[str] = set()
        self._keep_content = keep_content
        self._key = token_key
        self._names = ContentNames()
        # text with JSON escapes can hide anything from a pattern: it is read as JSON and looked at again
        built_in = [rule.begins or rule.pattern for rule in BUILT_IN] + [
            r"\\(?:u00[0-7]|[nrtbf/])",
            self._names.json_keys(),
        ]
        self._filters = [ColumnFilter(built_in), *(ColumnFilter([f"(?m:{rule.pattern})"]) for rule in rules)]

    def frame(self, frame: Frame) -> Frame:
        """The frame without secrets; itself when there was nothing to take out."""
        return self.frames([frame])[0]

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames without secrets, themselves when there was nothing to take out of any of their kind.

        Those of a kind are searched together: a request brings one for each service that is in it.
        """
        found = list(frames)
        alike: dict[FrameKind, list[int]] = {}
        for place, frame in enumerate(frames):
            if frame.kind in _TEXT_KINDS and len(frame):
                alike.setdefault(frame.kind, []).append(place)
        for kind, places in alike.items():
            changed = self._changed(kind, [frames[place].batch for place in places])
            start = 0
            for place in places:
                frame = frames[place]
                mine = {name: column.slice(start, len(frame)) for name, column in changed.items()}
                found[place] = self._clean_frame(frame, mine)
                start += len(frame)
        return found

    def _clean_frame(self, frame: Frame, changed: dict[str, Any]) -> Frame:
        source = self._substitute(frame.source, self._token) if self._may_hit(frame.source) else frame.source
        if not changed and source == frame.source:
            return frame
        arrays = [changed.get(name, frame.batch.column(name)) for name in frame.batch.schema.names]
        return Frame(frame.kind, frame.tenant, source, pa.RecordBatch.from_arrays(arrays, schema=frame.batch.schema))

    def _changed(self, kind: FrameKind, batches: Sequence[Any]) -> dict[str, Any]:
        """Columns of all batches, one after the other, in which there was something to take out."""
        changed: dict[str, Any] = {}
        columns = {
            field.name: _joined([batch.column(field.name) for batch in batches])
            for field in batches[0].schema
            if pa.types.is_map(field.type) or pa.types.is_string(field.type)
        }
        for name, before in columns.items():
            if pa.types.is_map(before.type):
                after = self._map_column(kind, name, before)
            else:
                after = self._text_column(before, self._writer(name), record=kind is FrameKind.RECORDS)
            if name == "body" and not self._keep_content:
                after = self._log_bodies(columns, after)
            if after is not before:
                changed[name] = after
        return changed

    def labels(self, labels: Labels) -> Labels:
        """Labels in which every secret has become a token `<rule>:<16 hex>`, distinct for distinct secrets.

        >>> redactor = Redactor((), keep_content=False, token_key=b"0123456789abcdef")
        >>> redactor.labels((("user", "joe@example.com"),))[0][1].split(":")[0]
        'email'
        """
        found = []
        searched = "\n".join(text for pair in labels for text in pair)
        clean = not self._may_hit(searched)
        for name, value in labels:
            told = self._names.key(name)
            if told.content and not self._keep_content and value:
                new = self._token("content", value)
                _HITS.labels("content").inc()
            elif told.rule and value:
                new = self._token(told.rule, value)
                _HITS.labels(told.rule).inc()
            else:
                new = value if clean else self._substitute(value, self._token)
            found.append((name if clean else self._substitute(name, self._token), new))
        return canonical(found)

    def text(self, text: str) -> str:
        """One text without secrets."""
        return self._substitute(text, self._mark)

    def _mark(self, rule: str, _secret: str) -> str:
        return self._marks.get(rule, f"[redacted:{rule}]")

    def _token(self, rule: str, secret: str) -> str:
        # 64 bits: with 32, a hundred thousand addresses would already share some
        return f"{rule}:{keyed(self._key, secret, 8, b'tocsin.label')}"

    def _writer(self, column: str) -> Write:
        return self._token if column in _IDENTITY_COLUMNS else self._mark

    def _content(self, text: str) -> str:
        if not text or text.startswith("[content dropped: "):
            return text
        _HITS.labels("content").inc()
        return f"[content dropped: {len(text)} chars, sha {keyed(self._key, text, 4, b'tocsin.content')}]"

    def _substitute(self, text: str, write: Write) -> str:
        for rule in self._rules:
            text, hits = rule.substitute(text, write)
            if hits:
                _HITS.labels(rule.rule.name).inc(hits)
        return text

    def _clean(self, text: str, write: Write, *, record: bool = False) -> str:
        """A value without secrets; one that is JSON stays JSON."""
        if _JSON_LIKE.match(text):
            try:
                before = json.loads(text)
                after = self._walk(before, write, record=record)
            except (ValueError, RecursionError):
                return self._substitute(text, write)
            return text if after == before else json.dumps(after, ensure_ascii=False, separators=(",", ":"))
        return self._substitute(text, write)

    def _walk(self, node: Any, write: Write, *, record: bool) -> Any:
        if isinstance(node, str):
            return self._clean(node, write, record=record)
        if isinstance(node, dict):
            return {
                self._substitute(name, write): self._member(name, value, write, record=record)
                for name, value in node.items()
            }
        if isinstance(node, list):
            return [self._walk(value, write, record=record) for value in node]
        if isinstance(node, (int, float)) and not isinstance(node, bool):
            text = repr(node)
            new = self._substitute(text, write)
            return node if new == text else new
        return node

    def _member(self, name: str, value: Any, write: Write, *, record: bool) -> Any:
        told = self._names.key(name, record=record)
        if told.content and not self._keep_content and value:
            return self._content(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        if told.rule and value and isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return self._named(told.rule, str(value), write)
        return self._walk(value, write, record=record)

    def _named(self, rule: str, value: str, write: Write) -> str:
        """The value of something whose name says what it is."""
        if value.startswith(("[redacted:", f"{rule}:")):
            return value
        _HITS.labels(rule).inc()
        return write(rule, value)

    def _may_hit(self, text: str) -> bool:
        return any(one.may_hit(text) for one in self._filters)

    def _hits(self, texts: Any) -> set[int]:
        """Places of the texts, an array without nulls, that a rule may match."""
        few = len(texts) <= _FEW_TEXTS
        # names, kinds and resources are the same in every request
        if few and self._clean_texts.issuperset(known := texts.to_pylist()):
            return set()
        hits = {place for one in self._filters for place in one.hits(texts)}
        if few and len(self._clean_texts) < _CLEAN_TEXTS:
            self._clean_texts.update(
                text for place, text in enumerate(known) if place not in hits and len(text) <= _CLEAN_CHARS
            )
        return hits

    def _text_column(self, column: Any, write: Write, *, record: bool = False) -> Any:
        """A text column without secrets; itself when nothing hit."""
        unique = column.dictionary_encode()
        hits = self._hits(unique.dictionary)
        if not hits:
            return column
        texts = unique.dictionary.to_pylist()
        changed = False
        for at in sorted(hits):
            new = self._clean(texts[at], write, record=record)
            changed |= new != texts[at]
            texts[at] = new
        return pa.array(texts, pa.string()).take(unique.indices) if changed else column

    def _map_column(self, kind: FrameKind, name: str, column: Any) -> Any:
        """A column of pairs without secrets and contents; itself when there were none."""
        write = self._writer(name)
        if column.offset or column.null_count:
            column = pa.array([value or [] for value in column.to_pylist()], column.type)
        keys, items = column.keys, column.items
        new_keys = self._text_column(keys, write)
        new_items = self._text_column(items, write)
        codes = keys.dictionary_encode()
        told = [self._names.key(key or "") for key in codes.dictionary.to_pylist()]
        code = codes.indices.to_numpy(zero_copy_only=False)
        whole = self._whole_values(items, new_items, code, told, write)
        if name == "attributes" and kind is FrameKind.SPANS:
            versions = self._prompt_versions(column, code, [one.prompt for one in told])
            if versions:
                return _with_pairs(column, new_keys, whole, self._names.version_key, versions)
        if new_keys is keys and whole is items:
            return column
        return pa.MapArray.from_arrays(column.offsets, new_keys, whole)

    def _whole_values(self, items: Any, cleaned: Any, code: Any, told: list[Any], write: Write) -> Any:
        """Values replaced as a whole because of their name: contents, and what is named as a secret."""
        drops = np.array([one.content and not self._keep_content for one in told], bool)
        named = np.array([bool(one.rule) for one in told], bool)
        places = (drops | named)[code].nonzero()[0]
        if not places.size:
            return cleaned
        values = []
        for place, text in zip(places.tolist(), items.take(pa.array(places)).to_pylist(), strict=True):
            one = told[code[place]]
            if not text:
                values.append(text)
            else:
                values.append(self._content(text) if drops[code[place]] else self._named(one.rule, text, write))
        mask = np.zeros(len(items), bool)
        mask[places] = True
        return pc.replace_with_mask(cleaned, pa.array(mask), pa.array(values, pa.string()))

    def _prompt_versions(self, column: Any, code: Any, prompt: list[bool]) -> dict[int, str]:
        """From row to the version told by its template or system prompt, where none is told."""
        if not any(prompt):
            return {}
        places = np.array(prompt, bool)[code].nonzero()[0]
        offsets = column.offsets.to_numpy()
        rows = np.unique(np.searchsorted(offsets, places, "right") - 1)
        found = {}
        for row in rows.tolist():
            if text := self._names.prompt_text(dict(column[row].as_py())):
                found[row] = f"h:{keyed(self._key, text, 4, b'tocsin.prompt')}"
        return found

    def _log_bodies(self, columns: Mapping[str, Any], bodies: Any) -> Any:
        """Bodies of the log records whose event says that they are content."""
        events = self._names.events
        rows = {row for row, name in enumerate(columns["event_name"].to_pylist()) if name in events}
        attributes = columns["attributes"]
        if any(self._names.key(key or "").event_name for key in pc.unique(attributes.keys).to_pylist()):
            for row, pairs in enumerate(attributes.to_pylist()):
                if any(value in events for key, value in pairs or () if self._names.key(key).event_name):
                    rows.add(row)
        if not rows:
            return bodies
        original = columns["body"]
        texts = bodies.to_pylist()
        for row in sorted(rows):
            texts[row] = self._content(original[row].as_py() or "")
        return pa.array(texts, pa.string())


def _joined(columns: Sequence[Any]) -> Any:
    return columns[0] if len(columns) == 1 else pa.concat_arrays(columns)


def _with_pairs(column: Any, keys: Any, items: Any, key: str, values: dict[int, str]) -> Any:
    """The map column with one more pair in some rows."""
    offsets = column.offsets.to_numpy()
    rows = np.array(sorted(values))
    ends = offsets[rows + 1]
    # each new pair goes behind the last pair of its row: take from old pairs with the new ones appended
    order = np.insert(np.arange(offsets[0], offsets[-1]), ends - offsets[0], len(keys) + np.arange(rows.size))
    grown = np.zeros(len(offsets), offsets.dtype)
    grown[rows + 1] = 1
    new_offsets = offsets - offsets[0] + np.cumsum(grown, dtype=offsets.dtype)
    all_keys = pa.concat_arrays([keys, pa.array([key] * rows.size, pa.string())])
    all_items = pa.concat_arrays([items, pa.array([values[row] for row in rows.tolist()], pa.string())])
    take: Callable[[Any], Any] = lambda array: array.take(pa.array(order))  # noqa: E731 - one expression, twice
    return pa.MapArray.from_arrays(pa.array(new_offsets), take(all_keys), take(all_items))
