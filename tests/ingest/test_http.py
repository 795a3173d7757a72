"""The ingest addresses over ASGI: the rules of OTLP/HTTP, keys, limits, and every kind of bad body."""

import gzip
import json

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from ingest_world import NOW, World, call, gauge_request, log_request, open_to_all, span_request
from tocsin.ingest.http import ingest_app
from tocsin.ingest.rpc_status import status_bytes
from tocsin.model.access import Access, Scope
from tocsin.model.errors import Overloaded
from tocsin.model.frame import FrameKind

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def world():
    return World(body_bytes=64 * 1024)


@pytest.fixture
def app(world):
    return ingest_app(world.edge, open_to_all)


def body_of(*values, **fields):
    return gauge_request(values or [1.0], **fields).SerializeToString()


@pytest.mark.parametrize(
    ("path", "request_", "kind"),
    [
        ("/v1/metrics", gauge_request([1.0]), FrameKind.POINTS),
        ("/v1/traces", span_request(), FrameKind.SPANS),
        ("/v1/logs", log_request("x"), FrameKind.LOGS),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_full_success_is_200_and_empty_in_the_same_type(world, app, path, request_, kind, packed):
    raw = request_.SerializeToString()
    headers = PROTOBUF | ({"content-encoding": "gzip"} if packed else {})
    answer = call(app, path=path, body=gzip.compress(raw) if packed else raw, headers=headers)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/x-protobuf", b"")
    assert len(world.rows(kind)) == 1


def test_json_is_answered_in_json(world, app):
    point = {"timeUnixNano": str(NOW), "asDouble": 1}
    tree = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point]}}]}]}]}
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    answer = call(app, body=json.dumps(tree).encode(), headers=headers)
    assert (answer.status, answer.headers["content-type"], json.loads(answer.body)) == (200, "application/json", {})
    point["timeUnixNano"] = "1"
    refused = json.loads(call(app, body=json.dumps(tree).encode(), headers=headers).body)["partialSuccess"]
    assert refused["rejectedDataPoints"] == "1"
    assert "2000" in refused["errorMessage"]


def test_partial_success_is_200_with_what_was_rejected(world, app):
    request = gauge_request([1.0])
    request.MergeFrom(gauge_request([1.0, 2.0], time=0))
    answer = call(app, body=request.SerializeToString())
    reply = ExportMetricsServiceResponse.FromString(answer.body)
    assert (answer.status, reply.partial_success.rejected_data_points) == (200, 2)
    assert "2 refused" in reply.partial_success.error_message
    assert len(world.rows()) == 1


def test_an_overflowing_source_gets_a_warning_without_rejection():
    world = World(series_per_source=2)
    answer = call(ingest_app(world.edge, open_to_all), body=body_of(1.0, 2.0, 3.0))
    reply = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, reply.rejected_data_points) == (200, 0)
    assert "label 'n' of 'cpu'" in reply.error_message


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"\xff\xff\xff", {}, 400, "not an OTLP"),
        (body_of()[:-3], {}, 400, "not an OTLP"),
        (b"{", JSON, 400, "not an OTLP request in JSON"),
        (b"[" * 50_000, JSON, 400, "nested"),
        (b"this is not gzip at all", {"content-encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(body_of())[:-9], {"content-encoding": "gzip"}, 400, "ends early"),
        (body_of(), {"content-encoding": "br"}, 415, "use one of gzip"),
        (body_of(), {"content-type": "text/html"}, 415, "application/x-protobuf or application/json"),
        (body_of(), {"content-type": None}, 415, "'none'"),
        (bytes(64 * 1024 + 1), {}, 413, "over 65536 bytes"),
        (gzip.compress(bytes(40 * 2**20)), {"content-encoding": "gzip"}, 413, "after decompression"),
        (body_of(), {"content-length": "-1"}, 400, "content-length"),
    ],
    ids=range(12),
)
def test_bad_bodies_are_refused_by_the_rules(world, app, body, headers, status, text):
    answer = call(app, body=body, headers=PROTOBUF | headers)
    assert answer.status == status
    assert not world.log.entries
    assert world.edge.budget.used_bytes == 0
    media = answer.headers["content-type"]
    if media == "application/x-protobuf":
        found = Status.FromString(answer.body)
        assert found.code == 3
        message = found.message
    elif media == "application/json":
        message = json.loads(answer.body)["message"]
    else:
        message = answer.body.decode()
    assert text in message


