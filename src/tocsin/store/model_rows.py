"""`ModelRows`: the records of one model as pages and reports ask for them; many of them by a fair, stated sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tocsin.store.database import Database
from tocsin.store.queries import bounded, rows_of
from tocsin.store.record_rows import JOINED_ROWS, PREDICTIONS_ONLY, RECORD_COLUMNS, record_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]
MOST_VERSIONS: Final = 20
_PARTS: Final = 1_000_000
MOST_NUMBERS: Final = 1_000_000
"""Numbers of embeddings that are taken along; of more, those of the first records of the sample."""
_ASKED: Final = ("version", "prediction", "score", "features", "tags", "truth", "feedback", "attributions", "attention")
_PLACE: Final = f"cityHash64(if(OF.prediction_id = '', toString(OF.time), OF.prediction_id)) % {_PARTS}"
_SAMPLED: Final = f"{_PLACE.replace('OF.', '')} < {{kept:Int64}}"
"""The same predictions are kept at every look; of a smaller sample each is also in a larger one."""
_COLUMNS: Final = ", ".join(
    [
        "t.time AS time",
        *(f"{sql} AS {name}" for name, sql, _ in RECORD_COLUMNS if name in _ASKED),
        f"if({_PLACE.replace('OF.', 't.')} < {{vectors:Int64}}, t.embedding, []) AS embedding",
    ]
)


@dataclass(frozen=True, slots=True)
class Taken:
    """Records in order of time, and of how many they are a sample (the same number: all of them)."""

    rows: list[Row]
    of: int

    @property
    def sampled(self) -> bool:
        """Whether some were left out."""
        return self.of > len(self.rows)


class ModelRows:
    """Records in the telemetry store, by model; `where` are tags that rows must have, times ns in [start, end)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def seen(self, tenant: str, start: int, end: int, limit: int = 200) -> list[Row]:
        """Models with `model, rows, first_time, last_time, versions, version_count, with_truth`, the latest first."""
        sql = f"""SELECT toString(model) AS model, toInt64(count()) AS rows, min(time) AS first_time, max(time) AS last_time,
            arraySort(arrayMap(each -> toString(each), groupUniqArray({MOST_VERSIONS})(version))) AS versions,
            toInt64(uniq(version)) AS version_count,
            toInt64(countIf(truth != '' OR (prediction_id != '' AND prediction_id IN (SELECT prediction_id
              FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND truth != '')))) AS with_truth
            FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND {PREDICTIONS_ONLY}
            AND time >= {{start:Int64}} AND time < {{end:Int64}}
            GROUP BY model ORDER BY last_time DESC, model LIMIT {bounded(limit)}"""
        return rows_of(self._db.query(sql, {"tenant": tenant, "start": start, "end": end}))

    def versions(self, tenant: str, model: str, start: int, end: int) -> list[Row]:
        """Versions of a model with `version, rows, first_time, last_time`, the one with most rows first."""
        sql = f"""SELECT toString(version) AS version, toInt64(count()) AS rows, min(time) AS first_time,
            max(time) AS last_time FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND model = {{model:String}}
            AND {PREDICTIONS_ONLY} AND time >= {{start:Int64}} AND time < {{end:Int64}}
            GROUP BY version ORDER BY rows DESC, version LIMIT {MOST_VERSIONS}"""
        return rows_of(self._db.query(sql, {"tenant": tenant, "model": model, "start": start, "end": end}))

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
        """Predictions with their truth and feedback; of more than `most` a sample by the hash of their id."""
        clauses = [PREDICTIONS_ONLY, "tenant = {tenant:String}", "model = {model:String}"]
        clauses += ["time >= {start:Int64}", "time < {end:Int64}"]
        values: dict[str, object] = {"tenant": tenant, "model": model, "start": start, "end": end}
        if version is not None:
            clauses.append("version = {version:String}")
            values["version"] = version
        for i, (key, value) in enumerate((where or {}).items()):
            clauses.append(f"tags[{{k{i}:String}}] = {{v{i}:String}}")
            values.update({f"k{i}": key, f"v{i}": value})
        chosen = f"{DATABASE}.records WHERE {' AND '.join(clauses)}"
        counted = f"SELECT toInt64(count()) AS n, toInt64(sum(length(embedding))) AS numbers FROM {chosen}"
        held = self._db.query(counted, values).to_pylist()[0]
        of = int(held["n"])
        values["vectors"] = min(_PARTS, _PARTS * MOST_NUMBERS // max(int(held["numbers"]), 1))
        if of > most:
            chosen += f" AND {_SAMPLED}"
            values["kept"] = _PARTS * most // of
        sql = f"SELECT {_COLUMNS} FROM {JOINED_ROWS.replace('%source%', chosen)} ORDER BY time, prediction"
        rows = [record_of(row, tenant) for row in rows_of(self._db.query(sql, values))]
        return Taken(rows, max(of, len(rows)) if of > most else len(rows))
