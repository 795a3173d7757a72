"""Texts, vectors, objects, attributions and rankings in files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drift_world import model_rows, write

N = 1200


def _vectors(seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (N, 6)).round(3)


def _with(path, rows, **more):
    table = pa.table({name: pa.array(values) for name, values in rows.items()} | more)
    pq.write_table(table, path)
    return path


def _feature(chunk, name):
    return next(each for each in chunk["features"] if each["name"] == name)


def test_vectors_in_parquet_lists_in_json_and_as_numpy_prints_them_say_the_same(tmp_path, drift):
    found = []
    spellings = (
        None,
        lambda row: json.dumps(row.tolist()),
        lambda row: str(row).replace("\n", ""),
    )
    for k, spelled in enumerate(spellings):
        paths = []
        for seed, shift in ((1, 0.0), (2, 0.7)):
            made = _vectors(seed, shift)
            cells = pa.array(list(made)) if spelled is None else pa.array([spelled(row) for row in made])
            paths.append(_with(tmp_path / f"{k}-{seed}.parquet", model_rows(seed, N), embedding=cells))
        found.append(_feature(drift(*paths)[1]["chunks"][0], "embedding"))
    assert found[0] == found[1] == found[2]
    assert found[0]["kind"] == "embedding"
    assert found[0]["alarm"]
    assert found[0]["mmd"] > 0.2
    assert {"direction_1", "length", "distance"} <= set(found[0]["parts"])


def test_vectors_that_are_none_are_broken_and_empty_ones_missing(tmp_path, drift):
    texts = [json.dumps(row.tolist()) for row in _vectors(2)]
    texts[:100], texts[100:300] = ["oops"] * 100, [""] * 200
    one = write(
        tmp_path / "r.csv", {**model_rows(1, N), "embedding": [json.dumps(row.tolist()) for row in _vectors(1)]}
    )
    _, shown, _ = drift(one, write(tmp_path / "c.csv", {**model_rows(2, N), "embedding": texts}))
    faults = {each["fault"]: each for each in shown["chunks"][0]["quality"] if each["feature"] == "embedding"}
    assert faults["corrupted"]["count"] == 100
    assert faults["corrupted"]["example"] == "0 numbers instead of 6"
    assert faults["missing"]["count"] == 200
    gone = write(tmp_path / "g.csv", {**model_rows(2, N), "embedding": [""] * N})
    _, shown, _ = drift(one, gone)
    assert _feature(shown["chunks"][0], "embedding")["alarm"]


def test_texts_are_compared_by_length_script_and_topic(tmp_path, drift):
    calm = ["please tell me when my parcel will arrive at home", "what does this article cost in another country today"]
    other = ["объясните пожалуйста как вернуть товар и получить деньги назад", calm[0], calm[0]]
    paths = []
    for seed, pool in ((1, calm), (2, other)):
        which = np.random.default_rng(seed).integers(0, len(pool), N)
        texts = np.array([f"{pool[k]} {i}" for i, k in enumerate(which)])
        paths.append(write(tmp_path / f"{seed}.csv", {**model_rows(seed, N), "question": texts}))
    page = tmp_path / "page.html"
    _, shown, _ = drift(*paths, "--html", page)
    found = _feature(shown["chunks"][0], "question")
    assert found["kind"] == "text"
    assert found["alarm"]
    assert set(found["parts"]) == {"characters", "words", "script", "topic", "tone"}
    assert found["parts"]["script"]["js"] > 0.25, "its PSI is 0 by convention, as the reference knows one script"
    assert found["parts"]["topic"]["psi"] > 0.25
    assert "Texts and vectors are compared by their parts" in page.read_text(encoding="utf-8")


def test_attributions_and_exported_features_are_columns_of_their_own(tmp_path, drift):
    paths = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        made = [
            {"age": float(age), "plan": "pro" if plan else "basic"}
            for age, plan in zip(rng.normal(seed - 1, 1, N), rng.random(N) < 0.5, strict=True)
        ]
        share = pa.array([{"age": float(x), "plan": 1 - float(x)} for x in rng.beta(2 + 3 * (seed - 1), 2, N)])
        features = pa.array([json.dumps(each) for each in made])
        paths.append(_with(tmp_path / f"{seed}.parquet", model_rows(seed, N), features=features, attributions=share))
    _, shown, _ = drift(*paths, "--segment", "features.plan")
    chunk = shown["chunks"][0]
    alarms = {each["name"]: each["alarm"] for each in chunk["features"]}
    assert alarms == {
        "age": False, "plan": False, "features.age": True, "features.plan": False, "attributions.age": True,
        "attributions.plan": True,
    }  # fmt: skip
    assert _feature(chunk, "features.plan")["kind"] == "categorical"
    assert {each["value"] for each in chunk["segments"]} == {"pro", "basic"}


def test_cells_that_are_no_objects_are_counted(tmp_path, drift):
    texts = [json.dumps({"x": k % 7, "deep": {"y": 1}}) for k in range(N)]
    broken = ["{not json}" if k % 10 == 1 else text for k, text in enumerate(texts)]
    one = write(tmp_path / "r.csv", {**model_rows(1, N), "features": texts})
    _, shown, said = drift(one, write(tmp_path / "c.csv", {**model_rows(2, N), "features": broken}))
    assert "c.csv: column 'features': 120 cells are no JSON objects; they count as empty" in said
    assert {"features.x", "features.deep.y"} <= set(shown["columns"]["features"])
    faults = {(each["fault"], each["feature"]) for each in shown["chunks"][0]["quality"] if each["alarm"]}
    assert ("missing", "features.x") in faults


def _ranked(seed, queries, noise, rate=0.2):
    """Items of lists with a score; the better the score, the likelier a click, as far as the noise lets it be."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(0, 1, (queries, 8))
    score = worth + noise * rng.normal(0, 1, worth.shape)
    click = rng.random(worth.shape) < rate / (1 + np.exp(-2 * worth))
    return {
        "query_id": np.repeat(np.arange(queries) + 10_000 * seed, 8),
        "position": np.tile(np.arange(8), queries),
        "score": (1 / (1 + np.exp(-score))).ravel(),
        "target": click.ravel().astype("i8"),
    }


