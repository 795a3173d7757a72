"""Inference records through a real server: the SDK logs, the server joins, the export gives them out."""

import json

import pytest

from system.server import until
from tocsin.sdk.client import Client


@pytest.fixture(scope="module")
def server(make_server):
    return make_server()


def test_what_the_sdk_logs_is_exported_joined(server):
    client = Client(server.url, linger_s=0.01)
    client.truth("r-2", "left")
    client.log(prediction_id="r-1", model="churn", version="3", prediction="stays", score=0.9, features={"age": 41},
               tags={"region": "eu"}, embedding=[0.5, 0.25], attributions={"age": 0.7})  # fmt: skip
    client.log_bulk({"prediction_id": ["r-2"], "age": [52], "prediction": ["stays"]}, model="churn", version="3")
    client.feedback("r-1", clicked=True)
    assert client.flush(30)
    assert client.stats()["sent"] == 4
    client.truth("r-1", "stays")
    assert client.close(30)

    def joined():
        found = [row for row in server.export("records") if row["prediction_id"] in {"r-1", "r-2"} and row["truth"]]
        return found if len(found) == 2 else []

    first, second = sorted(until(joined, 60), key=lambda row: row["prediction_id"])
    assert (first["prediction"], first["truth"], first["feedback"]) == ("stays", "stays", {"clicked": True})
    assert (first["embedding"], first["attributions"], first["tags"]) == ([0.5, 0.25], {"age": 0.7}, {"region": "eu"})
    assert (second["features"], second["truth"], second["feedback"]) == ({"age": 52}, "left", None)


def test_what_came_of_a_prediction_comes_back_to_the_engine(server):
    client = Client(server.url, linger_s=0.01)
    client.feedback("f-1", clicked=False)
    client.log(prediction_id="f-1", model="ranker", version="1", score=0.5)
    assert client.flush(30)
    client.feedback("f-1", clicked=True)
    assert client.close(30)
    name = "tocsin_ingest_accepted_rows_total"
    assert until(lambda: server.metric(name, source="outcomes", kind="records") >= 2, 30), server.log()
    assert until(lambda: server.metric("tocsin_cold_records_joined_total") >= 2)
    stored = until(lambda: [row for row in server.export("records") if row["prediction_id"] == "f-1"])
    assert [row["feedback"] for row in stored] == [{"clicked": True}], (
        "outcomes are not stored beside what they are made of"
    )


def test_a_file_is_imported_and_its_rows_are_acknowledged(server, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("id,model_name,y_pred,age,region\ni-1,churn,yes,41,eu\ni-2,churn,no,,us\n")
    done = server.run("import", "records", str(path), "--tag", "region", "--json")
    answer = json.loads(done.stdout)
    assert (answer["accepted"], answer["rejected"], answer["columns"]["features"]) == (2, 0, ["age"])
    path.write_text("id,actual\ni-1,no\n,yes\n")
    done = server.run("import", "records", str(path), check=False)
    assert (done.returncode, b"1 rows taken, 1 refused" in done.stderr) == (2, True), done.stderr
    rows = until(lambda: [row for row in server.export("records") if row["prediction_id"] == "i-1" and row["truth"]])
    assert (rows[0]["prediction"], rows[0]["truth"], rows[0]["tags"]) == ("yes", "no", {"region": "eu"})
