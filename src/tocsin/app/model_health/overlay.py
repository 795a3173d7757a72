"""One column drawn over its reference: bins of numbers, or the most frequent values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow.compute as pc

from tocsin.assess.column import FeatureKind, as_arrow, numbers, texts
from tocsin.assess.reference import FeatureReference
from tocsin.model.arrays import F8

Json: TypeAlias = dict[str, Any]
BINS: Final = 20
MOST_BARS: Final = 20
_CHARS: Final = 200


def overlay(name: str, known: FeatureReference, before: Any, now: Any) -> Json | None:
    """Shares of the rows of both sides that hold a value, bin by bin; None where there is nothing to draw.

    `edges` are those between bins of numbers, the outer bins being open; without them each bar is a value.
    """
    kind, said = known.kind, ""
    if kind is FeatureKind.TEXT:
        before, now, kind, said = _lengths(before), _lengths(now), FeatureKind.NUMERIC, "length in characters"
    elif kind is FeatureKind.EMBEDDING:
        if known.view is None:
            return None
        before, now = (as_arrow(known.view.derive(each).parts["distance"]) for each in (before, now))
        kind, said = FeatureKind.NUMERIC, "distance from the centre of the reference"
    counts = [len(each) - each.null_count for each in (before, now)]
    bars, edges = _of_numbers(before, now) if kind is FeatureKind.NUMERIC else (_of_categories(before, now), [])
    return {"feature": name, "said": said, "n": counts[1], "reference_n": counts[0], "bars": bars, "edges": edges}


def _lengths(cells: Any) -> Any:
    return pc.utf8_length(texts(cells))


def _of_numbers(before: Any, now: Any) -> tuple[list[Json], list[float]]:
    """Bins of equal width over what both mostly hold; the outer ones are open."""
    a, b = numbers(before).present, numbers(now).present
    values = np.unique(np.concatenate([a, b]))
    if not values.size:
        return [], []
    if values.size <= MOST_BARS:
        return [_bar(f"{value:g}", _share(a == value), _share(b == value)) for value in values.tolist()], []
    low, high = _middle(a, b)
    edges = np.linspace(low, high, BINS - 1)
    p, q = _binned(a, edges), _binned(b, edges)
    names = [f"below {edges[0]:.4g}", *(f"{x:.4g} to {y:.4g}" for x, y in pairwise(edges.tolist()))]
    bars = [_bar(name, *each) for name, *each in zip([*names, f"{edges[-1]:.4g} and above"], p, q, strict=True)]
    return bars, [float(each) for each in edges]


def _middle(a: F8, b: F8) -> tuple[float, float]:
    ends = [np.quantile(each, (0.005, 0.995)) for each in (a, b) if each.size]
    low, high = min(float(end[0]) for end in ends), max(float(end[1]) for end in ends)
    return (low, high) if high > low else (low, low + max(abs(low), 1.0))


def _share(chosen: Any) -> float:
    return float(np.mean(chosen)) if len(chosen) else 0.0


def _binned(values: F8, edges: F8) -> list[float]:
    counts = np.bincount(np.searchsorted(edges, values, "right"), minlength=edges.size + 1)
    return [float(each) for each in counts / max(values.size, 1)]


def _of_categories(before: Any, now: Any) -> list[Json]:
    """The most frequent values of both, the rest as one."""
    shares: list[dict[str, float]] = []
    for cells in (before, now):
        held = texts(cells).drop_null()
        counted = {each["values"]: each["counts"] for each in pc.value_counts(held).to_pylist()}
        shares.append({name: n / max(len(held), 1) for name, n in counted.items()})
    names = sorted({*shares[0], *shares[1]}, key=lambda name: (-max(each.get(name, 0.0) for each in shares), name))
    bars = [_bar(name, shares[0].get(name, 0.0), shares[1].get(name, 0.0)) for name in names[:MOST_BARS]]
    if len(names) > MOST_BARS:
        rest = [sum(each.get(name, 0.0) for name in names[MOST_BARS:]) for each in shares]
        bars.append(_bar(f"{len(names) - MOST_BARS} others", *rest))
    return bars


def _bar(label: str, reference: float, current: float) -> Json:
    return {"label": label[:_CHARS], "reference": reference, "current": current}
