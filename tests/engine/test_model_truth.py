"""What late truth says of a live model: since when its errors are more, and which of P(x), P(y) and P(y|x) moved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tocsin.engine.drift_watch import DriftWatch
from tocsin.engine.model_errors import ModelErrors
from tocsin.engine.record_sample import RecordRow
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.times import time_to_json
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
REFERENCE = 6


def frame(rows):
    full = [{**EMPTY, **row} for row in rows]
    return frame_of(FrameKind.RECORDS, *KEY, {name: [row[name] for row in full] for name in EMPTY})


def watching():
    watch = DriftWatch()
    given = {"model": "m", "reference": f"first {REFERENCE}h", "chunk": "1h", "for": "3h", "min_n": 100}
    watch.adopt([DriftSpec.model_validate(given)])
    return watch


def followed(world, watch=None, start=0):
    watch = watch or watching()
    found = []
    for number, rows in enumerate(world, start):
        watch.hold(KEY, T0 + number * HOUR, frame(rows))
        mark = T0 + (number + 1) * HOUR
        watch.release(KEY, mark)
        found += watch.close({KEY: mark}, mark + S)
    return [each for each in found if each.monitor == "model-drift"]


def classes(hours, *, at=99, what="", n=300, seed=7):
    """Predictions of two classes and their truth in the same hour; from `at` on one law is another."""
    rng = np.random.default_rng(seed)
    found = []
    for hour in range(hours):
        moved = hour >= at
        x = rng.normal(1.2 if moved and what == "data" else 0.0, 1.0, n)
        chance = 1 / (1 + np.exp(-2 * x))
        real = 1 / (1 + np.exp(-2 * (x - 1.0))) if moved and what == "concept" else chance
        right = rng.random(n) < real
        rows = []
        for k in range(n):
            row = {"time": T0 + hour * HOUR + 1 + k * S, "prediction_id": f"{hour}-{k}", "score": float(chance[k]),
                   "prediction": json.dumps(bool(chance[k] > 0.5)), "features": json.dumps({"x": float(x[k])})}  # fmt: skip
            rows += [row, {**row, "kind": "outcome", "features": "{}", "truth": json.dumps(bool(right[k]))}]
        found.append(rows)
    return found


def numbers(hours, *, at=99, factor=2.0, n=200, seed=7):
    rng = np.random.default_rng(seed)
    found = []
    for hour in range(hours):
        said = rng.normal(10, 3, n)
        truth = said + rng.normal(0, 1.0 if hour < at else factor, n)
        rows = []
        for k in range(n):
            row = {
                "time": T0 + hour * HOUR + 1 + k * S,
                "prediction_id": f"{hour}-{k}",
                "prediction": json.dumps(said[k]),
            }
            rows += [row, {**row, "kind": "outcome", "truth": json.dumps(truth[k])}]
        found.append(rows)
    return found


def test_concept_drift_is_one_finding_with_its_beginning_and_its_law():
    found = followed(classes(16, at=10, what="concept"))
    assert [each.phase for each in found[:2]] == [Phase.OPEN, Phase.UPDATE]
    assert len({each.id for each in found}) == 1
    first, last = found[0].evidence, found[-1].evidence
    assert abs(found[0].start - (T0 + 10 * HOUR)) <= HOUR
    assert first["truth"].startswith("realised ")
    assert last["errors.since"] in last["truth"]
    assert last["errors.since"] <= time_to_json(T0 + 11 * HOUR)[:16] + "Z"
    assert last["errors.mean"] > last["errors.before"] + 0.05
    assert last["errors.tests"].startswith("ADWIN")
    assert (last["moved.data"], last["moved.concept"]) == (0.0, 1.0)
    assert "concept drift" in last["moved"]
    assert last["moved.concept.reason"]
    assert found[0].evidence["deviation"].startswith("with realised ")


def test_a_small_fall_that_no_chunk_shows_is_raised_by_the_stream_of_errors():
    rng = np.random.default_rng(2)
    world = []
    for hour in range(60):
        right = rng.random(150) < (0.88 if hour < 20 else 0.82)
        rows = []
        for k in range(150):
            row = {"time": T0 + hour * HOUR + 1 + k * S, "prediction_id": f"{hour}-{k}", "prediction": '"cat"'}
            rows += [row, {**row, "kind": "outcome", "truth": '"cat"' if right[k] else '"dog"'}]
        world.append(rows)
    found = followed(world)
    assert found
    assert len({each.id for each in found}) == 1
    assert found[0].evidence["errors.since"] in found[0].evidence["deviation"]
    assert T0 + 12 * HOUR <= found[0].start <= T0 + 28 * HOUR


def test_data_drift_says_which_law_and_that_the_others_stand():
    found = followed(classes(14, at=8, what="data"))
    last = found[-1].evidence
    assert (last["moved.data"], last["moved.concept"]) == (1.0, 0.0)
    assert last["moved"].startswith("data drift (")


def test_before_truth_it_is_said_what_can_not_be_told():
    world = [[row for row in rows if row.get("kind") != "outcome"] for rows in classes(12, at=7, what="data")]
    told = followed(world)[-1].evidence
    assert "can't be told before truth comes" in told["moved"]
    assert "moved.concept" not in told


def test_numbers_that_are_farther_from_the_truth_are_one_finding_and_better_ones_end_it():
    found = followed(numbers(24, at=12, factor=2.0))
    assert len({each.id for each in found}) == 1
    assert found[0].phase is Phase.OPEN
    assert found[0].evidence["realised.mae"] > 1.5 * found[0].evidence["reference.mae"]
    assert "errors.since" in found[-1].evidence
    healed = [
        *numbers(16, at=12),
        *[[{**r, "time": r["time"] + 16 * HOUR} for r in rows] for rows in numbers(8, seed=9)],
    ]
    assert followed(healed)[-1].phase is Phase.CLOSE


@pytest.mark.parametrize(
    "seed", [0, 1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)]
)
def test_a_steady_model_is_left_alone(seed):
    assert not followed(classes(20, seed=seed))
    assert not followed(numbers(20, seed=seed))


def test_a_restart_keeps_the_stream_of_errors():
    world = classes(15, at=10, what="concept")
    whole = followed(world)
    for cut in (4, 8, 12):
        first = watching()
        before = followed(world[:cut], first)
        second = watching()
        second.restore(unpack(pack(first.snapshot())))
        assert before + followed(world[cut:], second, start=cut) == whole


def test_steady_errors_seldom_look_like_a_rise():
    """What docs/performance.md says of false alarms: the stream alone, at a third of its length there."""
    rose = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        errors = ModelErrors()
        wrong = rng.random(6_000) < 0.15
        rows = [RecordRow(k, k, '"a"', None, "", '"b"' if wrong[k] else '"a"', b"") for k in range(6_000)]
        errors.learn(rows[:1_000])
        for at in range(1_000, 6_000, 500):
            errors.fold(rows[at : at + 500])
        rose += errors.since > 0
    assert rose <= 1
