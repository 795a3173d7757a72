"""`GroupRows`: how groups of a model's records were treated, day by day, counted by the engine over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.model.record import PREDICTION
from tocsin.store.database import Database
from tocsin.store.schema import DATABASE

MOST_CELLS: Final = 100_000
MOST_PAIRS: Final = 1_000
"""Pairs of a model and a tag that are looked at; of more those with most rows."""
_DAY_NS: Final = 86_400 * 10**9
_DAY_MS: Final = 86_400_000
_SPAN: Final = "time >= {start:Int64} AND time < {end:Int64}"
_OF_MODEL: Final = f"tenant = {{tenant:String}} AND model = {{model:String}} AND kind = '{PREDICTION}'"


@dataclass(frozen=True, slots=True)
class Cell:
    """Records of one day, group and prediction (and truth, of the day on which it became known), as JSON texts."""

    day: int
    group: str
    prediction: str
    truth: str
    rows: int
    score: float | None


class GroupRows:
    """Counts in the telemetry store; `tag` names the groups, days are whole numbers since 1970 (UTC)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def tagged(self, tenant: str, tags: Sequence[str], start: int, end: int) -> list[tuple[str, str]]:
        """Models and those of the tags that their records of [start, end) ns carry."""
        sql = f"""SELECT toString(model) AS model, tag, toInt64(count()) AS rows FROM {DATABASE}.records
            ARRAY JOIN mapKeys(tags) AS tag WHERE tenant = {{tenant:String}} AND kind = '{PREDICTION}' AND {_SPAN}
            AND tag IN {{tags:Array(String)}} GROUP BY model, tag ORDER BY rows DESC, model, tag LIMIT {MOST_PAIRS}"""
        values = {"tenant": tenant, "tags": list(tags), "start": start, "end": end}
        return sorted((str(row["model"]), str(row["tag"])) for row in self._db.query(sql, values).to_pylist())

    def said(self, tenant: str, model: str, tag: str, first: int, last: int) -> list[Cell]:
        """Predictions of the days `first` to `last`, both included, by the days they were made on."""
        sql = f"""SELECT toInt64(intDiv(time, {_DAY_NS})) AS day, tags[{{tag:String}}] AS grp, prediction,
            '' AS truth, toInt64(count()) AS rows, avg(score) AS score FROM {DATABASE}.records
            WHERE {_OF_MODEL} AND {_SPAN} AND grp != '' AND prediction != ''
            GROUP BY day, grp, prediction ORDER BY rows DESC LIMIT {MOST_CELLS}"""
        return self._cells(sql, tenant, model, tag, first, last)

    def came(self, tenant: str, model: str, tag: str, first: int, last: int) -> list[Cell]:
        """Truths of predictions, by the days on which both were known to the store; the first word on each id counts."""
        known = f"toInt64(intDiv(toUnixTimestamp64Milli(greatest(p.since, o.since)), {_DAY_MS}))"
        sql = f"""SELECT {known} AS day, p.grp AS grp, p.prediction AS prediction, o.truth AS truth,
            toInt64(count()) AS rows, NULL AS score FROM
            (SELECT prediction_id, min(stored) AS since, argMin(tags[{{tag:String}}], tuple(stored, time)) AS grp,
                argMin(prediction, tuple(stored, time)) AS prediction FROM {DATABASE}.records
                WHERE {_OF_MODEL} AND prediction_id != '' GROUP BY prediction_id) AS p
            INNER JOIN (SELECT prediction_id, min(stored) AS since, argMin(truth, tuple(stored, time)) AS truth
                FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND truth != '' AND prediction_id != ''
                GROUP BY prediction_id) AS o ON p.prediction_id = o.prediction_id
            WHERE day >= {{first:Int64}} AND day <= {{last:Int64}} AND p.grp != '' AND p.prediction != ''
            GROUP BY day, grp, prediction, truth ORDER BY rows DESC LIMIT {MOST_CELLS}"""
        return self._cells(sql, tenant, model, tag, first, last)

    def _cells(self, sql: str, tenant: str, model: str, tag: str, first: int, last: int) -> list[Cell]:
        values = {
            "tenant": tenant, "model": model, "tag": tag, "first": first, "last": last, "start": first * _DAY_NS,
            "end": (last + 1) * _DAY_NS,
        }  # fmt: skip
        names = ("day", "grp", "prediction", "truth", "rows", "score")
        return [Cell(*(row[name] for name in names)) for row in self._db.query(sql, values).to_pylist()]
