"""`tocsin drift` on files of a user: what it tells, and in which form."""

import numpy as np
import pytest

from drift_world import model_rows, without, write


def test_the_document_is_that_of_the_contract(files, drift):
    reference, current, truth = files
    result, shown, said = drift(reference, current, "--truth", truth, "--id", "id", "--chunk", "1000")
    assert result.exit_code == 0, said
    assert shown["columns"]["features"] == ["age", "plan"]
    assert {k: shown["columns"][k] for k in ("id", "time", "prediction", "score", "target", "task", "positive")} == {
        "id": "id", "time": "time", "prediction": "prediction", "score": "score", "target": "target",
        "task": "binary", "positive": "1",
    }  # fmt: skip
    chunk = shown["chunks"][0]
    assert {
        "index",
        "start",
        "end",
        "n",
        "alarm",
        "reasons",
        "estimated",
        "realised",
        "performance_alarm",
        "features",
        "prediction",
    } <= set(chunk)
    assert chunk["start"] == "2026-03-01T00:00:00.000000000Z"
    assert {"name", "kind", "psi", "kl", "js", "wasserstein", "ks", "p_value", "alarm", "reason"} <= set(
        chunk["features"][0]
    )
    for part in (chunk["estimated"], chunk["realised"]):
        assert {"accuracy", "precision", "recall", "f1", "auc", "log_loss"} <= set(part)
        low, high = part["interval"]["accuracy"]
        assert low < part["accuracy"] < high
    assert "calibration_error" in chunk["realised"]
    assert shown["estimate_error"]["accuracy"]["chunks"] == 6
    assert "(inferred)" in said


def test_a_fall_is_found_before_truth_and_the_same_with_it(files, drift):
    reference, current, truth = files
    _, without_truth, _ = drift(reference, current, "--chunk", "1000")
    _, with_truth, _ = drift(reference, current, "--truth", truth, "--id", "id", "--chunk", "1000")
    for shown in (without_truth, with_truth):
        assert [chunk["index"] for chunk in shown["chunks"] if chunk["performance_alarm"]] == [4, 5]
        assert [chunk["index"] for chunk in shown["chunks"] if chunk["alarm"]] == [4, 5]
    for one, other in zip(without_truth["chunks"], with_truth["chunks"], strict=True):
        assert one["realised"] is None
        assert one["estimated"]["accuracy"] == other["estimated"]["accuracy"], "truth of a chunk is not in its estimate"
        assert other["estimated"]["accuracy"] == pytest.approx(other["realised"]["accuracy"], abs=0.04)
    assert "corrected" not in with_truth["chunks"][0]["estimated"]
    assert "corrected" in with_truth["chunks"][1]["estimated"], "truth of the first corrects the second"
    assert "data" in with_truth["chunks"][5]["moved"]
    assert "concept" not in with_truth["chunks"][5]["moved"]


def test_what_moved_is_told_apart(tmp_path, drift):
    reference, current = model_rows(1, 6000), model_rows(2, 3000)
    turned = {**current, "target": np.where(np.arange(3000) % 4 == 0, 1 - current["target"], current["target"])}
    _, shown, _ = drift(write(tmp_path / "r.parquet", reference), write(tmp_path / "c.parquet", turned))
    chunk = shown["chunks"][0]
    assert chunk["moved"] == ["concept"], "the inputs are as before, what follows from them is not"
    assert chunk["performance_alarm"]
    assert all(reason.startswith("realised") for reason in chunk["reasons"])
    more = {**current, "target": np.where(np.arange(3000) % 3 == 0, 1, current["target"])}
    _, shown, _ = drift(tmp_path / "r.parquet", write(tmp_path / "m.parquet", more))
    assert shown["chunks"][0]["moved"] == ["label", "concept"]


def test_chunks_by_time_follow_the_calendar(files, drift):
    reference, current, _ = files
    _, shown, _ = drift(reference, current, "--chunk", "1d")
    assert [chunk["start"][:10] for chunk in shown["chunks"]] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert shown["chunks"][0]["end"] == shown["chunks"][1]["start"]
    assert sum(chunk["n"] for chunk in shown["chunks"]) == 6000


