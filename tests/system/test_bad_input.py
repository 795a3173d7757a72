"""Bad input through the real ports: refused or taken in part as the protocol says, counted, and survived."""

import gzip
import json
import struct
import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from system.otlp_json import NS, gauge, request
from system.server import until

MIB = 2**20
LABELS = 20_000
CAP = 500


@pytest.fixture(scope="module")
def server(make_server):
    made = make_server(f"limits: {{series_per_source: {CAP}}}")
    made.rss_before = made.rss_bytes()
    return made


@pytest.fixture(autouse=True)
def lives_on(server):
    pids = [each.pid for each in server.family()]
    yield
    assert [each.pid for each in server.family()] == pids, server.log()
    answer = server.http.post("/v1/metrics", json=request("well", gauge("well.behaved", [(time.time_ns(), 1.0, {})])))
    assert answer.status_code == 200, answer.text
    assert server.rss_bytes() - server.rss_before < 700 * MIB


def refused(server):
    return server.metric("tocsin_ingest_http_requests_total", status="400") + sum(
        server.metric("tocsin_ingest_http_requests_total", status=str(code)) for code in (413, 415, 422)
    )


def send(server, body, **headers):
    named = {"content-type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
    return server.http.post("/v1/metrics", content=body, headers=named)


GOOD = json.dumps(request("api", gauge("a", [(1, 1.0, {})]))).encode()
PROTO = "application/x-protobuf"
BAD = {
    "half of a JSON document": (GOOD[:50], {}, 400),
    "no JSON": (b"metrics=1", {}, 400),
    "JSON of another shape": (b"[1,2,3]", {}, 400),
    "JSON as deep as the sea": (b'{"resourceMetrics":' + b"[" * 200_000 + b"]" * 200_000 + b"}", {}, 400),
    "random protobuf": (bytes(range(1, 256)) * 9, {"content_type": PROTO}, 400),
    "truncated protobuf": (b"\x0a\xff\xff\xff\x7f", {"content_type": PROTO}, 400),
    "a body of 25 MiB": (b'{"resourceMetrics":[]' + b" " * (25 * MIB) + b"}", {}, 413),
    "a gzip bomb": (lambda: gzip.compress(bytes(300 * MIB), 9), {"content_encoding": "gzip"}, 413),
    "half a gzip": (gzip.compress(GOOD * 9)[:60], {"content_encoding": "gzip"}, 400),
    "no gzip": (GOOD, {"content_encoding": "gzip"}, 400),
    "an encoding nobody knows": (GOOD, {"content_encoding": "br"}, 415),
    "a content type nobody knows": (GOOD, {"content_type": "text/x-poem"}, 415),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body_is_refused_and_counted(server, name):
    body, headers, status = BAD[name]
    before = refused(server)
    answer = send(server, body() if callable(body) else body, **headers)
    assert answer.status_code == status, answer.text
    assert len(answer.content) < 2000, "an error must not be longer than its cause"
    assert refused(server) == before + 1


def test_garbage_as_remote_write_is_refused(server):
    headers = {"content-type": PROTO, "content-encoding": "snappy", "x-prometheus-remote-write-version": "0.1.0"}
    assert server.http.post("/api/v1/write", content=b"\xff" * 99, headers=headers).status_code == 400
    huge = struct.pack("<BBBBB", 0xFF, 0xFF, 0xFF, 0xFF, 0x0F) + b"x" * 20  # says that 4 GiB come out
    assert server.http.post("/api/v1/write", content=huge, headers=headers).status_code in (400, 413)


def test_times_nobody_believes_are_refused_one_by_one(server):
    now = time.time_ns()
    points = [(1, 1.0, {}), (4_102_444_800 * NS, 2.0, {}), (now, 3.0, {})]
    before = server.metric("tocsin_ingest_refused_rows_total")
    answer = send(server, json.dumps(request("times", gauge("t.time", points))))
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert int(partial["rejectedDataPoints"]) == 2
    assert "2000" in partial["errorMessage"] or "ahead" in partial["errorMessage"], partial
    assert server.metric("tocsin_ingest_refused_rows_total") == before + 2
    rows = until(lambda: server.export("points", signal="t.time"))
    assert [row["value"] for row in rows] == [3.0]


def test_strange_numbers_are_kept_as_what_they_are(server):
    now = time.time_ns()
    body = ExportMetricsServiceRequest()
    metric = body.resource_metrics.add().scope_metrics.add().metrics.add(name="t.numbers", unit="1")
    for place, value in enumerate([float("nan"), float("inf"), float("-inf"), 2.0**64, -0.0]):
        metric.gauge.data_points.add(time_unix_nano=now + place, as_double=value)
    metric.gauge.data_points.add(time_unix_nano=now + 9, as_int=2**63 - 1)
    answer = send(server, body.SerializeToString(), content_type=PROTO)
    assert answer.status_code == 200
    rows = until(lambda: server.export("points", signal="t.numbers"))
    values = [value if isinstance(value := row["value"], str | None) else float(value) for row in rows]
    assert values == [None, "inf", "-inf", 2.0**64, 0.0, 2.0**63]
    before = refused(server)
    answer = send(server, json.dumps(request("numbers", gauge("t.more", [(now, 2**64, {})]))))
    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 400 or answer.json().get("partialSuccess"), "2^64 is no int64"
    assert refused(server) >= before


def test_a_label_that_explodes_is_named_and_folded(server):
    now = time.time_ns()
    for start in range(0, LABELS, 5000):
        points = [(now, 1.0, {"user.id": f"u{i}", "zone": "a"}) for i in range(start, start + 5000)]
        answer = send(server, json.dumps(request("exploding", gauge("t.requests", points))))
        assert answer.status_code == 200, answer.text
    assert "user.id" in json.dumps(answer.json()), answer.text
    rows = until(lambda: (found := server.export("points", signal="t.requests")) and len(found) >= LABELS and found)
    assert rows
    series = {tuple(sorted(row["labels"].items())) for row in rows}
    assert len(series) <= CAP + 1
    overflow = [row for row in rows if "user.id" not in row["labels"]]
    assert len(overflow) >= LABELS - CAP, "what is over the cap is kept, under one series"
    assert server.metric("tocsin_ingest_overflow_points_total") >= LABELS - CAP
    [notice] = server.get("/api/status")["notices"]
    assert f"{CAP} series, the most allowed: label 'user.id' of 't.requests'" in notice
    assert notice in [spot["why"] for spot in server.get("/api/overview")["blind"]], "the first page says so"


def test_what_was_refused_is_shown_on_the_first_page(server):
    send(server, b"{")
    own = server.get("/api/status")["own"]
    assert own["refusals"], own
    assert server.get("/api/overview")["blind"]
