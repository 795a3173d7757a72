"""Drift of features, prediction and score: a table ranked by effect, and one of them drawn over its reference."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow.compute as pc

from tocsin.app.model_health.rows import Span
from tocsin.assess.column import FeatureKind, as_arrow, kind_of, numbers, texts
from tocsin.assess.drift import DriftPolicy, compare_all
from tocsin.assess.reference import FeatureReference
from tocsin.model.arrays import F8
from tocsin.model.errors import BadInput
from tocsin.spec.problem import nearest

Json: TypeAlias = dict[str, Any]
BINS: Final = 20
MOST_BARS: Final = 20
OUTPUTS: Final = ("prediction", "score")


def drift(reference: Span, current: Span, kinds: Mapping[str, FeatureKind], left: dict[str, str], chosen: str) -> Json:
    """All that can be compared, worst first, and the bins of the chosen one (the worst where none is named).

    Raises
    ------
    BadInput
        No feature has the chosen name.
    """
    columns = {f"feature {name}": (name, kind) for name, kind in kinds.items()}
    for name in OUTPUTS:
        both = [span.frame.columns[name] for span in (reference, current)]
        if all(len(cells) > cells.null_count for cells in both):
            columns[name] = (name, kind_of(both[0], name))
    references: dict[str, FeatureReference] = {}
    for full, (name, kind) in columns.items():
        try:
            references[full] = FeatureReference.learn(full, reference.frame.columns[full], kind)
        except BadInput as error:
            left[name] = str(error)
    sketches = {full: each.sketch(current.frame.columns[full]) for full, each in references.items()}
    policy = DriftPolicy()
    rows = []
    for each in compare_all(references, sketches, policy) if references else []:
        name = columns[each.name][0]
        part = "output" if each.name in OUTPUTS else "feature"
        rows.append({**each.to_json(), "id": each.name, "name": name, "part": part})
    rows.sort(key=lambda row: (not row["alarm"], -(row["psi"] or 0.0), -row["log10_e"], row["name"]))
    return {
        "rows": rows,
        "policy": {"level": policy.level, "min_effect": policy.min_effect, "min_n": policy.min_n},
        "left_out": [{"name": name, "why": why} for name, why in left.items()],
        "overlay": _overlay(reference, current, references, rows, chosen),
        "say": _say(rows, reference.rows, policy),
    }


def _say(rows: list[Json], reference_rows: int, policy: DriftPolicy) -> str:
    if not reference_rows:
        return "There are no records to compare with: no reference."
    if not rows:
        return "The records hold no features, predictions or scores that could be compared."
    moved = [row["name"] for row in rows if row["alarm"]]
    if moved:
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return f"{len(moved)} of {len(rows)} moved: {', '.join(moved[:3])}{more}."
    if all(row["n"] < policy.min_n or row["reference_n"] < policy.min_n for row in rows):
        return f"Nothing is decided below {policy.min_n} rows on either side."
    return f"None of {len(rows)} is shown to have moved."


def _overlay(
    reference: Span, current: Span, known: Mapping[str, FeatureReference], rows: list[Json], chosen: str
) -> Json | None:
    if not known:
        return None
    full = next((each for each in (f"feature {chosen}", chosen) if each in known), None)
    if chosen and full is None:
        names = [name.removeprefix("feature ") for name in known]
        raise BadInput(f"no feature {chosen[:80]!r} to draw{nearest(chosen, names)}")
    full = full or str(rows[0]["id"])
    before, now = reference.frame.columns[full], current.frame.columns[full]
    kind = known[full].kind
    said = ""
    if kind is FeatureKind.TEXT:
        before, now, kind, said = _lengths(before), _lengths(now), FeatureKind.NUMERIC, "length in characters"
    elif kind is FeatureKind.EMBEDDING:
        view = known[full].view
        if view is None:
            return None
        before, now = (as_arrow(view.derive(each).parts["distance"]) for each in (before, now))
        kind, said = FeatureKind.NUMERIC, "distance from the centre of the reference"
    bars = _of_numbers(before, now) if kind is FeatureKind.NUMERIC else _of_categories(before, now)
    name = full.removeprefix("feature ")
    return {"feature": name, "said": said, "n": current.rows, "reference_n": reference.rows, "bars": bars}


def _lengths(cells: Any) -> Any:
    return pc.utf8_length(texts(cells))


def _of_numbers(before: Any, now: Any) -> list[Json]:
    """Bins of equal width over what both mostly hold; the outer ones are open."""
    a, b = numbers(before).present, numbers(now).present
    both = np.concatenate([a, b])
    if not both.size:
        return []
    values = np.unique(both)
    if values.size <= MOST_BARS:
        return [_bar(f"{value:g}", _share(a == value), _share(b == value)) for value in values.tolist()]
    low, high = _middle(a, b)
    edges = np.linspace(low, high, BINS - 1)
    p, q = _binned(a, edges), _binned(b, edges)
    names = [f"below {edges[0]:.4g}", *(f"{x:.4g} to {y:.4g}" for x, y in pairwise(edges.tolist()))]
    return [_bar(name, *each) for name, *each in zip([*names, f"{edges[-1]:.4g} and above"], p, q, strict=True)]


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
    return {"label": label[:200], "reference": reference, "current": current}
