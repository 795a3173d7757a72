"""Files as people have them: each is read rightly, or refused with its place and the next step."""

import gzip
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drift_world import model_rows, without, write

N = 1200


def _cell(value, mark, comma):
    text = str(value).replace(".", ",") if comma and isinstance(value, float) else str(value)
    text = text.replace('"', '""')
    return f'"{text}"' if mark in text or '"' in text else text


def _text(path, columns, mark=",", *, encoding="utf-8", comma=False):
    rows = zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True)
    lines = [mark.join(columns), *(mark.join(_cell(value, mark, comma) for value in row) for row in rows)]
    raw = ("\n".join(lines) + "\n").encode(encoding)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.fixture(scope="module")
def two():
    made = [model_rows(1, N), model_rows(2, N, 0.3)]
    return [{**rows, "time": rows["time"].astype("U20")} for rows in made]


@pytest.fixture(scope="module")
def plain(two, tmp_path_factory):
    place = tmp_path_factory.mktemp("plain")
    return [_text(place / f"{name}.csv", rows) for name, rows in zip("rc", two, strict=True)]


def _same(shown, expected):
    one, other = shown["chunks"][0], expected["chunks"][0]
    assert (one["realised"], one["estimated"]) == (other["realised"], other["estimated"])
    assert [each["psi"] for each in one["features"]] == [each["psi"] for each in other["features"]]


@pytest.mark.parametrize(
    ("end", "options"),
    [
        ("csv", {"mark": ";"}),
        ("csv", {"mark": ";", "comma": True}),
        ("tsv", {"mark": "\t"}),
        ("csv", {"mark": "|"}),
        ("csv", {"encoding": "utf-8-sig"}),
        ("csv.gz", {}),
        ("csv.gz", {"mark": ";", "encoding": "utf-8-sig"}),
    ],
)
def test_every_spelling_of_a_table_says_the_same(two, plain, drift, tmp_path, end, options):
    paths = [_text(tmp_path / f"{name}.{end}", rows, **options) for name, rows in zip("rc", two, strict=True)]
    _, shown, said = drift(*paths)
    _same(shown, drift(*plain)[1])
    assert ("commas are read as decimal points" in said) == ("comma" in options)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda time: time.replace("T", " "),
        lambda time: f"{time}Z",
        lambda time: f"{time}+00:00",
        lambda time: str(np.datetime64(time, "ms").astype("i8")),
        lambda time: str(np.datetime64(time, "s").astype("i8")),
    ],
)
def test_every_spelling_of_time_says_the_same(two, plain, drift, tmp_path, spelled):
    current = {**two[1], "time": np.array([spelled(str(each)) for each in two[1]["time"]])}
    _, shown, _ = drift(plain[0], _text(tmp_path / "c.csv", current), "--chunk", "6h")
    _, expected, _ = drift(*plain, "--chunk", "6h")
    assert [chunk["start"] for chunk in shown["chunks"]] == [chunk["start"] for chunk in expected["chunks"]]
    _same(shown, expected)


def test_times_that_are_none_are_told_why(two, plain, drift, tmp_path):
    odd = np.array([f"{each[5:7]}/{each[8:10]}/{each[:4]} {each[11:]}" for each in two[1]["time"]])
    current = _text(tmp_path / "c.csv", {**two[1], "time": odd})
    _, shown, said = drift(plain[0], current)
    told = "it is called like a time, and '03/01/2026 00:00:00' is not a time; write RFC 3339"
    assert told in shown["columns"]["left_out"]["time"]
    assert told in said
    result, _, said = drift(plain[0], current, "--chunk", "1d")
    assert result.exit_code != 0
    assert f"--chunk: a span of time needs times; column 'time': {told}" in said


def test_refusals_name_the_next_step(plain, drift, tmp_path, two):
    odd = tmp_path / "latin.csv"
    _text(odd, {**two[1], "town": np.full(N, "Köln")}, encoding="latin-1")
    wide = _text(tmp_path / "wide.csv", two[1], encoding="utf-16")
    fake = tmp_path / "fake.csv.gz"
    fake.write_bytes(b"age,plan\n1,2\n")
    double = tmp_path / "double.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1.0] * 50), pa.array([2.0] * 50)], names=["a", "a"]), double)
    same = tmp_path / "same.csv"
    same.write_text("age, age\n1,2\n")
    for path, told in (
        (odd, "latin.csv: is not UTF-8 text; convert it, as with iconv"),
        (wide, "wide.csv: is not UTF-8 text; convert it"),
        (fake, "fake.csv.gz: is no gzip file"),
        (double, "double.parquet:1: two columns are called 'a'"),
        (same, "same.csv:1: two columns are called 'age'"),
        (tmp_path, "is a directory; name a file in it"),
        (tmp_path / "book.xlsx", "save it as CSV"),
    ):
        result, _, said = drift(plain[0], path)
        assert result.exit_code != 0
        assert told in said, said