def test_a_body_without_a_length_is_cut_at_the_limit(world, app):
    read = []

    def pieces():
        for number in range(1000):
            read.append(number)
            yield b"x" * 1024

    answer = call(app, pieces=pieces())
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert world.edge.budget.used_bytes == 0


def test_a_client_that_goes_away_gets_no_answer_and_holds_nothing(world, app):
    answer = call(app, pieces=[b"\x0a\x10"], disconnect=True)
    assert answer.status is None
    assert not world.log.entries
    assert world.edge.budget.used_bytes == 0


def test_a_body_that_does_not_come_is_given_up():
    world = World(body_timeout_s=0.01)
    app = ingest_app(world.edge, open_to_all)
    scope = {"type": "http", "method": "POST", "path": "/v1/metrics"}
    scope["headers"] = [(b"content-type", b"application/x-protobuf")]
    import asyncio

    found = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        found.append(message)

    asyncio.run(app(scope, receive, send))
    assert found[0]["status"] == 408


def test_a_full_log_is_503_and_a_full_budget_429_with_retry_after(world):
    app = ingest_app(world.edge, open_to_all)
    world.log.refuse = Overloaded("disk full", retry_after_s=6.2)
    answer = call(app, body=body_of())
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert Status.FromString(answer.body).message == "disk full"
    tight = World(in_flight_bytes=10)
    with tight.edge.budget.reservation() as other:
        other.take(10)
        answer = call(ingest_app(tight.edge, open_to_all), body=body_of())
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert not tight.log.entries


def test_keys_and_scopes(world):
    seen = []

    def authorise(header):
        seen.append(header)
        return {"Bearer in": Access("acme", frozenset({Scope.INGEST})), "Bearer out": Access("acme", frozenset({Scope.READ}))}.get(header)  # fmt: skip

    app = ingest_app(world.edge, authorise)
    answer = call(app, body=body_of())
    assert (answer.status, Status.FromString(answer.body).code) == (401, 16)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert call(app, body=body_of(), headers={"authorization": "Bearer wrong"}).status == 401
    assert call(app, body=body_of(), headers={"authorization": "Bearer out"}).status == 403
    assert not world.log.entries
    assert call(app, body=body_of(), headers={"authorization": "Bearer in"}).status == 200
    assert world.frames()[0].tenant == "acme"
    assert seen == [None, "Bearer wrong", "Bearer out", "Bearer in"]