def test_rows_out_of_order_are_put_in_order_and_said(files, drift, tmp_path):
    reference, current, _ = files
    lines = current.read_text().splitlines()
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    _, straight, _ = drift(reference, current, "--chunk", "1000")
    _, shown, said = drift(reference, mixed, "--chunk", "1000")
    assert [chunk["estimated"]["accuracy"] for chunk in shown["chunks"]] == pytest.approx(
        [chunk["estimated"]["accuracy"] for chunk in straight["chunks"]]
    )
    assert "5999 rows are older than the row before them" in said


def test_csv_and_parquet_say_the_same(tmp_path, drift):
    reference, current = model_rows(1, 3000), model_rows(2, 1000)
    found = []
    for end in ("csv", "parquet"):
        one, other = write(tmp_path / f"r.{end}", reference), write(tmp_path / f"c.{end}", current)
        found.append(drift(one, other)[1]["chunks"][0])
    assert found[0] == found[1]


def test_numbers_are_predicted(tmp_path, drift):
    def rows(seed, n, noise):
        rng = np.random.default_rng(seed)
        x = rng.normal(0, 1, n)
        return {"x": x, "prediction": 3 * x + 10, "target": 3 * x + 10 + rng.normal(0, noise, n)}

    reference = write(tmp_path / "r.csv", rows(1, 4000, 1.0))
    current = rows(2, 2000, np.where(np.arange(2000) < 1000, 1.0, 1.6))
    _, shown, _ = drift(reference, write(tmp_path / "c.csv", current), "--chunk", "1000")
    assert shown["columns"]["task"] == "regression"
    first, second = shown["chunks"]
    assert first["estimated"]["mae"] == pytest.approx(0.8, abs=0.05)
    assert first["realised"]["rmse"] == pytest.approx(1.0, abs=0.08)
    assert not first["performance_alarm"]
    assert second["performance_alarm"]
    assert second["moved"] == ["concept"]


def test_several_classes_have_an_accuracy(tmp_path, drift):
    def rows(seed, n, right):
        rng = np.random.default_rng(seed)
        said = rng.choice(["cat", "dog", "owl"], n)
        truth = np.where(rng.random(n) < right, said, "cow")
        return {"size": rng.normal(size=n), "prediction": said, "label": truth}

    reference = write(tmp_path / "r.csv", rows(1, 3000, 0.9))
    _, shown, _ = drift(reference, write(tmp_path / "c.csv", rows(2, 1000, 0.7)))
    assert shown["columns"]["task"] == "classes"
    assert shown["chunks"][0]["estimated"]["accuracy"] == pytest.approx(0.9, abs=0.03)
    assert shown["chunks"][0]["realised"]["accuracy"] == pytest.approx(0.7, abs=0.04)
    assert shown["chunks"][0]["performance_alarm"]


def test_the_class_that_scores_speak_for_is_the_positive_one(drift, tmp_path):
    paths = []
    for name, seed in (("r", 1), ("c", 2)):
        rows = model_rows(seed, 3000)
        named = {key: np.where(rows[key] == 1, "bad", "ok") for key in ("prediction", "target")}
        paths.append(write(tmp_path / f"{name}.parquet", {**rows, **named}))
    _, shown, said = drift(*paths)
    assert shown["columns"]["positive"] == "bad"
    assert "'bad' is taken as the positive class, for scores are higher where it is predicted" in said


def test_a_score_that_is_confidence_is_turned_and_said(files, drift, tmp_path):
    plain, turned = {}, {}
    for name, seed in (("r", 1), ("c", 2)):
        rows = model_rows(seed, 3000)
        plain[name] = write(tmp_path / f"{name}.parquet", rows)
        score = np.where(rows["prediction"] == 1, rows["score"], 1 - rows["score"])
        turned[name] = write(tmp_path / f"{name}-turned.parquet", {**rows, "score": score})
    _, one, _ = drift(plain["r"], plain["c"])
    _, other, said = drift(turned["r"], turned["c"])
    assert "how sure the model is of its prediction" in said
    assert other["chunks"][0]["realised"]["auc"] == pytest.approx(one["chunks"][0]["realised"]["auc"])