def test_names_differ_by_case_blanks_and_composition(two, drift, tmp_path):
    one = _text(tmp_path / "r.csv", {f" {name}": values for name, values in two[0].items()})
    _, shown, _ = drift(one, _text(tmp_path / "c.csv", two[1]))
    assert shown["columns"]["features"] == ["age", "plan"], "blanks around names are none of them"
    named = {"âge du client 🙂": two[0]["age"], **without(two[0], "age")}
    apart = {unicodedata.normalize("NFD", "âge du client 🙂"): two[1]["age"], **without(two[1], "age")}
    _, shown, _ = drift(_text(tmp_path / "r.csv", named), _text(tmp_path / "c.csv", apart), "--segment", "plan")
    assert "âge du client 🙂" in shown["columns"]["features"]
    loud = _text(tmp_path / "r.csv", {name.upper(): values for name, values in two[0].items()})
    _, _, said = drift(loud, _text(tmp_path / "c.csv", two[1]))
    assert "no column 'TIME', which the reference has: did you mean 'time'?" in said


def test_empty_columns_and_nameless_ones(two, drift, tmp_path):
    paths = [
        _text(tmp_path / f"{name}.csv", {"": np.arange(N), **rows, "x": np.full(N, ""), "y2": np.full(N, "NA")})
        for name, rows in zip("rc", two, strict=True)
    ]
    _, shown, _ = drift(*paths)
    assert not shown["chunks"][0]["quality_alarm"], "what is empty in both is as promised"
    paths = [write(tmp_path / f"{name}.parquet", rows) for name, rows in zip("rc", two, strict=True)]
    for path in paths:
        pq.write_table(pq.read_table(path).append_column("x", pa.nulls(N)), path)
    _, shown, _ = drift(*paths)
    assert not shown["chunks"][0]["quality_alarm"]


@pytest.mark.parametrize(
    ("predicted", "true"),
    [
        (["0.0", "1.0"], ["False", "True"]),
        (["no", "yes"], ["0", "1"]),
        (["0.0", "1.0"], ["0", "1"]),
        (["f", "t"], ["neg", "pos"]),
    ],
)
def test_yes_in_two_spellings_is_the_same_yes(two, plain, drift, tmp_path, predicted, true):
    paths = [
        _text(
            tmp_path / f"{name}.csv",
            {**rows, "prediction": np.take(predicted, rows["prediction"]), "target": np.take(true, rows["target"])},
        )
        for name, rows in zip("rc", two, strict=True)
    ]
    _, shown, said = drift(*paths)
    _same(shown, drift(*plain)[1])
    assert ("both are read as no (0) and yes (1)" in said) == (true != ["0", "1"] or predicted[0] == "no")


def test_predictions_that_are_never_the_truth_are_refused(two, drift, tmp_path):
    paths = [
        _text(tmp_path / f"{name}.csv", {**rows, "target": np.take(["good", "bad"], rows["target"])})
        for name, rows in zip("rc", two, strict=True)
    ]
    result, _, said = drift(*paths)
    assert result.exit_code != 0
    assert "predictions say '0', '1' and truths 'bad', 'good', which are never the same" in said


def test_a_tables_own_count_of_rows_is_no_feature(two, plain, drift, tmp_path):
    for name in ("", "Unnamed: 0"):
        _, shown, _ = drift(_text(tmp_path / "r.csv", {name: np.arange(N), **two[0]}), plain[1])
        assert shown["columns"]["left_out"] == {name: "its values tell rows apart, nothing else"}
        _same(shown, drift(*plain)[1])


def test_what_the_model_said_is_no_truth(plain, drift):
    result, _, said = drift(*plain, "--target", "prediction")
    assert result.exit_code != 0
    assert "--target: 'prediction' is what the model said; name the column of what came true" in said
