"""Bad input of `tocsin drift`: each has a defined result, and an error names the place and the nearest right name."""

import numpy as np
import pytest

from drift_world import model_rows, without, write


@pytest.fixture
def pair(tmp_path):
    """Write a reference and a current file, each with some columns replaced."""

    def make(current=None, reference=None, end="csv", n=1000):
        one = {**model_rows(1, 3000), **(reference or {})}
        other = {**model_rows(2, n), **(current or {})}
        return write(tmp_path / f"r.{end}", one), write(tmp_path / f"c.{end}", other)

    return make


def _calm(shown):
    return [chunk["index"] for chunk in shown["chunks"] if chunk["performance_alarm"]] == []


def test_text_in_a_column_of_numbers_is_counted_not_fatal(pair, drift):
    age = model_rows(2, 1000)["age"].astype("U8")
    age[:400] = "abc"
    _, shown, said = drift(*pair({"age": age}))
    feature = next(each for each in shown["chunks"][0]["features"] if each["name"] == "age")
    assert feature["alarm"]
    assert "c.csv:2: column 'age': 'abc' is no number; 400 such cells count as missing" in said
    assert shown["chunks"][0]["estimated"]["accuracy"] > 0.5


def test_text_in_a_score_names_file_line_and_column(pair, drift):
    score = model_rows(2, 1000)["score"].astype("U8")
    score[41] = "high"
    result, _, said = drift(*pair({"score": score}))
    assert result.exit_code != 0
    assert "c.csv:43: column 'score': 'high' is not a number" in said


def test_a_column_without_any_value(pair, drift):
    _, shown, _ = drift(*pair({"age": np.full(1000, np.nan)}))
    chunk = shown["chunks"][0]
    age = next(each for each in chunk["features"] if each["name"] == "age")
    assert age["alarm"]
    assert age["psi"] is None
    assert chunk["estimated"]["unknown_share"] == pytest.approx(1.0)
    assert chunk["alarm"], "the reference knows nothing of such rows, so the estimate does not answer for them"
    assert "age: 1,000 of 1,000 rows hold no value; 0 would be usual" in chunk["reasons"]
    _, shown, _ = drift(*pair({"age": np.full(1000, np.nan)}, {"age": np.full(3000, np.nan)}))
    assert not shown["chunks"][0]["alarm"]
    assert shown["chunks"][0]["estimated"]["unknown_share"] < 0.01


def test_a_column_with_one_value(pair, drift):
    _, shown, _ = drift(*pair({"site": np.full(1000, "a")}, {"site": np.full(3000, "a")}))
    assert not shown["chunks"][0]["alarm"]
    _, shown, _ = drift(*pair({"site": np.full(1000, "b")}, {"site": np.full(3000, "a")}))
    site = next(each for each in shown["chunks"][0]["features"] if each["name"] == "site")
    assert site["alarm"]
    assert site["psi"] == 0.0
    assert not shown["chunks"][0]["performance_alarm"]


def test_one_row(pair, drift):
    reference, current = pair(n=1)
    _, shown, _ = drift(reference, current)
    chunk = shown["chunks"][0]
    assert chunk["n"] == 1
    assert not chunk["alarm"]
    assert chunk["realised"]["accuracy"] in (0.0, 1.0)
    assert chunk["estimated"]["interval"]["accuracy"] == [0.0, 1.0], "a single row says nothing"
    assert "1 row" in chunk["features"][0]["reason"]


def test_a_reference_too_small_to_estimate_by_is_said(tmp_path, drift):
    one, other = write(tmp_path / "r.csv", model_rows(1, 60)), write(tmp_path / "c.csv", model_rows(2, 500))
    _, shown, said = drift(one, other)
    assert "the reference has 60 rows with prediction and truth, 100 are needed" in said
    assert shown["chunks"][0]["estimated"] is None
    assert shown["chunks"][0]["realised"]["accuracy"] > 0.5
    assert _calm(shown)


