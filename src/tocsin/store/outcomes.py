"""Truth and feedback that were stored lately, with the predictions they belong to, however old those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tocsin.model.record import OUTCOME, PREDICTION, TRUTH
from tocsin.store.database import Database
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str]
"""(tenant, prediction_id)."""

MOST_WAITING: Final = 100_000
"""Truth and feedback without a prediction that are remembered; older ones are joined by exports all the same."""
_WAITING_DAYS: Final = 30
_REPEATS_MS: Final = 600_000
_MS: Final = 1_000_000
_STAMP: Final = "toInt64(toUnixTimestamp64Milli(stored))"
_BETWEEN: Final = """stored > fromUnixTimestamp64Milli({after:Int64}, 'UTC')
    AND stored <= fromUnixTimestamp64Milli({upto:Int64}, 'UTC')"""
_FIRST: Final = """argMin(tuple(model, version, prediction, score, tags, time), tuple(stored, time)) AS first"""
_TELL: Final = f"tenant, prediction_id, kind, time, truth, feedback, tags, {_STAMP} AS stamp"


@dataclass(slots=True)
class Joined:
    """What a stretch of time brought: rows as RECORDS frames have them, by tenant, and counts."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    early: int = 0
    unknown: int = 0
    corrected: int = 0
    repeated: int = 0