def _grown(one, other):
    return {name: np.concatenate([one[name], other[name]]) for name in one}


def test_a_ranking_has_ndcg_and_click_through_per_chunk(tmp_path, drift):
    reference = write(tmp_path / "r.csv", _ranked(1, 4000, 0.3))
    calm, worse, rarer = _ranked(2, 1000, 0.3), _ranked(3, 1000, 3.0), _ranked(4, 1000, 0.3, 0.1)
    current = write(tmp_path / "c.csv", _grown(_grown(calm, worse), rarer))
    page = tmp_path / "page.html"
    _, shown, said = drift(reference, current, "--chunk", "8000", "--html", page)
    assert shown["columns"]["task"] == "ranking"
    assert (shown["columns"]["query"], shown["columns"]["score"]) == ("query_id", "score")
    assert "a ranking has no estimate without truth" in said
    one, two, three = (chunk["realised"] for chunk in shown["chunks"])
    assert [chunk["estimated"] for chunk in shown["chunks"]] == [None] * 3
    low, high = one["interval"]["ndcg"]
    assert low < one["ndcg"] < high
    assert two["ndcg"] < one["ndcg"] - 0.05
    assert three["click_through_rate"] == pytest.approx(one["click_through_rate"] / 2, rel=0.2)
    assert [chunk["performance_alarm"] for chunk in shown["chunks"]] == [False, True, True]
    assert shown["chunks"][1]["reasons"][0].startswith("realised ndcg 0.")
    assert any("realised click_through_rate" in reason for reason in shown["chunks"][2]["reasons"])
    assert "Performance: ndcg" in page.read_text(encoding="utf-8")


def test_a_ranking_without_truth_or_score_says_what_it_lacks(tmp_path, drift):
    rows, more = _ranked(1, 500, 0.3), _ranked(2, 200, 0.3)
    one = write(tmp_path / "r.csv", rows)
    blind = write(tmp_path / "c.csv", {name: values for name, values in more.items() if name != "target"})
    _, shown, _ = drift(one, blind)
    assert shown["columns"]["task"] == "ranking"
    assert shown["chunks"][0]["realised"] is None
    _, _, said = drift(one, blind, "--query", "query_id", "--score", "")
    assert "--query: a ranking is judged by a score and what each item gained" in said
    _, shown, _ = drift(one, blind, "--query", "")
    assert shown["columns"]["task"] == "binary"