def test_a_million_categories(tmp_path, drift):
    n = 1_000_000
    rng = np.random.default_rng(3)
    names = np.char.add("user-", np.arange(n).astype("U7"))
    one = {"user": rng.permutation(names), "score": rng.random(n), "target": rng.integers(0, 2, n)}
    other = {"user": rng.permutation(names)[:50_000], "score": rng.random(50_000), "target": rng.integers(0, 2, 50_000)}
    _, shown, _ = drift(write(tmp_path / "r.parquet", one), write(tmp_path / "c.parquet", other))
    assert not shown["chunks"][0]["alarm"]
    assert shown["chunks"][0]["features"][0]["name"] == "user"


def test_missing_columns_name_the_nearest(pair, drift, tmp_path):
    reference, _ = pair()
    rows = model_rows(2, 100)
    current = write(tmp_path / "c.csv", {**without(rows, "age"), "aged": rows["age"]})
    result, _, said = drift(reference, current)
    assert result.exit_code != 0
    assert "c.csv:1: no column 'age', which the reference has: did you mean 'aged'?" in said
    for option in ("--time", "--prediction", "--score", "--target", "--id", "--segment"):
        _, _, said = drift(reference, pair()[1], option, "plam" if option == "--segment" else "scor")
        assert f"for {option}: did you mean" in said, said


def test_two_columns_that_could_be_the_score(pair, drift):
    reference, current = pair({"probability": np.full(1000, 0.5)}, {"probability": np.full(3000, 0.5)})
    result, _, said = drift(reference, current)
    assert result.exit_code != 0
    assert "'score' and 'probability' could both be the score; name one with --score" in said
    _, shown, _ = drift(reference, current, "--score", "score")
    assert shown["columns"]["features"] == ["age", "plan", "probability"]
    _, shown, _ = drift(reference, current, "--score", "")
    assert shown["columns"]["score"] is None


def test_empty_files_and_wrong_kinds(pair, drift, tmp_path):
    reference, current = pair()
    for text, told in (("", "is empty; the first line must name the columns"), ("age,plan\n", "there are no rows")):
        odd = tmp_path / "odd.csv"
        odd.write_text(text)
        for files in ((reference, odd), (odd, current)):
            result, _, said = drift(*files)
            assert result.exit_code != 0
            assert f"odd.csv:{1 if not text else 2}: {told}" in said
    for name, told in (("nowhere.csv", "there is no such file"), ("odd.xlsx", "neither .csv nor .parquet")):
        assert told in drift(reference, tmp_path / name)[2]


@pytest.mark.parametrize(
    ("chunk", "told"),
    [
        ("0", "neither a number of rows"),
        ("1y", "neither a number of rows"),
        ("-5", "neither"),
        ("1s", "chunks are more"),
    ],
)
def test_chunks_that_make_no_sense(pair, drift, chunk, told):
    result, _, said = drift(*pair(n=11_000), f"--chunk={chunk}")
    assert result.exit_code != 0
    assert told in said


def test_a_span_of_time_without_times(tmp_path, drift):
    one, other = (write(tmp_path / f"{k}.csv", without(model_rows(k, 300), "time")) for k in (1, 2))
    assert "name their column with --time" in drift(one, other, "--chunk", "1d")[2]


def test_a_time_that_is_none_names_its_line(pair, drift):
    time = model_rows(2, 1000)["time"].astype("U20")
    time[9] = "yesterday"
    _, _, said = drift(*pair({"time": time}), "--time", "time")
    assert "c.csv:11: column 'time': 'yesterday' is not a time" in said