def test_segments_are_judged_against_their_own_past(tmp_path, drift):
    reference, current = model_rows(1, 8000), model_rows(2, 4000)
    worse = (current["plan"] == "pro") & (np.arange(4000) % 2 == 0)
    current["target"] = np.where(worse, 1 - current["target"], current["target"])
    _, shown, _ = drift(write(tmp_path / "r.csv", reference), write(tmp_path / "c.csv", current), "--segment", "plan")
    found = {each["value"]: each for each in shown["chunks"][0]["segments"]}
    assert {name: each["performance_alarm"] for name, each in found.items()} == {
        "basic": False, "pro": True, "trial": False,
    }  # fmt: skip
    assert any(reason.startswith("plan pro: realised accuracy") for reason in shown["chunks"][0]["reasons"])
    assert sum(each["n"] for each in found.values()) == 4000


def test_without_a_model_features_alone_are_compared(tmp_path, drift):
    reference, current = model_rows(1, 3000), model_rows(2, 1000, 0.6)
    names = ("prediction", "score", "target")
    _, shown, _ = drift(
        write(tmp_path / "r.csv", without(reference, *names)), write(tmp_path / "c.csv", without(current, *names))
    )
    chunk = shown["chunks"][0]
    assert chunk["estimated"] is chunk["realised"] is chunk["prediction"] is None
    assert chunk["alarm"]
    assert [each["name"] for each in chunk["features"] if each["alarm"]] == ["age", "plan"]
    assert not chunk["performance_alarm"]


def test_calm_files_raise_nothing(tmp_path, drift):
    reference = write(tmp_path / "r.csv", model_rows(1, 6000))
    current = write(tmp_path / "c.csv", model_rows(5, 10_000))
    _, shown, _ = drift(reference, current, "--chunk", "500")
    assert [chunk["index"] for chunk in shown["chunks"] if chunk["alarm"]] == []


def test_people_get_a_table(files, drift):
    reference, current, truth = files
    result, _, said = drift(reference, current, "--truth", truth, "--id", "id", "--chunk", "1000", as_json=False)
    lines = result.stdout.splitlines()
    assert lines[0].split("\t")[:5] == ["chunk", "start", "rows", "estimated accuracy", "interval"]
    assert [line.split("\t")[-1] for line in lines[1:7]] == ["", "", "", "", "alarm", "alarm"]
    assert lines[8] == "chunk\twhy"
    assert lines[9].startswith("4\testimated accuracy 0.")
    assert "6 chunks, 2 with an alarm (4, 5)" in said


def test_a_shift_of_predictions_needs_no_labels_and_small_chunks_raise_nothing(tmp_path, drift):
    """KL on 20 bins of the reference is shown with its scale of 0.1; the decision is a test, also where bins are empty."""
    reference = {"score": model_rows(1, 6000)["score"]}
    moved = {"score": np.clip(model_rows(2, 1000)["score"] * 0.5, 0, 1)}
    outside = {"score": np.full(200, 1.0)}
    calm = {"score": model_rows(4, 2000)["score"]}
    one = write(tmp_path / "r.csv", reference)
    chunk = drift(one, write(tmp_path / "moved.csv", moved))[1]["chunks"][0]
    assert chunk["prediction"]["kl"] > 0.1
    assert chunk["prediction"]["alarm"]
    assert chunk["alarm"]
    assert drift(one, write(tmp_path / "outside.csv", outside))[1]["chunks"][0]["alarm"], "no number is no excuse"
    shown = drift(one, write(tmp_path / "calm.csv", calm), "--chunk", "50")[1]["chunks"]
    assert sum(chunk["prediction"]["kl"] > 0.1 for chunk in shown) > 20, "the scale alone would call most of them"
    assert not any(chunk["alarm"] for chunk in shown)
