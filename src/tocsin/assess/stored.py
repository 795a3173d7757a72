"""References and sketches as JSON, lossless both ways: what is kept of them between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tocsin.assess.cells import CategoryCells, NumericCells
from tocsin.assess.column import FeatureKind
from tocsin.assess.reference import FeatureReference
from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.view import EmbeddingView, TextView
from tocsin.model.errors import BadInput

Json: TypeAlias = dict[str, Any]
FORMAT = 1


def sketch_to_json(sketch: FeatureSketch) -> Json:
    """The JSON of a sketch."""
    return {
        "reference": sketch.reference,
        "rows": sketch.rows,
        "missing": sketch.missing,
        "corrupted": sketch.corrupted,
        "counts": sketch.counts.tolist(),
        "sums": sketch.sums.tolist(),
        "parts": {name: sketch_to_json(part) for name, part in sketch.parts.items()},
        "corrupted_examples": list(sketch.corrupted_examples),
        "unseen_examples": list(sketch.unseen_examples),
    }


def sketch_from_json(found: Mapping[str, Any]) -> FeatureSketch:
    """A sketch back from `sketch_to_json`.

    Raises
    ------
    BadInput
        A key is missing or a value is of the wrong form.
    """
    try:
        return FeatureSketch(
            reference=str(found["reference"]),
            rows=int(found["rows"]),
            missing=int(found["missing"]),
            corrupted=int(found["corrupted"]),
            counts=np.array(found["counts"], "i8"),
            sums=np.array(found["sums"], "f8"),
            parts={name: sketch_from_json(part) for name, part in found["parts"].items()},
            corrupted_examples=tuple(found["corrupted_examples"]),
            unseen_examples=tuple(found["unseen_examples"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"not the JSON of a sketch: {error!r}") from error


def reference_to_json(reference: FeatureReference) -> Json:
    """The JSON of a reference, with the format's number."""
    return {
        "format": FORMAT,
        "name": reference.name,
        "kind": reference.kind.value,
        "cells": _cells_to_json(reference.cells),
        "own": sketch_to_json(reference.own),
        "view": _view_to_json(reference.view),
        "parts": {name: reference_to_json(part) for name, part in reference.parts.items()},
        "family": reference.family,
        "longest_run": reference.longest_run,
    }


def reference_from_json(found: Mapping[str, Any]) -> FeatureReference:
    """A reference back from `reference_to_json`.

    Raises
    ------
    BadInput
        A key is missing, a value is of the wrong form, or the format is a later one.
    """
    try:
        if found["format"] != FORMAT:
            raise BadInput(f"a reference of format {found['format']}, and this build reads {FORMAT}; learn it again")
        return FeatureReference(
            name=str(found["name"]),
            kind=FeatureKind(found["kind"]),
            cells=_cells_from_json(found["cells"]),
            own=sketch_from_json(found["own"]),
            view=_view_from_json(found["view"]),
            parts={name: reference_from_json(part) for name, part in found["parts"].items()},
            family=str(found["family"]),
            longest_run=int(found["longest_run"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"not the JSON of a reference: {error!r}") from error


def _cells_to_json(cells: NumericCells | CategoryCells | None) -> Json | None:
    if cells is None:
        return None
    if isinstance(cells, NumericCells):
        return {
            "edges": cells.edges.tolist(),
            "bucket": cells.bucket.tolist(),
            "bin": cells.bin.tolist(),
            "exact": cells.exact,
            "mode_share": cells.mode_share,
        }
    return {
        "names": list(cells.names),
        "complete": cells.complete,
        "singletons": cells.singletons,
        "distinct": cells.distinct,
        "mode_share": cells.mode_share,
    }


def _cells_from_json(found: Mapping[str, Any] | None) -> NumericCells | CategoryCells | None:
    if found is None:
        return None
    if "edges" in found:
        return NumericCells(
            np.array(found["edges"], "f8"),
            np.array(found["bucket"], "i8"),
            np.array(found["bin"], "i8"),
            bool(found["exact"]),
            float(found["mode_share"]),
        )
    return CategoryCells(
        tuple(found["names"]),
        bool(found["complete"]),
        int(found["singletons"]),
        int(found["distinct"]),
        float(found["mode_share"]),
        pa.array(found["names"], pa.large_string()),
    )


def _view_to_json(view: EmbeddingView | TextView | None) -> Json | None:
    if view is None:
        return None
    names = ("centre", "directions", "frequencies") if isinstance(view, EmbeddingView) else ("topics",)
    return {name: getattr(view, name).tolist() for name in names}


def _view_from_json(found: Mapping[str, Any] | None) -> EmbeddingView | TextView | None:
    if found is None:
        return None
    if "topics" in found:
        return TextView(np.array(found["topics"], "f8"))
    return EmbeddingView(*(np.array(found[name], "f8") for name in ("centre", "directions", "frequencies")))
