"""`ErrorClasses`: which kind of failure a model call met, from everything that its span says of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.llm.reading import FieldNames, Found, Texts, first_of
from tocsin.llm.span_events import ReadEvents
from tocsin.model.arrays import I4, Mask
from tocsin.spec.mapping import MappingSpec, canonical_of

OTHER = "other"
_MOST_TEXT = 2_000
_MOST_KNOWN = 20_000


class ErrorClasses:
    """Classes of errors; of several that a span speaks of, the one that stands first in the pack."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, str]] = []
        self._order: dict[str, int] = {OTHER: 1 << 20}
        self._fields: list[str] = []
        self._known: dict[str, str] = {}

    def add(self, mapping: MappingSpec, names: FieldNames) -> None:
        """Take the names and rules of a pack: each name is read, not only the best."""
        for name in mapping.names:
            field = f"error_class {name}"
            self._fields.append(field)
            names.add(field, [name])
        for text, found in mapping.values.items():
            self._rules.append((text, found))
            self._order.setdefault(found, len(self._order))

    def read(self, found: dict[str, Found], call: Mask, failed: Mask, messages: Any, events: ReadEvents) -> Texts:
        """Class of each call, (n,): of what failed, `other` if nothing is known."""
        best: dict[int, str] = {}
        for field in self._fields:
            if field in found:
                told = found[field].texts(len(call), self._class)
                for row in np.flatnonzero((told.code >= 0) & call).tolist():
                    self._better(best, row, told.of(row))
        for row, texts in events.exceptions.items():
            for text in texts if call[row] else ():
                self._better(best, row, self._class(text))
        rows = np.flatnonzero(failed & call)
        for row, message in zip(rows.tolist(), messages.take(rows).to_pylist(), strict=True):
            self._better(best, row, self._class(message or ""))
            self._better(best, row, OTHER)
        known: dict[str, int] = {}
        code: I4 = np.full(len(call), -1, "i4")
        for row, text in best.items():
            code[row] = known.setdefault(text, len(known))
        return Texts(code, list(known))

    def _better(self, best: dict[int, str], row: int, found: str) -> None:
        if found and (row not in best or self._order[found] < self._order[best[row]]):
            best[row] = found

    def _class(self, raw: str) -> str:
        text = first_of(raw[:_MOST_TEXT])
        known = self._known.get(text)
        if known is None:
            if len(self._known) > _MOST_KNOWN:  # messages come from telemetry: bounded
                self._known.clear()
            known = self._known[text] = canonical_of(text, self._rules) or ""
        return known
