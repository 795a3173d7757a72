"""Records of a model that decides on fraud: a week that is normal, then a day on which one region goes wrong."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from api.world import HOSTILE, NOW, NS
from tocsin.app.model_health.rows import Row
from tocsin.store.experiment_rows import Trial
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


def price(chance: random.Random, time: int, number: int) -> Row:
    """What a house costs: from the last day on large ones are said to be too cheap."""
    late = time >= NOW - DAY
    area = chance.uniform(80 if late else 40, 200)
    said = 3000 * area + chance.gauss(0, 20_000)
    return {
        "prediction_id": f"h{number}",
        "time": time,
        "version": "2026.11",
        "prediction": said,
        "score": None,
        "features": {"area": area, "rooms": int(area // 25), "note": None if late and chance.random() < 0.2 else "x"},
        "tags": {"city": chance.choice(("Ulm", "Bonn"))},
        "truth": said * (1.15 if late else 1.0) + chance.gauss(0, 15_000) if chance.random() < 0.8 else None,
        "feedback": None,
    }


def shown(chance: random.Random, time: int, number: int) -> Row:
    """An item of a list of five; three versions rank it, and of late people click less often."""
    late = time >= NOW - DAY
    version = ("rank-a", "rank-b", "rank-c")[number // 5 % 3]
    score = chance.random()
    rate = (0.18 if late else 0.32) * 2 * score * (1.8 if version == "rank-c" else 1.0)
    return {
        "prediction_id": f"i{number}",
        "time": time,
        "version": version,
        "prediction": f"item-{chance.randrange(40)}",
        "score": score ** (2 if late else 1),
        "features": {"age_days": chance.expovariate(0.1)},
        "tags": {"query": f"q{number // 5}", "page": chance.choice(("home", "search"))},
        "truth": None,
        "feedback": {"clicked": chance.random() < rate},
    }


WORDS = ("you", "can", "find", "the", "order", "under", "account", "and", "return", "it", "within", "thirty", "days")


def answer(chance: random.Random, time: int, number: int) -> Row:
    """A chatbot's answer: of late longer, less sure, more often refused, about something else, and by other inputs."""
    late = time >= NOW - DAY
    refused = chance.random() < (0.12 if late else 0.02)
    text = (
        "I can't help with that."
        if refused
        else " ".join(chance.choices(WORDS, k=chance.randint(40, 90) if late else 30))
    )
    look = {"question": abs(chance.gauss(1, 0.2)), "history": abs(chance.gauss(1.5 if late else 0.4, 0.1)), "tone": 0.1}
    return {
        "prediction_id": f"a{number}",
        "time": time,
        "version": "answer-v7" if late else "answer-v6",
        "prediction": text,
        "score": None,
        "features": {"question_words": chance.randint(3, 40), "language": chance.choice(("de", "en"))},
        "tags": {"team": chance.choice(("shop", "help")), **({"refused": "true"} if refused else {})},
        "truth": None,
        "feedback": {"thumbs_up": chance.random() < (0.6 if late else 0.8)},
        "embedding": [chance.gauss(0.8 if late and k < 4 else 0, 1) for k in range(16)],
        "attributions": look,
        "attention": {"entropy": min(1.0, abs(chance.gauss(0.6, 0.1))), "peak": chance.random()},
    }


