"""Segments of live records: each frequent value of a tag by itself, bounded, at a share of the level."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tocsin.engine.drift_watch import SEGMENT_STATES, DriftWatch
from tocsin.engine.model_drift import SEGMENTS
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.drift import DriftSpec

S = 1_000_000_000
HOUR = 3600 * S
T0 = 1_790_000_400 * S // HOUR * HOUR
KEY = ("main", "records")
REGIONS = ("us", "eu", "asia")


def frame(hour, *, seed=0, drift_at=99, regions=REGIONS, n=360):
    """An hour of records; in `eu` amounts are others from `drift_at` on."""
    rng = np.random.default_rng([seed, hour])
    rows = []
    for k in range(n):
        region = str(regions[k % len(regions)])
        moved = 1.5 if region == "eu" and hour >= drift_at else 0.0
        rows.append(
            {"time": T0 + hour * HOUR + 1 + k * S, "prediction_id": f"{hour}-{k}", "model": "m", "version": "1",
             "prediction": "true", "score": float(rng.beta(2, 3)), "tags": {"region": region, "team": "x"},
             "features": json.dumps({"amount": float(rng.normal(moved, 1))}), "truth": "", "feedback": "",
             "kind": "prediction", "embedding": None, "attributions": "", "attention": ""}
        )  # fmt: skip
    return frame_of(FrameKind.RECORDS, *KEY, {name: [row[name] for row in rows] for name in rows[0]})


def watching():
    watch = DriftWatch()
    given = {"model": "m", "reference": "first 3h", "chunk": "1h", "for": "2h", "min_n": 100, "segments": ["region"]}
    watch.adopt([DriftSpec.model_validate(given)])
    return watch


def followed(hours, watch=None, **more):
    watch = watch or watching()
    found = []
    for hour in hours:
        watch.hold(KEY, T0 + hour * HOUR, frame(hour, **more))
        mark = T0 + (hour + 1) * HOUR
        watch.release(KEY, mark)
        for tick in range(3):  # at most two chunks are judged at a tick
            found += watch.close({KEY: mark}, mark + S + tick)
    return found


def test_drift_of_one_segment_is_a_finding_of_that_segment():
    found = followed(range(9), drift_at=5)
    regions = {dict(each.series.labels).get("region") for each in found}
    assert "eu" in regions
    assert not regions & {"us", "asia"}
    (first,) = [each for each in found if each.phase.value == "open" and dict(each.series.labels).get("region") == "eu"]
    assert first.evidence["feature.1"] == "amount"
    assert first.evidence["policy_met"] == 1.0
    assert dict(first.series.labels) == {"model": "m", "version": "1", "region": "eu"}


@pytest.mark.parametrize("seed", range(3))
def test_without_drift_no_segment_is_called(seed):
    watch = watching()
    assert not followed(range(9), watch, seed=seed)
    assert {key[3:] for key in watch.states} == {(), ("region", "us"), ("region", "eu"), ("region", "asia")}
    whole, part = watch.states["main", "m", "1"], watch.states["main", "m", "1", "region", "eu"]
    assert (whole.performance.shared_by, part.performance.shared_by) == (2, 2 * SEGMENTS)


def test_a_tag_of_many_values_is_bounded_to_the_most_frequent():
    regions = [*(f"r{k}" for k in range(14)), *(f"user{k}" for k in range(200))]
    watch = watching()
    watch.hold(KEY, T0, frame(0, regions=regions * 1, n=428))
    watch.release(KEY, T0 + HOUR)
    assert len(watch.states) == 1  # nothing is frequent yet
    followed(range(1, 4), watch, regions=[f"r{k}" for k in range(14)], n=1_600)
    parts = [key for key in watch.states if len(key) == 5]
    assert len(parts) == SEGMENTS <= SEGMENT_STATES
    assert all(len(seen.counts) <= 64 for seen in watch._seen.values())


def test_a_restart_is_no_restart():
    whole = followed(range(9), drift_at=5)
    for cut in (2, 6):
        first = watching()
        before = followed(range(cut), first, drift_at=5)
        second = watching()
        second.restore(unpack(pack(first.snapshot())))
        assert before + followed(range(cut, 9), second, drift_at=5) == whole
