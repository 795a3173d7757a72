"""The SDK against a server that answers, refuses, is slow, is busy or is not there."""

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest

from tocsin import sdk
from tocsin.sdk import rows as rows_module
from tocsin.sdk.client import Client


class Server:
    """Answers as told, one answer a request (the last one ever after); keeps the rows that it took."""

    def __init__(self, *answers):
        self.answers = list(answers) or [200]
        self.rows, self.headers, self.requests = [], [], 0
        self.hold = threading.Event()
        self.hold.set()
        mine = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                mine.requests += 1
                mine.headers.append(dict(self.headers))
                assert self.path == "/v1/records"
                mine.hold.wait(20)
                status = mine.answers.pop(0) if len(mine.answers) > 1 else mine.answers[0]
                status, *more = status if isinstance(status, tuple) else (status,)
                if status == 200:
                    mine.rows += [json.loads(line) for line in body.splitlines()]
                text = json.dumps({"accepted": 1, "rejected": more[1] if more[1:] else 0, "message": "m"}).encode()
                self.send_response(status)
                if more and more[0]:
                    self.send_header("Retry-After", more[0])
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@contextmanager
def pair(*answers, **options):
    server = Server(*answers)
    client = Client(server.url, "k-1", linger_s=0.01, **options)
    try:
        yield server, client
    finally:
        client.close(0.0)
        server.close()


def test_everything_that_is_logged_arrives_with_its_time_and_the_key():
    with pair() as (server, client):
        features = {"age": 41, "plan": "pro", "gone": None}
        client.log(prediction_id="1", model="churn", version="3", prediction={"label": "stays"}, score=0.9,
                   features=features, tags={"region": "eu", "vip": True, "set": {1}}, embedding=(1, 2.5),
                   attributions={"age": 0.5}, attention=[0.5, 0.5])  # fmt: skip
        features["age"] = 42
        client.truth("1", 0)
        client.feedback("1", clicked=True, rating=4)
        client.feedback("1", False, time="2026-11-22T00:00:00Z")
        assert client.flush(20)
        assert client.stats() == {
            "logged": 4, "sent": 4, "spilled": 0, "refused": 0, "failed": 0, "errors": 0, "waiting": 0,
        }  # fmt: skip
        first, truth, named, single = server.rows
        assert first.pop("time") > 1.7e9
        assert first == {
            "prediction_id": "1", "model": "churn", "version": "3", "prediction": {"label": "stays"}, "score": 0.9,
            "features": {"age": 41, "plan": "pro", "gone": None}, "tags": {"region": "eu", "vip": True, "set": "[1]"},
            "embedding": [1, 2.5], "attributions": {"age": 0.5}, "attention": [0.5, 0.5],
        }  # fmt: skip
        assert (truth["kind"], truth["prediction_id"], truth["truth"]) == ("truth", "1", 0)
        assert named["feedback"] == {"clicked": True, "rating": 4}
        assert (single["feedback"], single["time"]) == (False, "2026-11-22T00:00:00Z")
        assert server.headers[0]["Authorization"] == "Bearer k-1"


def test_many_rows_share_a_request():
    with pair(batch_rows=100) as (server, client):
        server.hold.clear()
        for n in range(250):
            client.log(prediction_id=str(n))
        server.hold.set()
        assert client.flush(20)
        assert sorted(int(row["prediction_id"]) for row in server.rows) == list(range(250))
        assert server.requests <= 4


def test_what_helps_is_tried_again_and_retry_after_is_heard():
    with pair(503, (429, "0.2"), (500, "Sat, 01 Jan 2028 00:00:00 GMT"), 200) as (server, client):
        client.log(prediction_id="1")
        assert client.flush(20)
        assert (server.requests, len(server.rows), client.stats()["sent"]) == (4, 1, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415])
def test_what_does_not_help_is_not_tried_again(status, caplog):
    with pair(status) as (server, client), caplog.at_level(logging.WARNING, "tocsin.sdk"):
        client.log(prediction_id="1")
        client.flush(20)
        client.log(prediction_id="2")
        assert client.flush(20)
        assert (server.requests, client.stats()["refused"], client.stats()["sent"]) == (2, 2, 0)
    assert len(caplog.records) == 1, "a logger that warns for each row is a fault of its own"
    assert str(status) in caplog.text


def test_rows_that_the_server_refuses_one_by_one_are_counted():
    with pair((200, None, 1)) as (_, client):
        client.log(prediction_id="1")
        client.log(score=2)
        assert client.flush(20)
        assert (client.stats()["sent"], client.stats()["refused"]) == (1, 1)


def test_without_a_server_nothing_blocks_and_all_is_counted():
    client = Client("http://127.0.0.1:1", most_rows=100, linger_s=0.0, keep_trying_s=1e9)
    for n in range(1_000):
        client.log(prediction_id=str(n))
    found = client.stats()
    assert found["logged"] + found["spilled"] == 1_000
    assert found["spilled"] >= 1_000 - 201
    assert not client.flush(0.01)
    assert not client.close(0.3)
    found = client.stats()
    assert found["failed"] == found["logged"]
    client.log(prediction_id="late")
    assert client.stats()["spilled"] == found["spilled"] + 1


def test_rows_are_given_up_after_a_while():
    client = Client("http://127.0.0.1:1", linger_s=0.0, keep_trying_s=0.0)
    client.log(prediction_id="1")
    assert client.flush(20)
    assert client.stats()["failed"] == 1
    client.close(0.0)