@pytest.mark.parametrize(
    "path", ["/v1/metrics", "/v1/traces", "/v1/logs", "/v1/records", "/api/v1/write", "/api/events"]
)
def test_a_get_explains_the_address(app, path):
    answer = call(app, "GET", path)
    assert answer.status == 200
    assert "POST" in answer.body.decode()
    assert "Example" in answer.body.decode()
    head = call(app, "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    options = call(app, "OPTIONS", path)
    assert (options.status, options.headers["allow"]) == (204, "POST, GET, HEAD, OPTIONS")
    assert call(app, "DELETE", path).status == 405


def test_other_addresses_go_to_routes_the_fallback_or_nowhere(world):
    async def other(scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    assert b"/v1/traces" in call(ingest_app(world.edge, open_to_all), "GET", "/nothing").body
    assert call(ingest_app(world.edge, open_to_all), "GET", "/nothing").status == 404
    assert call(ingest_app(world.edge, open_to_all, {"/healthz": other}), "GET", "/healthz").status == 299
    full = ingest_app(world.edge, open_to_all, fallback=other)
    assert call(full, "GET", "/page").body == b"/page"
    assert call(full, "GET", "/api/events").status == 299
    assert call(full, "GET", "/v1/logs").status == 200


def test_records_are_taken_line_by_line(world, app):
    lines = [
        {"prediction_id": "1", "time": NOW / 1e9, "model": "churn", "version": 3, "prediction": {"label": "a"}, "score": 0.5},
        {"prediction_id": 2, "time": "2026-09-21T13:46:40.25+00:00", "features": {"x": 1}, "tags": {"region": "eu"}, "truth": 0},
        {"time": 1},
        {"features": 5},
        [1],
        {"model": "\ud800"},
        {"time": "yesterday"},
    ]  # fmt: skip
    body = b"\n".join(json.dumps(line).encode() for line in lines) + b'\n{"score": NaN}\n\n{"score": 1e999}\nnot json'
    answer = call(app, path="/v1/records", body=body, headers={"content-type": "application/x-ndjson"})
    reply = json.loads(answer.body)
    assert (answer.status, reply["accepted"], reply["rejected"]) == (200, 4, 6)
    first, second, third, fourth = world.rows(FrameKind.RECORDS)
    assert (first["prediction_id"], first["version"], first["prediction"]) == ("1", "3", '{"label":"a"}')
    assert (second["time"], second["features"], second["truth"]) == (1_789_998_400_250_000_000, '{"x":1}', "0")
    assert second["tags"] == [("region", "eu")]
    assert third["score"] != third["score"]
    assert (fourth["time"], fourth["score"]) == (NOW, float("inf"))
    assert call(app, path="/v1/records", body=b"[]", headers=JSON).status == 400


def test_half_of_a_character_in_a_record_becomes_a_question_mark(world, app):
    half, pair = "caf\ud83d", "\U0001f600"
    line = {
        "prediction_id": "1",
        "prediction": half,
        "features": {half: [half, pair]},
        "truth": {half: 1},
        "feedback": half,
    }
    deep = b'{"features": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}"
    body = json.dumps(line).encode() + b"\n" + deep
    answer = call(app, path="/v1/records", body=body, headers={"content-type": "application/x-ndjson"})
    assert json.loads(answer.body)["rejected"] == 1
    [row] = world.rows(FrameKind.RECORDS)
    assert json.loads(row["features"]) == {"caf?": ["caf?", pair]}
    assert [row[name] for name in ("prediction", "truth", "feedback")] == ['"caf?"', '{"caf?":1}', '"caf?"']


def test_change_events(world, app):
    event = {"kind": "deploy", "what": "v1.2", "entity": "api", "time": NOW / 1e9 - 5, "attributes": {"by": "ann"}}
    answer = call(app, path="/api/events", body=json.dumps(event).encode(), headers=JSON)
    assert answer.status == 202
    [row] = world.rows(FrameKind.EVENTS)
    assert (row["kind"], row["what"], row["entity"], row["source"]) == ("deploy", "v1.2", "api", "api")
    assert row["time"] == NOW - 5 * 10**9


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"kind": "deplyo", "what": "x"}, "none of deploy, prompt"),
        ({"kind": ["deploy"], "what": "x"}, "none of deploy"),
        ({"kind": "deploy"}, "`what` is missing"),
        ({"kind": "deploy", "what": "x", "when": 1}, "unknown field 'when'"),
        ({"kind": "deploy", "what": "x", "time": "noon"}, "RFC 3339"),
        ({"kind": "deploy", "what": "x", "time": 4_102_444_800}, "ahead"),
        ([], "not a JSON object"),
    ],
)
def test_bad_events_say_what_is_wrong(world, app, event, text):
    answer = call(app, path="/api/events", body=json.dumps(event).encode(), headers=JSON)
    assert answer.status == 400
    assert text in json.loads(answer.body)["message"]
    assert not world.log.entries


def test_retry_info_is_part_of_a_status():
    status = Status.FromString(status_bytes(14, "later", 1.5))
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    assert info.retry_delay.ToNanoseconds() == 1_500_000_000
