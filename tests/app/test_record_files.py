"""Files of records: which column is what, and what becomes of a cell."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tocsin.app.record_files import columns_of, rows_of
from tocsin.model.errors import BadInput


def csv_of(tmp_path, text):
    path = tmp_path / "r.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def made(path, asked=None, tags=(), base=None):
    columns = columns_of(path, asked or {}, tags)
    return [columns.record(row, base or {}) for row in rows_of(path)]


def test_columns_are_found_by_their_names_and_the_rest_are_features(tmp_path):
    path = csv_of(
        tmp_path, "Prediction-ID,timestamp,y_pred,score,age,plan,region,clicked\n007,1700000000,yes,0.5,41,,eu,true\n"
    )
    columns = columns_of(path, {}, ["region"])
    assert columns.to_json() == {
        "prediction_id": "Prediction-ID", "time": "timestamp", "prediction": "y_pred", "score": "score", "feedback": "clicked",
        "tags": ["region"], "features": ["age", "plan"],
        "inferred": ["prediction_id", "time", "prediction", "score", "feedback"],
    }  # fmt: skip
    assert made(path, tags=["region"], base={"model": "churn"}) == [
        {
            "model": "churn", "prediction_id": "007", "time": 1700000000, "prediction": "yes", "score": 0.5,
            "features": {"age": 41, "plan": None}, "tags": {"region": "eu"}, "feedback": {"clicked": True},
        }
    ]  # fmt: skip


def test_truth_alone_is_no_prediction(tmp_path):
    path = csv_of(tmp_path, "id,actual,note\n1,0,x\n2,,y\n")
    assert made(path) == [{"prediction_id": "1", "truth": 0}, {"prediction_id": "2"}]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("1700000000", 1700000000), ("1700000000123", 1700000000.123), ("1700000000123456", 1700000000.123456),
        ("1700000000000000000", 1700000000.0), ("2026-01-02", "2026-01-02T00:00:00+00:00"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05+00:00"), ("2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+02:00"),
        ("yesterday", "yesterday"),
    ],
)  # fmt: skip
def test_times(tmp_path, given, found):
    assert made(csv_of(tmp_path, f"id,time,score\n1,{given},1\n"))[0]["time"] == found


def test_parquet_keeps_its_types(tmp_path):
    path = tmp_path / "r.parquet"
    at = datetime(2026, 1, 2, tzinfo=UTC)
    table = {
        "id": [1, 2],
        "time": [at, at],
        "score": [0.5, float("nan")],
        "prediction": ["1", None],
        "v": [[1.0], [float("inf")]],
    }
    pq.write_table(pa.table(table), path)
    first, second = made(path)
    assert first == {
        "prediction_id": "1",
        "time": at.isoformat(),
        "score": 0.5,
        "prediction": 1,
        "features": {"v": [1.0]},
    }
    assert second == {"prediction_id": "2", "time": at.isoformat()}


@pytest.mark.parametrize(
    ("text", "asked", "message"),
    [
        ("id,uuid,score\n", {}, "could both be the prediction_id; name one with --prediction-id"),
        ("id,score\n", {"truth": "actuall"}, "no column 'actuall'"),
        ("id,id\n", {}, "each once"), ("", {}, "each once"), (b"\xff\xfe", {}, "not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, text, asked, message):
    with pytest.raises(BadInput, match=message):
        columns_of(csv_of(tmp_path, text), asked, [])


def test_what_is_wrong_further_down_is_said(tmp_path):
    with pytest.raises(BadInput, match=r"r\.csv:3: 1 cells under 2 columns"):
        list(rows_of(csv_of(tmp_path, "id,score\n1,2\n3\n")))
    with pytest.raises(BadInput, match="not UTF-8"):
        list(rows_of(csv_of(tmp_path, b"id,score\n1,\xff\n")))
    (tmp_path / "r.parquet").write_text("no")
    with pytest.raises(BadInput, match="can't be read"):
        columns_of(tmp_path / "r.parquet", {}, [])
    with pytest.raises(BadInput, match=r"\.csv and \.parquet"):
        columns_of(tmp_path / "r.xlsx", {}, [])
    with pytest.raises(BadInput, match="can't be read"):
        columns_of(tmp_path / "none.csv", {}, [])


def test_nobody_need_have_an_id(tmp_path):
    path = csv_of(tmp_path, "id,score\n1,0.5\n")
    assert made(path, {"prediction_id": ""}) == [{"score": 0.5, "features": {"id": 1}}]