def test_a_slow_server_delays_nobody():
    with pair(most_rows=5, timeout_s=30) as (server, client):
        server.hold.clear()
        for n in range(100):
            client.log(prediction_id=str(n))
        found = client.stats()
        assert found["spilled"] >= 100 - 11
        server.hold.set()
        assert client.flush(20)
        assert client.stats()["sent"] == 100 - found["spilled"]


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://[", "http://h:port", ":::"])
def test_an_impossible_address_breaks_nobody(url, caplog):
    client = Client(url, linger_s=0.0)
    client.log(prediction_id="1")
    assert client.flush(20)
    assert client.stats()["failed"] + client.stats()["errors"] == 1
    client.close(0.0)


class Unwilling:
    """Refuses everything."""

    def __iter__(self):
        raise RuntimeError("no")

    __str__ = __eq__ = __ne__ = __iter__
    __hash__ = object.__hash__


def test_no_argument_breaks_the_caller():
    with pair() as (server, client):
        loop = []
        loop.append(loop)
        client.log(prediction_id="a", prediction=loop)
        client.log(prediction_id="b", prediction=Unwilling())
        client.log(prediction_id="c", features=5, tags=5, embedding=Unwilling())
        client.log(prediction_id="d", no_such_field=1)
        client.log_bulk(None)
        client.log_bulk([1, 2])
        client.log_bulk([{"prediction_id": "e"}, Unwilling(), {"prediction_id": "f"}])
        client.feedback(None, Unwilling())
        client.log(prediction_id="big", features={"x": "y" * (2 << 20)})
        client.log(prediction_id="g", score=float("nan"), prediction=float("inf"))
        assert client.flush(20)
        assert client.stats()["errors"] >= 8
        assert {row["prediction_id"] for row in server.rows} == {"d", "e", "f", "g"}


COLUMNS = {
    "id": ["1", "2"],
    "age": [1.0, float("nan")],
    "plan": ["a", "b"],
    "region": ["eu", "us"],
    "score": [0.5, None],
}


class Tall:
    """Looks like a pandas DataFrame."""

    columns = list(COLUMNS)

    def itertuples(self, index, name):
        assert (index, name) == (False, None)
        return zip(*COLUMNS.values(), strict=True)


class Wide:
    """Looks like a polars DataFrame."""

    def iter_rows(self, *, named):
        assert named
        return ({name: values[n] for name, values in COLUMNS.items()} for n in range(2))


@pytest.mark.parametrize(
    "frame", [COLUMNS, pa.table(COLUMNS), pa.record_batch(COLUMNS), Tall(), Wide(), list(Wide().iter_rows(named=True))]
)
def test_rows_of_any_frame(frame):
    with pair(batch_rows=1) as (server, client):
        client.log_bulk(frame, model="m", tags=["region"], features=["age", "plan"])
        assert client.flush(20)
        first, second = server.rows
        assert (first["features"], first["tags"], first["score"]) == ({"age": 1.0, "plan": "a"}, {"region": "eu"}, 0.5)
        assert (second["features"]["age"], second["model"], "score" in second) == (None, "m", False)
        assert client.stats()["logged"] == client.stats()["sent"] == 2


def test_columns_that_nobody_named_are_features():
    rows = list(rows_module.rows_of({"prediction_id": ["1"], "x": [2]}))
    made = rows_module.record(rows[0], {"features": {"y": 1}}, None, frozenset())
    assert made == {"prediction_id": "1", "features": {"y": 1, "x": 2}}


def test_a_call_amid_a_call_waits_for_nobody():
    """As from a signal's handler, or from what runs when garbage is collected."""
    with pair() as (server, client):
        with client._ready:
            client.log(prediction_id="1")
        assert client.flush(20)
        assert len(server.rows) == 1


def test_a_child_of_a_fork_sends_its_own_rows_only():
    with pair() as (server, client):
        server.hold.clear()
        client.log(prediction_id="parent")
        child = os.fork()
        if not child:
            client.log(prediction_id="child")
            client.close(20)
            os._exit(0)
        server.hold.set()
        assert client.flush(20)
        assert os.waitpid(child, 0)[1] == 0
        assert sorted(row["prediction_id"] for row in server.rows) == ["child", "parent"]


def test_the_end_of_a_program_sends_what_waits_and_imports_little():
    server = Server()
    program = """
import sys
from tocsin import sdk
sdk.log(prediction_id="1")
foreign = {"numpy", "pyarrow", "pydantic", "httpx2", "structlog"} & set(sys.modules)
assert not foreign, foreign
"""
    environment = {**os.environ, "TOCSIN_URL": server.url, "TOCSIN_KEY": "k-2"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=60)
    server.close()
    assert done.returncode == 0
    assert ([row["prediction_id"] for row in server.rows], server.headers[0]["Authorization"]) == (["1"], "Bearer k-2")


def test_the_module_itself(monkeypatch):
    server = Server()
    monkeypatch.setenv("TOCSIN_URL", server.url)
    sdk.close(0.0)
    sdk.log(prediction_id="1", score=0.5, colour="red")
    sdk.log_bulk([{"prediction_id": "2"}])
    sdk.truth("1", True)
    sdk.feedback("1", 5)
    assert sdk.flush(20)
    assert sdk.stats()["sent"] == 4
    sdk.configure(server.url)
    sdk.log(prediction_id="3")
    assert sdk.close(20)
    assert sdk.close()
    server.close()
    assert [row.get("prediction_id") for row in server.rows] == ["1", "2", "1", "1", "3"]
