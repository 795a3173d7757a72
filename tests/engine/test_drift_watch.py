"""Drift of live records in the fold: one finding when a policy is met, the same however frames were cut."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tocsin.engine.drift_watch import DriftWatch
from tocsin.engine.record_sample import MOST_BYTES, MOST_ROWS, RecordRow, Sample
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.drift import DriftSpec

S = 1_000_000_000
HOUR = 3600 * S
T0 = 1_790_000_400 * S // HOUR * HOUR
KEY = ("main", "records")
EMPTY = {
    "time": 0, "prediction_id": "", "model": "m", "version": "1", "prediction": "true", "score": float("nan"),
    "features": "{}", "tags": {}, "truth": "", "feedback": "", "kind": "prediction", "embedding": None,
    "attributions": "", "attention": "",
}  # fmt: skip


def frame(rows):
    full = [{**EMPTY, **row} for row in rows]
    return frame_of(FrameKind.RECORDS, *KEY, {name: [row[name] for row in full] for name in EMPTY})


def policy(**changes):
    given = {"model": "m", "reference": "first 3h", "chunk": "1h", "threshold": 0.2, "for": "3h", "min_n": 100}
    return DriftSpec.model_validate(given | changes)


def hours(count, *, drift_at=99, until=99, n=200, seed=3, **fields):
    """Rows of each hour; scores fall by one and a quarter of their deviation from `drift_at` until `until`."""
    rng = np.random.default_rng(seed)
    found = []
    for hour in range(count):
        score = rng.normal(0.5 - 0.1 * (drift_at <= hour < until), 0.08, n)
        amount = rng.normal(size=n)
        found.append(
            [
                {"time": T0 + hour * HOUR + 1 + k, "prediction_id": f"{hour}-{k}", "score": float(score[k]),
                 "features": json.dumps({"amount": float(amount[k])}), **fields}
                for k in range(n)
            ]
        )  # fmt: skip
    return found


def followed(world, watch=None, *, cut=0, split=1, start=0):
    """Findings of a watch that is given a world hour by hour, each hour in frames of `1/split`."""
    watch = watch or DriftWatch()
    found = []
    for number, rows in enumerate(world, start):
        parts = np.array_split(np.arange(len(rows)), split)
        for part in parts:
            if len(part):
                watch.hold(KEY, T0 + number * HOUR, frame([rows[k] for k in part]))
        mark = T0 + (number + 1) * HOUR
        watch.release(KEY, mark)
        found += watch.close({KEY: mark}, mark + S)
    return found


def watching(*policies):
    watch = DriftWatch()
    watch.adopt(policies or (policy(),))
    return watch


def test_three_chunks_in_a_row_open_one_finding_and_calm_closes_it():
    found = followed(hours(14, drift_at=6, until=10), watching())
    assert [each.phase for each in found] == [Phase.OPEN, Phase.UPDATE, Phase.UPDATE, Phase.CLOSE]
    assert len({each.id for each in found}) == 1
    first = found[0]
    assert (first.start, first.time) == (T0 + 6 * HOUR, T0 + 9 * HOUR + S)
    assert first.evidence["feature.1"] == "score"
    assert first.evidence["policy_met"] == 1.0
    assert first.evidence["chunks_in_a_row"] == 3.0
    assert first.value > 0.2
    assert first.log10_p < -4


def test_two_chunks_are_not_three_and_one_of_few_rows_decides_nothing():
    assert not followed(hours(14, drift_at=6, until=8), watching())
    assert not followed(hours(8, drift_at=7, n=90), watching())


@pytest.mark.parametrize("seed", range(5))
def test_small_chunks_without_drift_are_above_the_threshold_and_call_nobody(seed):
    watch = watching(policy(min_n=30, **{"for": "0s"}))
    assert not followed(hours(20, n=40, seed=seed), watch)
    assert watch.states["main", "m", "1"].looks == 17


def test_how_frames_are_cut_changes_nothing_and_repeats_are_taken_out():
    world = hours(10, drift_at=6)
    twice = [[*rows, *rows] for rows in world]
    assert followed(world, watching()) == followed(world, watching(), split=7) == followed(twice, watching(), split=3)


def test_a_restart_is_no_restart():
    world = hours(12, drift_at=6)
    whole = followed(world, watching())
    for cut in (2, 5, 8, 10):
        first = watching()
        before = followed(world[:cut], first)
        second = watching()
        second.restore(unpack(pack(first.snapshot())))
        assert before + followed(world[cut:], second, start=cut) == whole


def test_another_version_is_compared_with_the_one_that_is_named():
    watch = watching(policy(reference="version 1", **{"for": "2h"}))
    old, new = hours(170, n=20), hours(4, drift_at=0, version="2")
    assert not followed(old, watch)
    later = [[{**row, "time": row["time"] + 170 * HOUR} for row in rows] for rows in new]
    found = followed(later, watch, start=170)
    assert {dict(each.series.labels)["version"] for each in found} == {"2"}


def test_a_changed_reference_learns_anew_and_closes_what_was_open():
    world = hours(14, drift_at=6)
    watch = watching()
    followed(world[:10], watch)
    watch.adopt([policy(reference="first 2h")])
    (closed,) = followed(world[10:], watch, start=10)
    assert closed.phase is Phase.CLOSE
    assert "another reference" in closed.evidence["closed"]


def test_a_version_that_is_replaced_closes_its_finding():
    world = hours(10, drift_at=6)
    watch = watching()
    followed(world, watch)
    mark = T0 + 17 * HOUR
    (closed,) = watch.close({KEY: mark}, mark)
    assert (closed.phase, closed.evidence["closed"]) == (Phase.CLOSE, "it has made no predictions since")


def test_strange_records_are_judged_or_left_out_and_break_nothing():
    strange = [
        {"features": "not json", "prediction": "{", "score": float("inf")},
        {"features": json.dumps({"a": 10**400, "b": [1], "c": None, "prediction": 1, "d": {"x": 1}})},
        {"features": "[" * 2000, "prediction": '"' + "x" * 100_000 + '"'},
        {"features": json.dumps({"a": "text", "c": True}), "embedding": [1.0, 2.0]},
        {"features": json.dumps({"a": 1.0}), "embedding": [1.0, 2.0, 3.0]},
        {"model": "", "version": ""},
    ]
    world = [
        [{**strange[k % 6], "time": T0 + hour * HOUR + k, "prediction_id": str(k)} for k in range(1, 121)]
        for hour in range(8)
    ]
    watch = watching(policy(model="*", min_n=30))
    assert not followed(world, watch)
    assert {key[1] for key in watch.states} == {"m", ""}


def test_a_sample_is_bounded_and_the_same_in_any_order():
    rng = np.random.default_rng(0)
    rows = [RecordRow(int(rank), 1, "1", 0.5, "x" * 2_000, "", b"") for rank in rng.permutation(5_000)]
    one, two = Sample(), Sample()
    for row in rows:
        one.add(row)
    for row in reversed(rows):
        two.add(row)
    assert one.rows() == two.rows()
    assert one.seen == 5_000
    assert len(one.rows()) <= MOST_ROWS
    assert sum(row.size_bytes for row in one.rows()) <= MOST_BYTES


def test_outcomes_that_come_late_confirm_what_was_estimated():
    rng = np.random.default_rng(5)

    def rows(hour, spread, kind, n=400):
        logit = rng.normal(0.0, spread, n)
        chance = 1 / (1 + np.exp(-logit))
        right = rng.random(n) < chance
        truth = {"kind": "outcome"} if kind else {}
        return [
            {"time": T0 + hour * HOUR + 1 + k, "prediction_id": f"{kind}{hour}-{k}", "score": float(chance[k]),
             "prediction": json.dumps(bool(chance[k] > 0.5)), **truth,
             **({"truth": json.dumps(bool(right[k]))} if kind else {})}
            for k in range(n)
        ]  # fmt: skip

    world = []
    for hour in range(20):
        told = rows(hour, 2.5 if hour < 16 else 0.8, kind=True) if hour >= 3 else []
        world.append(rows(hour, 2.5 if hour < 10 else 0.8, kind=False) + told)
    found = followed(world, watching())
    assert len({each.id for each in found}) == 1
    first, last = found[0], found[-1]
    assert first.start == T0 + 10 * HOUR  # the first chunk of the shift, from scores alone
    assert (first.evidence["policy_met"], "confirmed" in first.evidence) == (0.0, False)
    assert first.evidence["early_warning"].startswith("estimated ")
    assert first.evidence["estimated.accuracy"] < first.evidence["reference.accuracy"] - 0.05
    assert (last.evidence["policy_met"], last.evidence["confirmed"]) == (1.0, 1.0)
    gap = abs(last.evidence["realised.accuracy"] - last.evidence["realised.estimated_before"])
    assert gap < 0.05
    assert last.evidence["estimate.corrected_by_rows"] >= 400


def test_chunks_of_few_rows_are_gathered_until_they_are_enough():
    watch = watching(policy(min_n=250, reference="first 8h"))
    found = followed(hours(40, drift_at=20, n=60), watch)
    assert watch.states["main", "m", "1"].looks == 0  # no chunk is enough by itself
    assert found[0].phase is Phase.OPEN
    assert len({each.id for each in found}) == 1
    assert T0 + 19 * HOUR <= found[0].start <= T0 + 22 * HOUR
    assert found[0].time <= T0 + 28 * HOUR
    told = found[0].evidence
    assert (told["feature.1"], told["policy_met"]) == ("score", 1.0)
    assert told["n"] >= 250


@pytest.mark.parametrize("seed", range(4))
def test_chunks_of_few_rows_without_drift_call_nobody(seed):
    assert not followed(hours(30, n=60, seed=seed), watching(policy(min_n=250, reference="first 8h")))


def test_a_restart_keeps_what_was_gathered():
    world = hours(32, drift_at=20, n=60)
    given = policy(min_n=250, reference="first 8h")
    whole = followed(world, watching(given))
    first = watching(given)
    before = followed(world[:23], first)
    second = watching(given)
    second.restore(unpack(pack(first.snapshot())))
    assert before + followed(world[23:], second, start=23) == whole
