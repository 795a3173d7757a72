"""Counts of records: they add up however rows were cut, cost the same for any number, and survive a snapshot."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tocsin.assess.tally import Tally
from tocsin.engine.model_reference import ModelReference
from tocsin.engine.record_counts import BATCH_ROWS, RecordCounts
from tocsin.engine.record_sample import RecordRow, Sample
from tocsin.engine.snapshot import pack, unpack


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    told = [
        {"amount": float(np.round(rng.lognormal(), 2)), "plan": str(rng.choice(["a", "b"])), "user": f"u{rng.integers(9999)}",
         "vip": bool(rng.random() < 0.2), "age": None if rng.random() < 0.1 else int(rng.integers(90))}
        for _ in range(n)
    ]  # fmt: skip
    return [
        RecordRow(int(rng.integers(1 << 55)), k * 1000, "true", float(rng.random()), json.dumps(told[k]), "", b"")
        for k in range(n)
    ]


@pytest.fixture(scope="module")
def reference():
    sample = Sample()
    for row in rows(1_500, seed=1):
        sample.add(row)
    return ModelReference(sample, 0, 1)


def counted(given, reference):
    counts = RecordCounts()
    for row in given:
        counts.add(row, reference)
    counts.settle(reference)
    return counts


def told(counts):
    sketches = {name: [s.rows, s.missing, s.corrupted, s.counts.tolist()] for name, s in counts.sketches.items()}
    return counts.rows, counts.counted, sketches, {name: tally.snapshot() for name, tally in counts.tallies.items()}


@pytest.mark.parametrize("cuts", [[300], [1, 2, 3], [700, 701, 1100], [0, 1199]])
def test_parts_add_up_to_the_whole(reference, cuts):
    given = rows(1_200)
    whole = counted(given, reference)
    parts = [counted(given[low:high], reference) for low, high in zip([0, *cuts], [*cuts, 1_200], strict=True)]
    for part in parts[1:]:
        parts[0].merge(part)
    assert told(parts[0]) == told(whole)
    left, right = counted(given[:400], reference), counted(given[400:800], reference)
    right.merge(counted(given[800:], reference))
    left.merge(right)
    assert told(left) == told(whole)


def test_a_feature_costs_the_same_at_any_number_of_rows(reference):
    few, many = counted(rows(1_000), reference), counted(rows(12_000, seed=2), reference)
    assert many.whole(reference)
    assert few.nbytes == many.nbytes
    for name, sketch in many.sketches.items():
        assert sketch.nbytes <= 2 * 8 * 1_033, name  # 1,000 names, 32 hashes, and the unseen
    assert len(pack({"c": many.snapshot()})) < 1.5 * len(pack({"c": few.snapshot()}))
    assert not many.waiting


def test_a_snapshot_between_two_rows_changes_nothing(reference):
    given = rows(BATCH_ROWS + 200)
    counts = RecordCounts()
    for row in given[: BATCH_ROWS + 77]:
        counts.add(row, reference)
    back = RecordCounts.back(unpack(pack({"c": counts.snapshot()}))["c"])
    for row in given[BATCH_ROWS + 77 :]:
        back.add(row, reference)
    back.settle(reference)
    assert told(back) == told(counted(given, reference))


def test_rows_of_before_there_was_a_reference_leave_counts_that_are_not_whole(reference):
    given = rows(BATCH_ROWS + 10)
    counts = RecordCounts()
    for row in given[:BATCH_ROWS]:
        counts.add(row, None)
    for row in given[BATCH_ROWS:]:
        counts.add(row, reference)
    counts.settle(reference)
    assert not counts.whole(reference)
    assert counts.tallies["amount"].rows == BATCH_ROWS + 10
    sample = Sample()
    for row in given:
        sample.add(row)
    assert reference.sketches(sample, counts)["amount"].rows == BATCH_ROWS + 10  # from the draw


@pytest.mark.parametrize("seed", range(20))
def test_runs_of_parts_are_the_runs_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    values = [None if v == 0 else float(v) if v < 3 else "x" for v in rng.integers(0, 4, 60).tolist()]
    times = list(range(0, 600, 10))
    cuts = sorted(rng.integers(0, 61, 3).tolist())
    found = Tally()
    for low, high in zip([0, *cuts], [*cuts, 60], strict=True):
        found.merge(Tally.of(values[low:high], times[low:high]))
    assert found.snapshot()[:3] == Tally.of(values, times).snapshot()[:3]
    longest, run, best = 0, 0, 0
    for at, value in enumerate(values):
        run = run + 1 if at and value is not None and value == values[at - 1] else int(value is not None)
        longest = max(longest, run)
        best = max(best, (run - 1) * 10)
    assert (found.longest.rows, found.longest_ns) == (longest, best)
