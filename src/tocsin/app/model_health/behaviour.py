"""How a model behaves: how sure it is, how much it says, what it refuses, what it looks at; beside how it did before."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.app.model_health.rows import NAME_CHARS, Row, Span
from tocsin.assess.intervals import Measure, mean_of, rate_of
from tocsin.derive.sayings import LONGEST_CLASS, NOTHING, Saying, confidence, saying
from tocsin.model.arrays import F8
from tocsin.model.text import one_line

Json: TypeAlias = dict[str, Any]
CONFIDENCE, LENGTH, REFUSAL, EMBEDDING = "confidence", "output length", "refusal", "embedding"
ATTENTION, ATTRIBUTION = "attention ", "attribution "
NAMED: Final = (CONFIDENCE, LENGTH, REFUSAL)
MOST_ATTRIBUTED: Final = 50
MOST_ATTENTION: Final = 10
LEVEL: Final = 0.95
_MOST_KNOWN: Final = 1000
_REFUSALS: Final = ("refusal", "refused")
_YES: Final = frozenset({"true", "1", "yes"})


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """Columns (n,) each of a span's records by name, NaN where a record has none, and vectors of those that hold one."""

    columns: Mapping[str, F8]
    embedding: Sequence[Sequence[float]]

    @staticmethod
    def of(span: Span) -> Behaviour:
        """From the records of a span."""
        rows = span.taken.rows
        known: dict[tuple[type, object], Saying] = {}
        said = [_said(row["prediction"], known) for row in rows]
        columns = {
            CONFIDENCE: _numbers(_sure(each, row) for each, row in zip(said, rows, strict=True)),
            LENGTH: _numbers(_lengths(said, rows)),
            REFUSAL: _refused(rows),
            **_objects(rows, "attention", ATTENTION, MOST_ATTENTION),
            **_shares(_objects(rows, "attributions", ATTRIBUTION, MOST_ATTRIBUTED)),
        }
        held = {name: values for name, values in columns.items() if np.isfinite(values).any()}
        return Behaviour(held, [row["embedding"] for row in rows if row.get("embedding")])


def _said(value: object, known: dict[tuple[type, object], Saying]) -> Saying:
    """What was said; `known` spares the same classes and numbers a second reading."""
    # texts, the most frequent case, need no detour over JSON
    if isinstance(value, str):
        return Saying(value) if len(value) <= LONGEST_CLASS and "\n" not in value else Saying(length=len(value))
    if isinstance(value, list | dict):
        return saying(json.dumps(value))
    key = (type(value), value)
    if key not in known and len(known) < _MOST_KNOWN:
        known[key] = saying(json.dumps(value)) if value is not None else NOTHING
    return known[key] if key in known else saying(json.dumps(value))


def _sure(said: Saying, row: Row) -> float | None:
    score = row["score"]
    return confidence(said, float("nan") if score is None else float(score))


def _lengths(said: Sequence[Saying], rows: Sequence[Row]) -> Iterator[float | None]:
    """Characters of texts or entries of lists; where any text is too long for a class, short ones are texts as well."""
    prose = any(
        each.length is not None and isinstance(row["prediction"], str) for each, row in zip(said, rows, strict=True)
    )
    for each, row in zip(said, rows, strict=True):
        yield len(row["prediction"]) if prose and isinstance(row["prediction"], str) else each.length


def _numbers(cells: Iterable[float | None]) -> F8:
    return np.array([np.nan if each is None else float(each) for each in cells], "f8")


def _refused(rows: Sequence[Row]) -> F8:
    """1 for a refusal; who tags nothing but refusals means that the rest is none."""
    told = [next((row["tags"][tag] for tag in _REFUSALS if tag in row["tags"]), None) for row in rows]
    if all(each is None for each in told):
        return np.full(len(rows), np.nan)
    return np.array([float((each or "").lower() in _YES) for each in told])