def test_truth_that_does_not_fit_is_counted_and_said(pair, drift, tmp_path):
    reference, current = pair()
    rows = model_rows(2, 1000)
    ids = np.concatenate([rows["id"][:600], [7, 8, 9], rows["id"][:5]])
    target = np.concatenate([rows["target"][:600].astype(float), [1, 1, 0], 1.0 - rows["target"][:5]])
    target[599] = np.nan
    when = np.concatenate([rows["time"][:600] + np.timedelta64(3600, "s"), rows["time"][:8]])
    when[100:110] = rows["time"][0] - np.timedelta64(60, "s")
    truth = write(tmp_path / "t.csv", {"id": ids, "target": target, "time": when})
    _, shown, said = drift(reference, current, "--truth", truth, "--id", "id", "--target", "target")
    assert shown["truth"] == {
        "file": str(truth), "unknown_ids": 3, "repeated_ids": 5, "repeated_predictions": 0, "empty": 1,
        "waiting": 401, "before_prediction": 10,
    }  # fmt: skip
    assert shown["chunks"][0]["realised"]["n"] == 599
    assert shown["chunks"][0]["realised"]["coverage"] == pytest.approx(0.599)
    for text in (
        "3 rows of truth have an id that no prediction has",
        "10 rows of truth are older",
        "401 predictions have no truth yet",
    ):
        assert text in said


def test_truth_of_nobody(pair, drift, tmp_path):
    reference, current = pair()
    truth = write(tmp_path / "t.csv", {"id": np.array([1, 2, 3]), "target": np.array([1, 0, 1])})
    _, shown, said = drift(reference, current, "--truth", truth, "--id", "id")
    assert shown["chunks"][0]["realised"] is None
    assert "3 rows of truth have an id that no prediction has" in said


def test_truth_that_can_not_be_joined(pair, drift, tmp_path):
    reference, current = pair()
    truth = write(tmp_path / "t.csv", {"key": np.array([1, 2]), "target": np.array([1, 0])})
    _, _, said = drift(reference, current, "--truth", truth)
    assert "name it with --id" in said
    _, _, said = drift(reference, current, "--truth", truth, "--id", "id")
    assert "t.csv:1: no column 'id' for --id" in said


def test_rows_without_a_prediction_take_no_part_and_are_counted(pair, drift):
    score = model_rows(2, 1000)["score"]
    score[:300] = np.nan
    _, shown, said = drift(*pair({"score": score}))
    assert shown["chunks"][0]["estimated"]["n"] == 700
    assert "300 rows without a prediction" in said


def test_a_class_that_the_reference_never_had(pair, drift):
    said = model_rows(2, 1000)["prediction"].astype("U5")
    said[:500] = "maybe"
    _, shown, _ = drift(*pair({"prediction": said}))
    assert shown["chunks"][0]["n"] == 1000
    assert shown["chunks"][0]["performance_alarm"]


def test_the_page_that_can_not_be_written(pair, drift, tmp_path):
    result, _, said = drift(*pair(), "--html", tmp_path / "no" / "such.html")
    assert result.exit_code != 0
    assert "--html:" in said


def test_scores_outside_0_to_1_count_as_missing_where_the_reference_has_none(pair, drift):
    score = model_rows(2, 1000)["score"]
    score[:40] = -999.0
    _, shown, said = drift(*pair({"score": score}))
    assert "40 scores lie outside 0 to 1" in said
    assert shown["chunks"][0]["estimated"]["n"] == shown["chunks"][0]["realised"]["n"] == 960
    margin = 10 * model_rows(2, 1000)["score"] - 5
    _, shown, said = drift(*pair({"score": margin}, {"score": 10 * model_rows(1, 3000)["score"] - 5}))
    assert "squeezed into it by its rank" in said
    assert shown["chunks"][0]["realised"]["auc"] > 0.8
    assert not shown["chunks"][0]["performance_alarm"]


def test_infinite_and_huge_numbers(pair, drift):
    age = model_rows(2, 1000)["age"]
    age[:3] = [np.inf, -np.inf, 1e308]
    _, shown, _ = drift(*pair({"age": age}, end="parquet"))
    assert shown["chunks"][0]["estimated"]["accuracy"] > 0.5
    assert not shown["chunks"][0]["performance_alarm"]
