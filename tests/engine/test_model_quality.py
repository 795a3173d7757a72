"""Data quality of live records: what breaks the reference's promises is told with count and example, normal life is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tocsin.engine.drift_watch import DriftWatch
from tocsin.engine.quality_finding import MONITOR
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.drift import DriftSpec

S = 1_000_000_000
HOUR = 3600 * S
DAY = 24 * HOUR
T0 = 1_790_000_000 * S // DAY * DAY
KEY = ("main", "records")
EMPTY = {
    "time": 0, "prediction_id": "", "model": "m", "version": "1", "prediction": "true", "score": float("nan"),
    "features": "{}", "tags": {}, "truth": "", "feedback": "", "kind": "prediction", "embedding": None,
    "attributions": "", "attention": "",
}  # fmt: skip
REFERENCE_HOURS = 8


def frame(rows):
    full = [{**EMPTY, **row} for row in rows]
    return frame_of(FrameKind.RECORDS, *KEY, {name: [row[name] for row in full] for name in EMPTY})


def watching(**changes):
    given = {"model": "m", "reference": f"first {REFERENCE_HOURS}h", "chunk": "2h", "for": "6h", "min_n": 100}
    watch = DriftWatch()
    watch.adopt([DriftSpec.model_validate(given | changes)])
    return watch


def given(rng, now, n):
    """Features of a usual hour: heavy tails, seasons, runs, dates, fields that are missing at night or nearly always."""
    hour = now % REFERENCE_HOURS
    flag = np.cumsum(rng.random(n) < 0.1) % 2 == 0  # in runs
    return [
        {
            "amount": float(rng.lognormal(2, 1)), "count": int(rng.poisson(3)), "plan": str(rng.choice(["a", "b", "c"])),
            "user": f"u{rng.integers(10**6)}", "weekday": (hour // 24) % 7, "hour_block": hour // 4, "vip": bool(flag[k]),
            "age": None if hour % 8 < 2 and rng.random() < 0.6 else float(rng.normal(40, 9)),
            "code": str(rng.integers(900)) if rng.random() < 0.5 else int(rng.integers(900)),
            "stamp": now * 3600 + k, "release": f"v{now}", "rare": "x" if rng.random() < 0.02 else None, "always": "eu", "note": "word " * int(rng.integers(5, 30)),
        }
        for k in range(n)
    ]  # fmt: skip


def world(hours, *, seed=1, n=240, broken=None, at=99, until=99):
    """Rows of each hour; `broken` changes the features of a row from hour `at` until `until`."""
    rng = np.random.default_rng(seed)
    found = []
    for hour in range(hours):
        features = given(rng, hour, n)
        times = np.sort(rng.integers(1, HOUR, n))
        if broken is not None and at <= hour < until:
            features = [broken(each, k) for k, each in enumerate(features)]
        found.append(
            [
                {"time": int(T0 + hour * HOUR + times[k]), "prediction_id": f"{hour}-{k}", "score": float(rng.beta(2, 5)),
                 "prediction": json.dumps(bool(rng.random() < 0.3)), "features": json.dumps(features[k])}
                for k in range(n)
            ]
        )  # fmt: skip
    return found


def followed(hours, watch=None, *, split=1, start=0):
    """Findings about data of a watch that is given a world hour by hour, with four ticks an hour."""
    watch = watch or watching()
    found = []
    for number, rows in enumerate(hours, start):
        for quarter in range(4):
            low, high = (T0 + number * HOUR + each * HOUR // 4 for each in (quarter, quarter + 1))
            here = [row for row in rows if low < row["time"] <= high]
            for part in np.array_split(np.arange(len(here)), split):
                if len(part):
                    watch.hold(KEY, low, frame([here[k] for k in part]))
            watch.release(KEY, high)
            found += watch.close({KEY: high}, high + S)
    return [each for each in found if each.monitor == MONITOR]


@pytest.mark.parametrize("seed", range(30))
def test_normal_records_raise_nothing(seed):
    watch = watching()
    assert not followed(world(12, seed=seed, n=110), watch)
    assert watch.states["main", "m", "1"].quality.looks >= 5


def put(**features):
    return lambda row, _: {**row, **features}


def drop(name):
    return lambda row, _: {key: value for key, value in row.items() if key != name}


def some(name, value, every):
    return lambda row, k: {**row, name: value} if k % every == 0 else row


FAULTS = {
    "corrupted": (some("amount", "n/k", 10), "corrupted", "amount", "n/k"),
    "missing": (some("plan", None, 4), "missing", "plan", None),
    "gone": (drop("count"), "column_gone", "count", None),
    "out of range": (some("amount", -999.0, 8), "out_of_range", "amount", "-999"),
    "unseen": (some("plan", "enterprise", 8), "unseen", "plan", "enterprise"),
    "constant": (put(amount=41.5), "constant", "amount", "41.5"),
    "type": (some("vip", "yes", 1), "unseen", "vip", "yes"),
    "number as text": (lambda row, _: {**row, "amount": str(row["amount"])}, "type_changed", "amount", None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_told_within_the_hour_with_count_and_example(name):
    broken, fault, feature, example = FAULTS[name]
    found = followed(world(15, broken=broken, at=11, until=13))
    assert len({each.id for each in found}) == 1
    first, last = found[0], found[-1]
    assert (first.phase, last.phase) == (Phase.OPEN, Phase.CLOSE)
    assert first.start == T0 + 11 * HOUR
    assert first.time <= T0 + 12 * HOUR + S
    told = first.evidence
    assert (told["violation.1"], told["violation.1.feature"]) == (fault, feature)
    assert told["violation.1.count"] >= 5
    assert feature in told["deviation"]
    assert example is None or (told["violation.1.example"] == example and example in told["violation.1.reason"])
    assert told["severity_ratio"] < 2.5
    assert last.time <= T0 + 15 * HOUR


def test_what_is_too_rare_for_a_part_is_seen_in_the_whole_chunk_and_told_once():
    found = followed(world(18, n=400, broken=some("amount", "n/k", 64), at=10, until=14))
    assert [each.phase for each in found] == [Phase.OPEN, Phase.UPDATE, Phase.CLOSE]
    assert found[0].evidence["violation.1.count"] == 14.0
    assert found[0].time == T0 + 12 * HOUR + S


def test_a_renamed_feature_is_told_with_its_new_name():
    def renamed(row, _):
        return {**{key: value for key, value in row.items() if key != "count"}, "n_items": row["count"]}

    first = followed(world(12, broken=renamed, at=10))[0]
    assert (first.evidence["violation.1"], first.evidence["new_features"]) == ("column_gone", "n_items")


def test_records_that_stop_are_told_once_and_closed_when_they_come_again():
    watch = watching()
    before = followed(world(10), watch)
    silence = followed([[] for _ in range(6)], watch, start=10)
    after = [[{**row, "time": row["time"] + 16 * HOUR} for row in rows] for rows in world(2)]
    back = followed(after, watch, start=16)
    assert [each.phase for each in (*before, *silence, *back)] == [Phase.OPEN, Phase.CLOSE]
    assert silence[0].evidence["violation.1"] == "stale"
    assert silence[0].evidence["deviation"].startswith("stale: the last row came")


def test_history_that_is_read_from_a_file_has_not_stopped():
    watch = watching()
    followed(world(10), watch)
    fresh = watching()
    rows = [row for hour in world(10) for row in hour]
    fresh.hold(KEY, T0, frame(rows))
    now = T0 + 400 * DAY
    fresh.release(KEY, now)
    assert not [each for _ in range(20) for each in fresh.close({KEY: now}, now) if each.monitor == MONITOR]


def test_how_frames_are_cut_and_restarts_change_nothing():
    hours = world(14, broken=some("amount", "n/k", 10), at=11)
    whole = followed(hours)
    assert whole
    assert whole == followed(hours, split=5)
    for cut in (3, 9, 12):
        first = watching()
        before = followed(hours[:cut], first)
        second = watching()
        second.restore(unpack(pack(first.snapshot())))
        assert before + followed(hours[cut:], second, start=cut) == whole


def test_hostile_text_is_inert_and_bounded():
    hostile = "\x1b[31m<script>alert(1)</script>\u202e" + "x" * 5000
    first = followed(world(12, broken=some("plan", hostile, 4), at=10))[0]
    for value in first.evidence.values():
        assert isinstance(value, float) or (len(value) <= 500 and value.isprintable())


def test_history_that_is_replayed_is_judged_chunk_by_chunk():
    hours = world(16, broken=some("amount", "n/k", 10), at=12, until=14)
    watch = watching()
    watch.hold(KEY, T0, frame([row for rows in hours for row in rows]))
    mark = T0 + 16 * HOUR
    watch.release(KEY, mark)
    found = [each for _ in range(40) for each in watch.close({KEY: mark}, mark + S) if each.monitor == MONITOR]
    assert found[0].evidence["violation.1"] == "corrupted"
    assert found[0].evidence["violation.1.count"] == 48.0  # all of the two hours at once
    assert found[0].start == T0 + 12 * HOUR
    assert watch.states["main", "m", "1"].quality.chunk.rows == 0
