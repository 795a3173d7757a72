"""`tocsin train`: what is exported is what was trained, the same every time, and never in the way of another model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from app.train.conftest import INCIDENTS, ROWS, START, STEP, history, labels, write
from tocsin.app.score.layout import Wanted
from tocsin.app.train import autoencoder, features, forest, run
from tocsin.app.train.boosting import split_time
from tocsin.app.train.fitted import Fitted
from tocsin.app.train.history import Incident, read_history
from tocsin.app.train.run import MODELS, Order, train
from tocsin.app.train.windows import Scale, cut
from tocsin.detect.onnx_model import OnnxModel
from tocsin.model.errors import BadInput

QUIET = "--model temporal-autoencoder --out m.onnx"


@pytest.fixture(autouse=True)
def little(monkeypatch):
    """The same arithmetic on less, for the time it takes."""
    monkeypatch.setattr(autoencoder, "EPOCHS", 15)
    monkeypatch.setattr(forest, "TREES", 25)


def windows_of(path, length=12, incidents=()):
    return cut(read_history(path, Wanted("time", Path()), None), length, incidents)


def moment(row):
    return (START + STEP * row) * 10**9


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_file_says_what_the_trained_model_says(name, tmp_path):
    write(tmp_path / "h.csv", history(incidents=INCIDENTS))
    labels(tmp_path / "l.csv")
    windows = windows_of(tmp_path / "h.csv", incidents=[Incident(moment(a), moment(b - 1)) for a, b in INCIDENTS])
    early, late = windows.split(moment(800))
    fitted = MODELS[name](early, late, seed=0, say=lambda _: None)
    card = run.ModelCard(name, ("load", "memory", "latency"), STEP * 10**9, 1.0, 0.5)
    model = OnnxModel(fitted.export(card.metadata()))
    values = late.values()
    np.testing.assert_allclose(model.error(values), fitted.reference(values), rtol=1e-4, atol=1e-5)
    assert (model.length, model.features, model.card) == (12, 3, card)
    said = model.error(late.take(late.bad).values()), model.error(late.take(~late.near).values())
    assert np.median(said[0]) > np.quantile(said[1], 0.95), "incidents are no stranger than what is normal"


def test_features_of_the_graph_are_those_of_plain_arithmetic(tmp_path):
    values = windows_of(write(tmp_path / "h.csv", history(300))).values()
    scale = Scale.of(values)
    got = features.FeatureGraph(12, 3, scale)(values)
    np.testing.assert_allclose(got, features.plain_features(values, scale), atol=2e-5)


def test_the_forest_is_that_of_the_paper(tmp_path):
    """Score 2^(-E[h] / c) from paths walked by hand."""
    values = windows_of(write(tmp_path / "h.csv", history(400))).values()
    seen = features.plain_features(values, Scale.of(values)).astype("f4")
    grown = forest.library("sklearn.ensemble").IsolationForest(n_estimators=5, max_samples=64, random_state=1).fit(seen)
    paths = np.mean([forest._paths(tree.tree_)[tree.apply(seen)] for tree in grown.estimators_], axis=0)
    score = 2.0 ** (-paths / forest.usual_depth(64))
    np.testing.assert_allclose(score, -grown.score_samples(seen), rtol=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_another_another(tmp_path):
    write(tmp_path / "h.csv", history(500))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        order = Order(tmp_path / "h.csv", "temporal-autoencoder", tmp_path / f"{name}.onnx", seed=seed)
        train(order, lambda _: None)
    a, b, c = ((tmp_path / f"{name}.onnx").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_report_and_what_the_file_says_of_itself(tmp_path, tocsin):
    write(tmp_path / "h.csv", history(incidents=INCIDENTS))
    labels(tmp_path / "l.csv")
    done = tocsin("train", "h.csv", "--model", "gradient-boosting", "--labels", "l.csv", "--out", "m.onnx", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["average_precision"] > 0.5 > 5 * told["share_bad"]
    assert told["max_difference"] < 1e-3
    assert "largest difference from the trained model" in done.stderr
    assert "warning: less than 2 weeks" in done.stderr
    model = OnnxModel((tmp_path / "m.onnx").read_bytes())
    assert (told["sha256"], told["features"]) == (model.sha256, ["load", "memory", "latency"])
    assert {"version", "trained_from", "trained_until", "data_sha256", "length", "seed"} <= model.card.more.keys()
    assert model.card.more["trained_from"] == "2026-09-21T14:15:00.000000000Z"


def test_a_model_that_was_there_is_kept_and_told(tmp_path, tocsin):
    write(tmp_path / "h.csv", history(300))
    first = tocsin("train", "h.csv", *QUIET.split())
    assert first.returncode == 0, first.stderr
    before = (tmp_path / "m.onnx").read_bytes()
    again = tocsin("train", "h.csv", *QUIET.split())
    assert not (tmp_path / "m.1.onnx").exists(), "the same bytes are no other model"
    other = tocsin("train", "h.csv", *QUIET.split(), "--seed", 3)
    assert (again.returncode, other.returncode) == (0, 0)
    assert (tmp_path / "m.1.onnx").read_bytes() == before != (tmp_path / "m.onnx").read_bytes()
    assert "is kept as m.1.onnx" in other.stderr


def test_what_is_no_model_is_not_written_over(tmp_path, tocsin):
    write(tmp_path / "h.csv", history(300))
    (tmp_path / "m.onnx").write_text("notes")
    done = tocsin("train", "h.csv", *QUIET.split())
    assert done.returncode == 2
    assert "is there and is no ONNX model" in done.stderr
    assert [path.name for path in tmp_path.glob("m*")] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "notes"


def test_a_file_that_differs_from_what_was_trained_is_deleted(tmp_path, monkeypatch):
    write(tmp_path / "h.csv", history(300))
    order = Order(tmp_path / "h.csv", "temporal-autoencoder", tmp_path / "m.onnx")
    train(order, lambda _: None)
    before = order.out.read_bytes()

    def lying(early, late, *, seed, say):
        fitted = autoencoder.fit(early, late, seed=seed, say=say)
        return Fitted(fitted.export, lambda windows: fitted.reference(windows) * 1.01 + 0.01)

    monkeypatch.setitem(MODELS, "temporal-autoencoder", lying)
    with pytest.raises(BadInput, match=r"differs from the trained model by .* it was deleted"):
        train(Order(order.history, order.model, order.out, seed=5), lambda _: None)
    assert order.out.read_bytes() == before
    assert [path.name for path in tmp_path.glob("*.onnx*")] == ["m.onnx"]


def test_long_history_is_learned_series_by_series(tmp_path, tocsin):
    wide = history(400)
    long = {
        "timestamp": np.repeat(wide["time"], 2),
        "host": ["a", "b"] * 400,
        "load": np.stack([wide["load"], history(400, seed=2)["load"]], axis=1).ravel(),
    }
    write(tmp_path / "long.csv", long)
    done = tocsin("train", "long.csv", "--series", "host", *QUIET.split(), "--json", "--window", 8)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["features"], told["window"], told["step_s"]) == (["load"], 8, 300.0)
    assert "2 series of 1 signals, 786 windows of 8 x 300 s" in done.stderr


def test_windows_have_no_gap_no_hole_and_no_row_of_both_sides(tmp_path):
    columns = history(200)
    columns["load"][50] = np.nan
    columns = {name: np.delete(cells, 120) for name, cells in columns.items()}
    windows = windows_of(write(tmp_path / "h.csv", columns), 10, [Incident(moment(80), moment(84))])
    ends = (windows.end_ns // 10**9 - START) // STEP
    assert set(range(50, 60)) & set(ends.tolist()) == set()
    assert set(range(120, 130)) & set(ends.tolist()) == set()
    assert ends[windows.bad].tolist() == list(range(80, 85))
    assert ends[windows.near].tolist() == list(range(81, 94))
    early, late = windows.split(moment(150))
    assert early.end_ns.max() < moment(150) <= late.start_ns().min()
    row = columns["time"].tolist().index(START + STEP * 100)
    window = windows.take(ends == 100).values()[0]
    np.testing.assert_allclose(window[-1], [columns[n][row] for n in ("load", "memory", "latency")], rtol=1e-6)


def test_the_split_holds_out_incidents_and_learns_from_earlier_ones(tmp_path):
    windows = windows_of(
        write(tmp_path / "h.csv", history(incidents=INCIDENTS)),
        incidents=[Incident(moment(a), moment(b - 1)) for a, b in INCIDENTS],
    )
    early, late = windows.split(split_time(windows))
    assert early.bad.any()
    assert late.bad.any()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("--model lstm --out m.onnx", "there is no model 'lstm'; this build trains temporal-autoencoder"),
        ("--model gradient-boosting --out m.onnx", "name their file with --labels"),
        ("--model isolation-forest --out m.bin", "name the file of the model .onnx"),
        (f"{QUIET} --time tim", "h.csv:1: no column 'tim' for --time: did you mean 'time'?"),
        (f"{QUIET} --window 600", "fewer than 50 windows of 600 steps"),
        (f"{QUIET} --step soon", "--step: 'soon' is not a duration"),
        ("--model gradient-boosting --labels one.csv --out m.onnx", "1 labelled incidents lie in this history; at least 2"),
        (f"{QUIET} --labels wrong.csv", "wrong.csv:2: the incident ends before it starts"),
        (f"{QUIET} --labels other.csv", "an incident is of 'web-9'"),
        (f"{QUIET} --labels none.csv", "none.csv:2: there are no incidents"),
        (f"{QUIET} --labels h.csv", "h.csv:1: no column 'start' for the labels"),
    ],
)  # fmt: skip
def test_what_will_not_do_is_told_with_what_to_do(tmp_path, tocsin, args, expected):
    write(tmp_path / "h.csv", history(300))
    labels(tmp_path / "one.csv", INCIDENTS[:1])
    write(tmp_path / "wrong.csv", {"start": [2_000_000_000], "end": [1_900_000_000]})
    write(tmp_path / "other.csv", {"start": [START], "end": [START], "series": ["web-9"]})
    (tmp_path / "none.csv").write_text("start,end\n")
    done = tocsin("train", "h.csv", *args.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert not list(tmp_path.glob("*.onnx*"))


def test_a_missing_extra_is_told_with_what_to_install(tmp_path, tocsin, monkeypatch):
    write(tmp_path / "h.csv", history(300))
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    done = tocsin("train", "h.csv", *QUIET.split())
    assert done.returncode == 2
    assert "pip install 'tocsin[train]'" in done.stderr


def scored(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_score_runs_a_model_of_one_signal(tmp_path, tocsin):
    write(tmp_path / "h.csv", {name: history()[name] for name in ("time", "load")})
    assert tocsin("train", "h.csv", *QUIET.split()).returncode == 0
    odd = history(600, seed=7)
    odd["load"][500:503] += 30.0
    write(tmp_path / "odd.csv", {name: odd[name] for name in ("time", "load")})
    done = tocsin("score", "odd.csv", "--time", "time", "--model", "m.onnx", "--out", "o")
    assert done.returncode == 0, done.stderr
    rows = scored(tmp_path / "o/odd.csv")
    assert list(rows[0]) == ["time", "score", "p_value", "alarm", "lower", "upper"]
    alarms = [k for k, row in enumerate(rows) if row["alarm"] == "1"]
    assert {500, 501, 502} & set(alarms)
    assert sum(not 500 <= k < 515 for k in alarms) <= 3


def test_score_runs_a_model_of_several_signals(tmp_path, tocsin):
    columns = history()
    write(tmp_path / "h.csv", columns)
    assert tocsin("train", "h.csv", *QUIET.split()).returncode == 0
    odd = history(600, seed=7)
    odd["memory"][500:515] += 20.0
    shuffled = {name: odd[name] for name in ("latency", "time", "memory", "load")}
    write(tmp_path / "odd.csv", shuffled | {"extra": np.arange(600)})
    done = tocsin("score", "odd.csv", "--time", "time", "--model", "m.onnx", "--out", "o")
    assert done.returncode == 0, done.stderr
    assert "not scored, for they hold no numbers or were not named: extra" in done.stderr
    rows = scored(tmp_path / "o/odd.csv")
    alarms = [k for k, row in enumerate(rows) if row["alarm"] == "1"]
    assert set(range(500, 507)) & set(alarms)
    parts = {name: float(rows[505][f"contribution_{name}"]) for name in ("load", "memory", "latency")}
    assert max(parts, key=parts.get) == "memory"
    write(tmp_path / "few.csv", {name: odd[name] for name in ("time", "load", "memory")})
    done = tocsin("score", "few.csv", "--time", "time", "--model", "m.onnx", "--out", "o")
    assert done.returncode == 2
    assert "few.csv:1: the model's feature 'latency' is no column of numbers here" in done.stderr
    assert len(columns["time"]) == ROWS
