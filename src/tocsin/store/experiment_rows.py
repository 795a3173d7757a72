"""`ExperimentRows`: what live experiments are made of - arms of a model's predictions, and a metric in the order known.

Rows come in the order in which they became known to the store, not in that of their own times: what was told at one
look is the beginning of what is told at the next, which is what makes a test valid at every look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pyarrow as pa

from tocsin.model.record import PREDICTION
from tocsin.store.database import Database
from tocsin.store.queries import rows_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]
VERSION: Final = "version"
MOST_ARMS: Final = 20
_STAMP: Final = "toInt64(toUnixTimestamp64Milli(stored))"
_IN: Final = """stored > fromUnixTimestamp64Milli({after:Int64}, 'UTC')
    AND stored <= fromUnixTimestamp64Milli({upto:Int64}, 'UTC')"""
_UPTO: Final = "stored <= fromUnixTimestamp64Milli({upto:Int64}, 'UTC')"
_OF_MODEL: Final = f"""tenant = {{tenant:String}} AND model = {{model:String}} AND kind = '{PREDICTION}'
    AND time >= {{start:Int64}} AND time < {{end:Int64}}"""


@dataclass(frozen=True, slots=True)
class Trial:
    """Whose predictions, split by which tag (or `version`), in [start, end) ns of their own times."""

    tenant: str
    model: str
    arm: str
    start: int
    end: int

    @property
    def arm_sql(self) -> str:
        """The arm of a prediction."""
        return "toString(version)" if self.arm == VERSION else "tags[{arm:String}]"

    def values(self, **more: object) -> dict[str, object]:
        """What statements refer to."""
        own: dict[str, object] = {"tenant": self.tenant, "model": self.model, "start": self.start, "end": self.end}
        return {**own, **({} if self.arm == VERSION else {"arm": self.arm}), **more}


class ExperimentRows:
    """Reads trials from the telemetry store, a bounded stretch at a time; stamps are those of stored batches, ms."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def arms(self, trial: Trial) -> list[Row]:
        """Arms with `arm, rows, first_time, last_time`, the first that came before the others; those named "" are none."""
        sql = f"""SELECT {trial.arm_sql} AS arm, toInt64(count()) AS rows, min(time) AS first_time, max(time) AS last_time
            FROM {DATABASE}.records WHERE {_OF_MODEL} AND arm != '' GROUP BY arm
            ORDER BY rows DESC, arm LIMIT {MOST_ARMS + 1}"""
        return sorted(rows_of(self._db.query(sql, trial.values())), key=lambda row: (row["first_time"], row["arm"]))

    def stretch(self, tenant: str, after: int, most: int) -> tuple[int, bool]:
        """Stamp up to which about `most` rows were stored after a stamp, and whether there are more."""
        sql = f"""SELECT {_STAMP} AS stamp, toInt64(count()) AS n FROM {DATABASE}.records
            WHERE tenant = {{tenant:String}} AND stored > fromUnixTimestamp64Milli({{after:Int64}}, 'UTC')
            GROUP BY stamp ORDER BY stamp LIMIT 100000"""
        rows = self._db.query(sql, {"tenant": tenant, "after": after}).to_pylist()
        total, upto = 0, after
        for row in rows:
            if total and total + row["n"] > most:
                return upto, True
            total, upto = total + row["n"], row["stamp"]
        return upto, False

    def counts(self, trial: Trial, after: int, upto: int) -> Mapping[str, int]:
        """Predictions of each arm that were stored in a stretch."""
        sql = f"""SELECT {trial.arm_sql} AS arm, toInt64(count()) AS rows FROM {DATABASE}.records
            WHERE {_OF_MODEL} AND {_IN} GROUP BY arm"""
        return {row["arm"]: row["rows"] for row in rows_of(self._db.query(sql, trial.values(after=after, upto=upto)))}

    def said(self, trial: Trial, part: str, key: str, after: int, upto: int) -> pa.Table:
        """Columns `arm, prediction, raw` of the predictions of a stretch; raw: the score, or a tag or feature as text."""
        raw = {"score": "toString(score)", "tags": "tags[{key:String}]", "prediction": "''"}.get(
            part, "JSONExtractRaw(features, {key:String})"
        )
        sql = f"""SELECT {trial.arm_sql} AS arm, prediction, {raw} AS raw FROM {DATABASE}.records
            WHERE {_OF_MODEL} AND {_IN} ORDER BY stored, time, prediction_id"""
        return self._db.query(sql, trial.values(after=after, upto=upto, key=key))

    def came(self, trial: Trial, column: str, key: str, after: int, upto: int) -> pa.Table:
        """Columns `arm, prediction, raw` of outcomes that became known in a stretch; the first word on each id counts.

        Known is an outcome once it and its prediction are stored; `column` is truth or feedback, and of feedback that
        is an object only what has the `key`.
        """
        has = f"{column} != ''"
        if column == "feedback":
            has += " AND (JSONHas(feedback, {key:String}) OR ({key:String} = 'feedback' AND NOT startsWith(feedback, '{')))"
        ids = f"SELECT prediction_id FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND prediction_id != '' AND {_IN}"
        sql = f"""SELECT p.arm AS arm, p.prediction AS prediction, o.raw AS raw FROM
            (SELECT prediction_id, min(stored) AS since, argMin({trial.arm_sql}, tuple(stored, time)) AS arm,
                argMin(prediction, tuple(stored, time)) AS prediction, min(time) AS at FROM {DATABASE}.records
                WHERE {_OF_MODEL} AND {_UPTO} AND prediction_id IN ({ids}) GROUP BY prediction_id) AS p
            INNER JOIN (SELECT prediction_id, min(stored) AS since, argMin({column}, tuple(stored, time)) AS raw
                FROM {DATABASE}.records WHERE tenant = {{tenant:String}} AND {_UPTO} AND {has}
                AND prediction_id IN ({ids}) GROUP BY prediction_id) AS o ON p.prediction_id = o.prediction_id
            WHERE greatest(p.since, o.since) > fromUnixTimestamp64Milli({{after:Int64}}, 'UTC')
            ORDER BY greatest(p.since, o.since), p.at, p.prediction_id"""
        return self._db.query(sql, trial.values(after=after, upto=upto, key=key))


def column_of(table: pa.Table, name: str) -> Sequence[str]:
    """A column as texts."""
    return [str(each) for each in table.column(name).to_pylist()]