def _objects(rows: Sequence[Row], field: str, prefix: str, most: int) -> dict[str, F8]:
    """Numbers of an object by name, of the names that most rows have."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for k, row in enumerate(rows):
        held = row.get(field)
        for name, number in held.items() if isinstance(held, dict) else ():
            if type(number) in (int, float) and math.isfinite(number):
                places, numbers = found.setdefault(name, ([], []))
                places.append(k)
                numbers.append(number)
    columns = {}
    for name in sorted(found, key=lambda name: (-len(found[name][0]), name))[:most]:
        column = columns[f"{prefix}{name}"] = np.full(len(rows), np.nan)
        column[found[name][0]] = found[name][1]
    return columns


def _shares(attributions: Mapping[str, F8]) -> dict[str, F8]:
    """The share of each feature in all attributions of a row, without signs; a feature that is not named has none."""
    if not attributions:
        return {}
    sizes = {name: np.abs(values) for name, values in attributions.items()}
    total = np.nansum(list(sizes.values()), axis=0)
    told = total > 0
    return {
        name: np.where(told, np.nan_to_num(each) / np.where(told, total, 1.0), np.nan) for name, each in sizes.items()
    }


def behaviour(before: Behaviour, now: Behaviour, rows: Sequence[Json], overlays: Sequence[Json]) -> Json | None:
    """What is drawn and said; `rows` are the decisions on these columns. None where records say nothing of it."""
    shown = [row for row in rows if not str(row["id"]).startswith(ATTRIBUTION)]
    attributions = _ranked(before, now, [row for row in rows if str(row["id"]).startswith(ATTRIBUTION)])
    if not now.columns:
        return None
    moved = [row["name"] for row in shown if row["alarm"]]
    moved += [f"what it rests on ({one_line(each['feature'], NAME_CHARS)})" for each in attributions if each["alarm"]][
        :1
    ]
    return {
        "rows": shown,
        "overlays": list(overlays),
        "refusal": _refusal(before, now),
        "attributions": attributions,
        "say": _say(moved, len(rows), bool(before.columns)),
    }


def _refusal(before: Behaviour, now: Behaviour) -> Json | None:
    if REFUSAL not in now.columns:
        return None
    empty = np.empty(0)
    sides = {"reference": before.columns.get(REFUSAL, empty), "current": now.columns[REFUSAL]}
    found = {name: rate_of(float(np.nansum(each)), int(np.isfinite(each).sum()), LEVEL, "no records") for name, each in sides.items()}  # fmt: skip
    return {name: each.to_json() for name, each in found.items()}


def _ranked(before: Behaviour, now: Behaviour, rows: Sequence[Json]) -> list[Json]:
    """Features by their share of all attributions now, and what place they had."""
    sides = [_means(each) for each in (before, now)]
    places = [_places(each) for each in sides]
    decided = {str(row["id"]): row for row in rows}
    found = []
    for name in sorted({*sides[0], *sides[1]}, key=lambda name: (places[1].get(name, 1 << 30), name)):
        row = decided.get(name, {})
        found.append(
            {
                "feature": name.removeprefix(ATTRIBUTION),
                "place": places[1].get(name),
                "place_before": places[0].get(name),
                "reference": _share(sides[0].get(name)),
                "current": _share(sides[1].get(name)),
                "alarm": bool(row.get("alarm")),
                "psi": row.get("psi"),
                "reason": str(row.get("reason", "only one side has it")),
            }
        )
    return found


def _means(side: Behaviour) -> dict[str, Measure]:
    named = {name: each for name, each in side.columns.items() if name.startswith(ATTRIBUTION)}
    return {name: mean_of(each[np.isfinite(each)], LEVEL) for name, each in named.items()}


def _places(means: Mapping[str, Measure]) -> dict[str, int]:
    ordered = sorted(means, key=lambda name: (-means[name].value, name))
    return {name: place for place, name in enumerate(ordered, 1)}


def _share(found: Measure | None) -> Json | None:
    return None if found is None else found.to_json()


def _say(moved: Sequence[str], compared: int, has_reference: bool) -> str:
    if not has_reference or not compared:
        return "There is nothing older to compare with yet."
    if moved:
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return f"The model behaves differently: {', '.join(moved[:3])}{more}."
    return "No change of behaviour is shown."
