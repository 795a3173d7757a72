"""`Scopes`: what is known of a span by the instrumentation that made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from tocsin.llm.reading import Texts
from tocsin.model.arrays import I8, Mask
from tocsin.spec.llm import ScopeSpec

_MOST_KNOWN = 10_000


class Named(NamedTuple):
    """Rows (k,) whose spans tell of themselves by their name alone, and what each says."""

    rows: I8
    operations: list[str]
    models: list[str]


class Scopes:
    """Rules of packs by scope, the first that fits."""

    def __init__(self, specs: Sequence[ScopeSpec]) -> None:
        self._specs = specs
        self._known: dict[str, ScopeSpec | None] = {}

    def find(self, column: Any) -> list[tuple[ScopeSpec, Mask]]:
        """Rules that speak of some rows, each with its rows (n,)."""
        if not self._specs:
            return []
        encoded = column.dictionary_encode()
        code = encoded.indices.to_numpy(zero_copy_only=False)
        found: dict[int, list[int]] = {}
        for number, scope in enumerate(encoded.dictionary.to_pylist()):
            spec = self._of(scope or "")
            if spec is not None:
                found.setdefault(self._specs.index(spec), []).append(number)
        return [(self._specs[place], np.isin(code, numbers)) for place, numbers in sorted(found.items())]

    def _of(self, scope: str) -> ScopeSpec | None:
        if scope not in self._known:
            if len(self._known) >= _MOST_KNOWN:  # scopes come from telemetry: bounded
                self._known.clear()
            self._known[scope] = next((spec for spec in self._specs if fnmatchcase(scope, spec.scope)), None)
        return self._known[scope]


def named(spans: Any, rows: I8, operation: Callable[[str], str]) -> Named:
    """Those of the rows whose span is named `<operation> <model>`, `operation` giving "" for what is none."""
    kept: list[int] = []
    operations: list[str] = []
    models: list[str] = []
    for row, name in zip(rows.tolist(), spans.take(rows).to_pylist(), strict=True):
        first, _, rest = (name or "").partition(" ")
        told = operation(first)
        if told and rest:
            kept.append(row)
            operations.append(told)
            models.append(rest)
    return Named(np.array(kept, "i8"), operations, models)


def filled(texts: Texts, rows: I8, told: Sequence[str]) -> Texts:
    """Texts with those of some rows set where they have none."""
    known = {value: code for code, value in enumerate(texts.values)}
    code = texts.code.copy()
    for row, value in zip(rows.tolist(), told, strict=True):
        if code[row] < 0:
            code[row] = known.setdefault(value, len(known))
    return Texts(code, list(known))
