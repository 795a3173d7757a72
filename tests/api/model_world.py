"""Records of a model that decides on fraud: a week that is normal, then a day on which one region goes wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping

from api.world import HOSTILE, NOW, NS
from tocsin.app.model_health.rows import Row
from tocsin.store.model_rows import Taken

MODEL = "fraud"
DAY = 86_400 * NS


def record(chance: random.Random, time: int, number: int) -> Row:
    """One prediction; from the last day on amounts are higher, and `eu` is wrong half of the time."""
    late = time >= NOW - DAY
    version = "v2" if late and chance.random() < 0.5 else "v1"
    region = chance.choice(("eu", "us", "asia"))
    score = chance.random()
    bad = late and region == "eu"
    truth = (chance.random() < 0.5) if bad else (chance.random() < (0.9 if score >= 0.5 else 0.1))
    known = time < NOW - DAY // 8
    return {
        "prediction_id": f"p{number}",
        "time": time,
        "version": version,
        "prediction": int(score >= 0.5),
        "score": score,
        "features": {
            "amount": chance.gauss(140 if late else 100, 20),
            "country": chance.choice(("de", "fr", "us")),
            "hostile " + HOSTILE[:30]: chance.choice((HOSTILE, "plain")),
        },
        "tags": {"region": region, "plan": chance.choice(("free", "paid"))},
        "truth": truth if known else None,
        "feedback": {"clicked": chance.random() < (0.5 if version == "v2" else 0.2)} if late else None,
    }


def records(older: int = 1000, newer: int = 800) -> list[Row]:
    """All records, in order of time."""
    chance = random.Random(7)
    times = [NOW - 5 * DAY + k * (4 * DAY // older) for k in range(older)]
    times += [NOW - DAY + k * (DAY // newer) for k in range(newer)]
    return [record(chance, time, k) for k, time in enumerate(times)]


class FakeRows:
    """The records of the store, in memory."""

    def __init__(self, rows: Mapping[str, list[Row]]) -> None:
        self.rows = rows
        self.asked = 0

    def _between(self, model: str, start: int, end: int) -> list[Row]:
        return [row for row in self.rows.get(model, []) if start <= row["time"] < end]

    def seen(self, tenant: str, start: int, end: int, limit: int = 200) -> list[Row]:
        found = [
            {
                "model": model,
                "rows": len(rows),
                "first_time": rows[0]["time"],
                "last_time": rows[-1]["time"],
                "versions": sorted({row["version"] for row in rows}),
                "version_count": len({row["version"] for row in rows}),
                "with_truth": sum(row["truth"] is not None for row in rows),
            }
            for model in self.rows
            if (rows := self._between(model, start, end))
        ]
        return found[:limit] if tenant == "main" else []

    def versions(self, tenant: str, model: str, start: int, end: int) -> list[Row]:
        rows = self._between(model, start, end) if tenant == "main" else []
        found = []
        for version in dict.fromkeys(row["version"] for row in rows):
            mine = [row["time"] for row in rows if row["version"] == version]
            found.append({"version": version, "rows": len(mine), "first_time": mine[0], "last_time": mine[-1]})
        return sorted(found, key=lambda each: -each["rows"])

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
        self.asked += 1
        rows = [
            row
            for row in self._between(model, start, end)
            if (version is None or row["version"] == version)
            and all(row["tags"].get(key) == value for key, value in (where or {}).items())
        ]
        return Taken(rows[:most], len(rows))


def rows_of_world() -> FakeRows:
    """The model of fraud, one that says numbers, one with a few rows, and one with a hostile name."""
    fraud = records()
    few = [{**row, "truth": None, "features": {}, "tags": {}, "version": ""} for row in fraud[-7:]]
    return FakeRows({MODEL: fraud, f"few {HOSTILE}": few})
