"""A training file as the reference of live records: read at configuration load, an even draw of it in the log."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tocsin.app.reference_files import read_reference, with_references
from tocsin.engine.drift_watch import DriftWatch
from tocsin.ingest.redact import Redactor
from tocsin.model.errors import BadInput
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind, frame_of
from tocsin.spec.engine import EngineSpec
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

S = 1_000_000_000
HOUR = 3600 * S
T0 = 1_790_000_400 * S // HOUR * HOUR
KEY = ("main", "records")
REDACTOR = Redactor((), False, b"k" * 32)
CONFIG = "drift: [{model: churn, reference: {file: train.csv}, chunk: 1h, for: 2h, min_n: 100}]"


def table(n, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, n)
    return {
        "age": np.round(rng.normal(40 + shift, 8, n), 2), "plan": rng.choice(["free", "team"], n),
        "prediction": (score > 0.5).astype(int), "score": np.round(score, 6),
        "target": (rng.random(n) < score).astype(int),
    }  # fmt: skip


def write_csv(path, columns):
    with path.open("w", newline="") as file:
        told = csv.writer(file)
        told.writerow(columns)
        told.writerows(zip(*columns.values(), strict=True))
    return path


def loaded_at(tmp_path, text=CONFIG):
    return parse_config(text, str(tmp_path / "tocsin.yaml"), {})


def policies(loaded):
    return EngineSpec.of(loaded.config.engine_spec().control()).drift


def hour(number, n=200, **more):
    found = table(n, seed=100 + number, **more)
    rows = []
    for k in range(n):
        given = {"age": float(found["age"][k]), "plan": str(found["plan"][k])}
        rows.append(
            {"time": T0 + number * HOUR + 1 + k, "prediction_id": f"{number}-{k}", "model": "churn", "version": "9",
             "prediction": str(found["prediction"][k]), "score": float(found["score"][k]), "features": json.dumps(given),
             "tags": {}, "truth": "", "feedback": "", "kind": "prediction", "embedding": None, "attributions": "",
             "attention": ""}
        )  # fmt: skip
    return frame_of(FrameKind.RECORDS, *KEY, {name: [row[name] for row in rows] for name in rows[0]})


def followed(watch, hours, start=0, **more):
    found = []
    for number in range(start, start + hours):
        watch.hold(KEY, T0 + number * HOUR, hour(number, **more))
        mark = T0 + (number + 1) * HOUR
        watch.release(KEY, mark)
        found += watch.close({KEY: mark}, mark + S)
    return found


def test_live_records_are_compared_with_the_file_from_the_first_chunk_on(tmp_path):
    write_csv(tmp_path / "train.csv", table(3_000))
    watch = DriftWatch()
    watch.adopt(policies(with_references(loaded_at(tmp_path), strict=True)))
    assert not followed(watch, 3)
    assert watch.states["main", "churn", "9"].looks == 3
    assert watch.states["main", "churn", "9"].performance.ready  # it has truth: estimates begin at once
    drifted = followed(watch, 2, start=3, shift=8.0)
    assert [each.phase for each in drifted if each.monitor == "model-drift"] == [Phase.OPEN]
    assert drifted[-1].evidence["feature.1"] == "age"
    assert drifted[-1].evidence["reference_n"] == 3_000.0


def test_parquet_and_csv_say_the_same(tmp_path):
    columns = table(500)
    one = read_reference(write_csv(tmp_path / "a.csv", columns), REDACTOR)
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), tmp_path / "a.parquet")
    two = read_reference(tmp_path / "a.parquet", REDACTOR)
    assert (one.seen, one.most_missing) == (two.seen, two.most_missing)
    assert [row[:4] for row in one.rows] == [row[:4] for row in two.rows]


def test_a_large_file_is_an_even_draw_within_bounds(tmp_path):
    found = read_reference(write_csv(tmp_path / "train.csv", table(6_000)), REDACTOR)
    assert (found.seen, len(found.rows)) == (6_000, 2_000)
    ages = [json.loads(row[4])["age"] for row in found.rows]
    assert np.mean(ages) == pytest.approx(40, abs=0.8)
    assert found.tallies["age"][0] == 6_000


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "can't be read"), ("a,b\n1,2\n", "1 records are no reference"), ("a,a\n1,2\n", "must name every column")],
)
def test_what_is_no_reference_is_told_at_its_place(tmp_path, content, message):
    if content is not None:
        (tmp_path / "train.csv").write_text(content)
    with pytest.raises(BadSpec, match=message) as caught:
        with_references(loaded_at(tmp_path), strict=True)
    assert ":1:35: " in str(caught.value)
    with pytest.raises(BadInput, match=message):
        read_reference(tmp_path / "train.csv", REDACTOR)


def test_a_file_that_is_gone_at_a_restart_is_what_was_read_of_it_before(tmp_path):
    path = write_csv(tmp_path / "train.csv", table(1_000))
    before = policies(with_references(loaded_at(tmp_path), strict=True))
    watch = DriftWatch()
    watch.adopt(before)
    followed(watch, 2)
    path.unlink()
    lenient = with_references(loaded_at(tmp_path), strict=False)
    assert ["what was read of it before holds" in str(each) for each in lenient.warnings] == [True]
    watch.adopt(policies(lenient))
    assert watch.states["main", "churn", "9"].looks == 2
    followed(watch, 1, start=2)
    assert watch.states["main", "churn", "9"].looks == 3


def test_what_is_no_business_of_the_log_is_taken_out(tmp_path):
    columns = {**table(200), "contact": [f"joe{k}@example.com" for k in range(200)]}
    write_csv(tmp_path / "train.csv", columns)
    (policy,) = policies(with_references(loaded_at(tmp_path), strict=True, key=b"k" * 32))
    told = policy.model_dump_json()
    assert "contact" in told
    assert "example.com" not in told
