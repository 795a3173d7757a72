"""`tocsin bench smd` on a data set of the same form, and its measures against the reference."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tocsin.app.bench import run_bench
from tocsin.app.bench.series_metrics import alarm_f1, auc_pr, event_f1, spans, vus_pr
from tocsin.app.bench.sizes import SMALL
from tocsin.model.errors import BadInput


def cases():
    rng = np.random.default_rng(0)
    for rows, events, longest, noise in ((500, 3, 20, 0.5), (2000, 8, 60, 1.0), (1000, 1, 5, 2.0)):
        labels = np.zeros(rows, bool)
        for start in rng.integers(50, rows - longest - 50, events):
            labels[start : start + rng.integers(1, longest)] = True
        yield labels, np.round(rng.normal(size=rows) * noise + labels, 2)


def test_an_alarm_is_right_when_it_touches_a_span():
    labels = np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 0], bool)
    seen = alarm_f1(labels, np.array([1, 0, 0, 1, 0, 0, 0, 0, 1, 0], bool))
    assert (seen.recall, seen.precision, seen.alarms, seen.false_alarms) == (0.5, 1 / 3, 3, 2)
    assert alarm_f1(labels, np.zeros(10, bool)).f1 == 0.0
    assert spans(labels) == [(2, 3), (7, 7)]


def test_a_perfect_and_a_useless_score():
    labels = next(cases())[0]
    perfect, useless = labels.astype(float), np.random.default_rng(1).random(labels.size)
    assert auc_pr(labels, perfect) == event_f1(labels, perfect) == 1.0
    assert vus_pr(labels, perfect) > 0.75 > 2 * vus_pr(labels, useless)
    assert auc_pr(labels, useless) < 3 * labels.mean()


@pytest.mark.datasets
def test_measures_are_those_of_the_reference(datasets):
    where = importlib.util.spec_from_file_location("ts_metrics", datasets.parent / "scorers" / "ts_metrics.py")
    reference = importlib.util.module_from_spec(where)
    where.loader.exec_module(reference)
    for labels, score in cases():
        assert auc_pr(labels, score) == pytest.approx(reference.auc_pr(labels, score), abs=1e-12)
        assert vus_pr(labels, score) == pytest.approx(reference.vus(labels, score)[0], abs=1e-9)
        assert event_f1(labels, score) == pytest.approx(reference.event_f1(labels, score)["f1"], abs=1e-12)
        flagged = score > 1.0
        theirs = reference.alarms(labels, flagged)
        assert alarm_f1(labels, flagged)[:3] == pytest.approx((theirs["f1"], theirs["recall"], theirs["precision"]))


def test_the_bench_runs_and_names_who_is_to_blame(tmp_path):
    rng = np.random.default_rng(2)
    half, signals = 300, 6
    rows = np.sin(np.arange(2 * half) / 9.0)[:, None] + 0.1 * rng.normal(size=(2 * half, signals))
    rows[half + 200 : half + 220, 4] += 8.0
    label = np.zeros(2 * half, np.int8)
    label[half + 200 : half + 220] = 1
    place = tmp_path / "smd" / "interpretation"
    place.mkdir(parents=True)
    columns = {f"m{k:02d}": rows[:, k].astype(np.float32) for k in range(signals)}
    split = ["train"] * half + ["test"] * half
    pq.write_table(pa.table({"split": split, **columns, "label": label}), tmp_path / "smd" / "machine-0-1.parquet")
    (place / "machine-0-1.txt").write_text("200-219:5\n")
    out = tmp_path / "bench.json"
    sizes = replace(SMALL, entity_rows=half)
    assert run_bench(["smd"], peers=False, datasets=tmp_path, out=out, sizes=sizes) == 0
    figures = {f["name"]: f["value"] for f in json.loads(out.read_text())["runs"]["smd"]["figures"]}
    assert figures["first contribution is a signal to blame"] == 100.0
    assert figures["AUC-PR, mean of machines"] > 0.8
    assert figures["alarm recall"] == 1.0
    assert figures["processor time a row"] > 0


def test_without_data_it_says_what_is_missing(tmp_path):
    with pytest.raises(BadInput, match="--datasets DIR"):
        run_bench(["smd"], peers=False, datasets=None, out=None, sizes=SMALL)
    with pytest.raises(BadInput, match=r"no \*\.parquet there"):
        run_bench(["smd"], peers=False, datasets=tmp_path, out=None, sizes=SMALL)
