"""Inference records as one row per prediction, with the truth and the feedback that came for it, whenever it came.

Of several predictions with one id the first that was stored counts, of those of one batch the earliest; of several
truths the last; feedback is put together key by key, the last word of each key winning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import pyarrow as pa

from tocsin.model.record import PREDICTION
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]

PREDICTIONS_ONLY: Final = f"kind = '{PREDICTION}'"
TOLD: Final = f"""prediction_id AS joined_id,
    minIf(tuple(stored, time), {PREDICTIONS_ONLY}) AS first,
    argMaxIf(truth, (time, stored), truth != '') AS last_truth,
    arraySort(groupArrayIf((time, stored, feedback), feedback != '')) AS told"""
"""What all rows of one id say together."""

# an id of "" is no id: each such row stands alone
JOINED_ROWS: Final = f"""(SELECT * FROM %source% ORDER BY stored, time
    LIMIT 1 BY prediction_id, if(prediction_id = '', rowNumberInAllBlocks(), 0)) AS t
    ANY LEFT JOIN (SELECT {TOLD} FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND prediction_id != ''
      AND prediction_id IN (SELECT prediction_id FROM %source%) GROUP BY prediction_id) AS j
    ON t.prediction_id = j.joined_id WHERE t.prediction_id = '' OR tuple(t.stored, t.time) = j.first"""

_TEXT, _NUMBER, _NESTED = "text", "number", "nested"
_ALONE = "t.prediction_id = ''"
RECORD_COLUMNS: Final = (
    ("prediction_id", "t.prediction_id", _TEXT),
    (
        "time",
        "concat(replaceOne(toString(fromUnixTimestamp64Nano(t.time, 'UTC')), ' ', 'T'), 'Z')",
        _NUMBER,
    ),
    ("model", "toString(t.model)", _TEXT),
    ("version", "toString(t.version)", _TEXT),
    ("prediction", "t.prediction", _TEXT),
    ("score", "if(isNaN(t.score), NULL, t.score)", _NUMBER),
    ("features", "t.features", _TEXT),
    ("tags", "CAST(t.tags, 'Map(String, String)')", _NESTED),
    ("truth", f"if({_ALONE}, t.truth, j.last_truth)", _TEXT),
    ("feedback", f"if({_ALONE}, [t.feedback], arrayMap(each -> each.3, j.told))", _NESTED),
    ("embedding", "t.embedding", _NESTED),
    ("attributions", "t.attributions", _TEXT),
    ("attention", "t.attention", _TEXT),
)

_STRING = pa.string()
RECORD_TYPES: Mapping[str, pa.DataType] = {
    **{name: _STRING for name, _, _ in RECORD_COLUMNS},
    "score": pa.float64(),
}


def record_of(row: Row, _tenant: str) -> Row:
    """A row as it is given out: JSON read, feedback put together."""
    for name in ("prediction", "features", "truth", "attributions", "attention"):
        row[name] = _loaded(row[name])
    row["tags"] = dict(row["tags"])
    row["feedback"] = together(_loaded(text) for text in row["feedback"])
    row["embedding"] = [round(each, 9) for each in row["embedding"]] or None
    return row


def together(told: Iterable[object]) -> object:
    """Feedback of one prediction in order of time, as one value.

    >>> together([{"clicked": False}, {"clicked": True, "rating": 4}])
    {'clicked': True, 'rating': 4}
    >>> together([True, False]), together([None])
    (False, None)
    >>> together([True, {"rating": 4}])
    {'feedback': True, 'rating': 4}
    """
    found: dict[str, object] = {}
    named = False
    for each in told:
        if isinstance(each, dict):
            named = True
            found.update(each)
        elif each is not None:
            found["feedback"] = each
    return found if named else found.get("feedback")


def _loaded(text: str) -> object:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
