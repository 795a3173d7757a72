"""Records of a span of time by column, and what kind of model they are of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from tocsin.app.drift_files.frame import Frame
from tocsin.app.drift_files.outcome import Outcome, outcome
from tocsin.app.drift_files.roles import Roles
from tocsin.app.score.table import Table
from tocsin.assess.column import FeatureKind, as_arrow, kind_of
from tocsin.derive.sayings import saying
from tocsin.model.arrays import I8
from tocsin.model.errors import BadInput
from tocsin.store.model_rows import Taken

Row: TypeAlias = dict[str, Any]
NAME_CHARS: Final = 60
"""Characters of a name within a sentence."""
MOST_FEATURES: Final = 200
MOST_TAGS: Final = 50
VERSION: Final = "version"


class Source(Protocol):
    """Where records come from; see `tocsin.store.model_rows.ModelRows`."""

    def seen(self, tenant: str, start: int, end: int, limit: int = 200) -> list[Row]:
        """Models, the latest first."""

    def versions(self, tenant: str, model: str, start: int, end: int) -> list[Row]:
        """Versions of a model, the one with most rows first."""

    def taken(
        self,
        tenant: str,
        model: str,
        start: int,
        end: int,
        most: int,
        version: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> Taken:
        """Predictions with their truth and feedback."""


class _NoFile(Table):
    """Stands where the file of a frame does; names the model in errors."""

    def __init__(self, model: str) -> None:
        self.path = Path(f"records of {model[:80]}")
        self.is_parquet = False
        self.names: list[str] = []

    def place(self, row: int) -> str:
        """The row, in order of time."""
        return f"{self.path}: record {row + 1}"


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Records of a span: columns `prediction, score, truth, feature NAME`, tags and versions, in order of time."""

    frame: Frame
    time: I8
    version: Sequence[str]
    tags: Mapping[str, Any]
    features: tuple[str, ...]
    feedback: Sequence[Any]
    taken: Taken

    @property
    def rows(self) -> int:
        """Number of records."""
        return self.frame.rows

    @staticmethod
    def of(model: str, taken: Taken) -> Span:
        """From the store's rows."""
        rows = taken.rows
        features = _keys(row["features"] for row in rows)[:MOST_FEATURES]
        said, truth = ([_plain(row[name]) for row in rows] for name in ("prediction", "truth"))
        columns = {
            "prediction": as_arrow(_numbered(said, truth)),
            "truth": as_arrow(_numbered(truth, said)),
            "score": pa.array([row["score"] for row in rows], pa.float64()),
        }
        for name in features:
            cells = [row["features"].get(name) if isinstance(row["features"], dict) else None for row in rows]
            columns[f"feature {name}"] = as_arrow(cells)
        versions = [str(row["version"]) for row in rows]
        tags: dict[str, Any] = {
            name: as_arrow([row["tags"].get(name) for row in rows])
            for name in _keys(row["tags"] for row in rows)[:MOST_TAGS]
        }
        if len(set(versions)) > 1:
            tags.setdefault(VERSION, as_arrow(versions))
        time = np.array([row["time"] for row in rows], "i8")
        frame = Frame(_NoFile(model), columns, len(rows))
        return Span(frame, time, versions, tags, tuple(features), [row["feedback"] for row in rows], taken)


def _plain(value: Any) -> Any:
    """What an object says: its class, else its number; a list that is no vector is a text."""
    if isinstance(value, dict):
        said = saying(json.dumps(value))
        return said.label if said.label is not None else said.number
    if isinstance(value, list) and not all(isinstance(each, int | float) for each in value):
        return json.dumps(value, ensure_ascii=False)
    return value


def _keys(objects: Iterable[Any]) -> list[str]:
    """Names in objects, in order of their first sight."""
    return list(dict.fromkeys(str(key) for each in objects if isinstance(each, dict) for key in each))


def _numbered(values: list[Any], others: list[Any]) -> list[Any]:
    """Yes and no as 1 and 0 where the other side says numbers: `prediction=1` and `truth=True` agree."""
    both = (*values, *others)
    if any(isinstance(each, bool) for each in both) and any(type(each) in (int, float) for each in both):
        return [int(each) if isinstance(each, bool) else each for each in values]
    return values


def kinds_of(reference: Span, current: Span) -> tuple[dict[str, FeatureKind], dict[str, str]]:
    """Features of both spans with their kinds, and why others take no part."""
    kinds: dict[str, FeatureKind] = {}
    left: dict[str, str] = {}
    for name in dict.fromkeys((*reference.features, *current.features)):
        if name not in reference.features:
            left[name] = "no record of the reference has it"
        elif name not in current.features:
            left[name] = "no record of this time has it"
        else:
            try:
                kinds[name] = kind_of(reference.frame.columns[f"feature {name}"], name)
            except BadInput as error:
                left[name] = str(error)
    return kinds, left


def outcome_of(reference: Span, current: Span, kinds: Mapping[str, FeatureKind]) -> Outcome | None:
    """What the model said and what came true, None where records hold neither predictions nor scores.

    Raises
    ------
    BadInput
        What is said can't be read.
    """

    def held(name: str) -> bool:
        return any(span.frame.columns[name].null_count < span.rows for span in (reference, current))

    if not (reference.rows and current.rows):
        return None
    features = {f"feature {name}": kind for name, kind in kinds.items()}
    prose = held("prediction") and any(_is_prose(span.frame.columns["prediction"]) for span in (reference, current))
    if prose and not (held("score") and held("truth")):
        return None
    roles = Roles(
        tuple(features),
        features,
        prediction="prediction" if held("prediction") and not prose else None,
        score="score" if held("score") else None,
        target="truth",
    )
    return outcome(reference.frame, current.frame, current.frame.columns["truth"], roles)


def _is_prose(cells: Any) -> bool:
    """Whether a model says texts or vectors, of which none is right or wrong by being the same."""
    return kind_of(cells) in (FeatureKind.TEXT, FeatureKind.EMBEDDING)