def spread(make: Callable[[random.Random, int, int], Row], older: int, newer: int, seed: int = 7) -> list[Row]:
    """Rows of five days in order of time, `newer` of them on the last day."""
    chance = random.Random(seed)
    times = [NOW - 5 * DAY + k * (4 * DAY // older) for k in range(older)]
    times += [NOW - DAY + k * (DAY // newer) for k in range(newer)]
    return [make(chance, time, k) for k, time in enumerate(times)]


def records(older: int = 1000, newer: int = 800) -> list[Row]:
    """All records of `MODEL`, in order of time."""
    return spread(record, older, newer)


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


STAMPS = 8


class FakeTrials:
    """What live experiments are made of, in memory: records were stored in `STAMPS` batches."""

    def __init__(self, rows: FakeRows) -> None:
        self.rows = rows

    def _told(self, trial: Trial, after: int = 0, upto: int = STAMPS) -> Iterator[tuple[str, Row]]:
        held = self.rows.rows.get(trial.model, []) if trial.tenant == "main" else []
        mine = [row for row in held if trial.start <= row["time"] < trial.end]
        for k, row in enumerate(mine):
            arm = row["version"] if trial.arm == "version" else row["tags"].get(trial.arm, "")
            if arm and after < k * STAMPS // len(mine) + 1 <= upto:
                yield arm, row

    def arms(self, trial: Trial) -> list[Row]:
        times: dict[str, list[int]] = {}
        for arm, row in self._told(trial):
            times.setdefault(arm, []).append(row["time"])
        found = [{"arm": arm, "rows": len(t), "first_time": t[0], "last_time": t[-1]} for arm, t in times.items()]
        return sorted(found, key=lambda each: (each["first_time"], each["arm"]))

    def stretch(self, tenant: str, after: int, most: int) -> tuple[int, bool]:
        upto = min(after + 1, STAMPS)
        return upto, upto < STAMPS

    def counts(self, trial: Trial, after: int, upto: int) -> Mapping[str, int]:
        return Counter(arm for arm, _ in self._told(trial, after, upto))

    def said(self, trial: Trial, part: str, key: str, after: int, upto: int) -> pa.Table:
        return _table([(arm, row, row["score"]) for arm, row in self._told(trial, after, upto)])

    def came(self, trial: Trial, column: str, key: str, after: int, upto: int) -> pa.Table:
        return _table(
            [(arm, row, row[column]) for arm, row in self._told(trial, after, upto) if row[column] is not None]
        )


def _table(rows: list[tuple[str, Row, object]]) -> pa.Table:
    found = [[arm for arm, _, _ in rows], [json.dumps(row["prediction"]) for _, row, _ in rows]]
    return pa.table([pa.array(each, pa.string()) for each in (*found, [json.dumps(raw) for _, _, raw in rows])], ["arm", "prediction", "raw"])  # fmt: skip


def groups_of_world(tenant: str, model: str, tag: str) -> dict[str, object]:
    """How groups were treated: of late `eu` is chosen less, and comes less."""
    days = [f"2026-11-{day:02d}" for day in range(9, 21)]

    def gap(value: float) -> dict[str, object]:
        return {"value": value, "low": value - 0.04, "high": value + 0.04, "n": 200}

    found = [
        {
            "group": name,
            "gaps": [gap(0.01 * (k % 3) - (0.02 * max(0, k - 6) if name == "eu" else 0.0)) for k in range(len(days))],
            "before": gap(0.01),
            "change": gap(-0.1 if name == "eu" else 0.0),
            "since": "2026-11-17" if name == "eu" else None,
            "last": "2026-11-20" if name == "eu" else None,
            "reason": "fell by 0.1 from the first three days" if name == "eu" else "no change is shown",
        }
        for name in ("eu", "us", HOSTILE)
    ]
    loops = [
        {
            "group": "eu",
            "suspected": True,
            "gap_p_value": 0.001,
            "share_p_value": 0.002,
            "reason": "its share of rows falls too",
        }
    ]
    rates = [{"rate": rate, "days": days, "groups": found} for rate in ("selection_rate", "true_positive_rate")]
    say = "selection rate of eu has moved since 2026-11-17."
    return {"model": model, "tag": tag or "region", "watched": ["region"], "positive": "1", "say": say, "rates": rates, "feedback_loops": loops}  # fmt: skip


def rows_of_world() -> FakeRows:
    """The model of fraud, one that says numbers, one that ranks, one that talks, and few rows of one with a bad name."""
    fraud = records()
    few = [{**row, "truth": None, "features": {}, "tags": {}, "version": ""} for row in fraud[-7:]]
    told = {"prices": spread(price, 500, 400), "feed": spread(shown, 1500, 1500), "assistant": spread(answer, 500, 400)}
    return FakeRows({MODEL: fraud, f"few {HOSTILE}": few, **told})