class Outcomes:
    """Joins by prediction id; remembers what came before its prediction."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._waiting: dict[Key, None] = {}
        self.forgotten = 0

    @property
    def waiting(self) -> int:
        """Ids that have truth or feedback and no prediction."""
        return len(self._waiting)

    def recall(self, now_ms: int, upto: int) -> None:
        """Look in the store for what waited for its prediction when all up to `upto` had been joined; after a start."""
        until = "stored <= fromUnixTimestamp64Milli({upto:Int64}, 'UTC')"
        predictions = f"SELECT tenant, prediction_id FROM {DATABASE}.records WHERE kind = '{PREDICTION}' AND {until}"
        sql = f"""SELECT tenant, prediction_id FROM {DATABASE}.records
            WHERE kind != '{PREDICTION}' AND stored > fromUnixTimestamp64Milli({{since:Int64}}, 'UTC') AND {until}
            AND (tenant, prediction_id) NOT IN ({predictions})
            GROUP BY tenant, prediction_id ORDER BY max(stored) LIMIT {MOST_WAITING}"""
        since = max(0, now_ms - _WAITING_DAYS * 86_400_000)
        for row in self._db.query(sql, {"since": since, "upto": upto}).to_pylist():
            self._waiting[row["tenant"], row["prediction_id"]] = None

    def between(self, after: int, upto: int) -> Joined:
        """What was stored after `after` and up to `upto`, both stamps of batches in ms.

        An outcome has the time at which it was stored: when it was right matters to a chart, when it became known to
        who watches. The same stretch gives the same rows, whenever it is asked for.
        """
        found = Joined()
        stretch = {"after": after, "upto": upto}
        told = self._db.query(
            f"SELECT {_TELL} FROM {DATABASE}.records WHERE {_BETWEEN} AND kind != '{PREDICTION}' ORDER BY stored, time",
            stretch,
        ).to_pylist()
        if told:
            ids = f"SELECT prediction_id FROM {DATABASE}.records WHERE {_BETWEEN} AND kind != '{PREDICTION}'"
            predictions = self._predictions(ids, stretch)
            self._join(told, predictions, found)
            found.corrected = self._corrected(ids, stretch)
        found.repeated = self._repeated(stretch)
        if self._waiting:
            self._join_early(stretch, found)
        return found

    def _predictions(self, ids: str, values: Mapping[str, object]) -> dict[Key, Row]:
        sql = f"""SELECT tenant, prediction_id, {_FIRST} FROM {DATABASE}.records
            WHERE kind = '{PREDICTION}' AND stored <= fromUnixTimestamp64Milli({{upto:Int64}}, 'UTC')
            AND prediction_id IN ({ids}) GROUP BY tenant, prediction_id"""
        return {
            (row["tenant"], row["prediction_id"]): _told(row["first"])
            for row in self._db.query(sql, values).to_pylist()
        }

    def _join(self, told: Sequence[Row], predictions: Mapping[Key, Row], found: Joined) -> None:
        for row in told:
            key = row["tenant"], row["prediction_id"]
            prediction = predictions.get(key)
            if prediction is None:
                found.unknown += 1
                self._remember(key)
                continue
            found.delays_s.append(max(0.0, (row["time"] - prediction["at"]) / 1e9))
            found.rows.setdefault(row["tenant"], []).append(_outcome(row, prediction, row["stamp"]))

    def _remember(self, key: Key) -> None:
        self._waiting.pop(key, None)
        self._waiting[key] = None
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.forgotten += 1

    def _join_early(self, stretch: Mapping[str, int], found: Joined) -> None:
        """Join what waited for predictions that came now."""
        came = self._db.query(
            f"SELECT tenant, prediction_id, max({_STAMP}) AS stamp FROM {DATABASE}.records WHERE {_BETWEEN}"
            f" AND kind = '{PREDICTION}' GROUP BY tenant, prediction_id",
            stretch,
        )
        stamps = {
            (tenant, of): stamp
            for tenant, of, stamp in zip(*(column.to_pylist() for column in came.columns), strict=True)
            if (tenant, of) in self._waiting
        }
        if not stamps:
            return
        values: dict[str, object] = {**stretch, "ids": sorted({of for _, of in stamps})}
        predictions = self._predictions("SELECT arrayJoin({ids:Array(String)})", values)
        sql = f"""SELECT {_TELL} FROM {DATABASE}.records WHERE kind != '{PREDICTION}'
            AND stored <= fromUnixTimestamp64Milli({{upto:Int64}}, 'UTC')
            AND prediction_id IN ({{ids:Array(String)}}) ORDER BY stored, time"""
        for row in self._db.query(sql, values).to_pylist():
            key = row["tenant"], row["prediction_id"]
            prediction = predictions.get(key)
            # what came in this very stretch was joined as usual
            if key not in stamps or prediction is None or row["stamp"] > stretch["after"]:
                continue
            found.early += 1
            found.rows.setdefault(row["tenant"], []).append(_outcome(row, prediction, stamps[key]))
        for key in stamps:
            del self._waiting[key]

    def _corrected(self, ids: str, values: Mapping[str, object]) -> int:
        """How many truths of this stretch have one before them."""
        sql = f"""SELECT toInt64(sum(least(n, total - 1))) AS n FROM (
            SELECT toInt64(count()) AS total, toInt64(countIf(stored > fromUnixTimestamp64Milli({{after:Int64}}, 'UTC'))) AS n
            FROM {DATABASE}.records WHERE kind = '{TRUTH}' AND stored <= fromUnixTimestamp64Milli({{upto:Int64}}, 'UTC')
            AND prediction_id IN ({ids}) GROUP BY tenant, prediction_id)"""
        return int(self._db.query(sql, values).column("n").to_pylist()[0] or 0)

    def _repeated(self, stretch: Mapping[str, int]) -> int:
        """How many predictions of this stretch have the id of one of the last ten minutes."""
        values = {**stretch, "since": stretch["after"] - _REPEATS_MS}
        ids = f"SELECT prediction_id FROM {DATABASE}.records WHERE {_BETWEEN} AND kind = '{PREDICTION}'"
        sql = f"""SELECT toInt64(sum(least(n, total - 1))) AS n FROM (
            SELECT toInt64(count()) AS total, toInt64(countIf(stored > fromUnixTimestamp64Milli({{after:Int64}}, 'UTC'))) AS n
            FROM {DATABASE}.records WHERE kind = '{PREDICTION}' AND prediction_id != ''
            AND stored > fromUnixTimestamp64Milli({{since:Int64}}, 'UTC')
            AND stored <= fromUnixTimestamp64Milli({{upto:Int64}}, 'UTC') AND prediction_id IN ({ids})
            GROUP BY tenant, prediction_id)"""
        return int(self._db.query(sql, values).column("n").to_pylist()[0] or 0)


def _told(first: Any) -> Row:
    """A tuple of the engine, which comes as a mapping of numbers or as a sequence."""
    values = list(first.values()) if isinstance(first, dict) else list(first)
    return dict(zip(("model", "version", "prediction", "score", "tags", "at"), values, strict=True))


def _outcome(told: Row, prediction: Row, stamp: int) -> Row:
    score = prediction["score"]
    return {
        "time": stamp * _MS,
        "prediction_id": told["prediction_id"],
        "model": prediction["model"],
        "version": prediction["version"],
        "prediction": prediction["prediction"],
        "score": float("nan") if score is None else score,
        "features": "{}",
        # who told it may have tags of its own; what a prediction is of is said by the prediction
        "tags": list({**dict(told["tags"]), **dict(prediction["tags"])}.items()),
        "truth": told["truth"],
        "feedback": told["feedback"],
        "kind": OUTCOME,
        "embedding": None,
        "attributions": "",
        "attention": "",
    }
