"""The agent's metrics API: bytes of real clients and of the published schema, both versions, and bad bodies."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_world import NOW, World, call, open_to_all
from tocsin.ingest.http import ingest_app
from tocsin.model.access import OPEN_ACCESS
from tocsin.model.series import Kind

RECORDED = Path(__file__).with_name("pushed")
NOW_S = NOW // 10**9
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}


def recorded(name):
    for request in json.loads((RECORDED / f"{name}.json").read_text())["requests"]:
        yield request["path"], request["headers"], base64.b64decode(request["body"])


def sent(world, body, headers=JSON, path="/api/v1/series", authorise=open_to_all):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call(ingest_app(world.edge, authorise), path=path, body=raw, headers=headers)


def told(world):
    return [(s.signal.name, dict(s.labels), (row["time"] - NOW) // 10**9, row["value"]) for s, row in world.named()]


def one(**fields):
    return {"series": [{"metric": "m", "points": [[NOW_S, 1]]} | fields]}


def test_bytes_of_real_clients():
    world = World()
    answers = [sent(world, body, headers, path) for path, headers, body in recorded("series_client")]
    assert [answer.status for answer in answers] == [202] * 4
    assert json.loads(answers[0].body) == {"status": "ok"}
    assert json.loads(answers[2].body) == {"errors": []}
    assert told(world) == [
        (
            "shop.queue",
            {"host.name": "web-1", "deployment.environment.name": "prod", "service.name": "checkout"},
            0,
            3.0,
        ),
        (
            "shop.queue",
            {"host.name": "web-1", "deployment.environment.name": "prod", "service.name": "checkout"},
            10,
            4.5,
        ),
        ("shop.orders", {"host.name": "web-1", "deployment.environment.name": "prod"}, 0, 12.0),
        *[
            ("shop.latency", {"host.name": "web-1", "service.name": "checkout", "canary": "true"}, 0, 0.7),
            ("shop.orders", {}, 0, 5.0),
        ]
        * 2,
    ]
    signals = {series.signal.name: series.signal for series, _ in world.named()}
    assert (signals["shop.orders"].kind, signals["shop.orders"].cumulative) == (Kind.SUM, False)
    assert signals["shop.latency"].unit == "ms"
    assert {frame.source for frame in world.frames()} == {"series_api/web-1", "series_api"}


def test_bytes_of_the_published_schema():
    world = World()
    for path, headers, body in recorded("series_protobuf"):
        assert sent(world, body, headers, path).status == 202
    assert told(world) == [
        (
            "system.cpu.user",
            {"host.name": "web-1", "deployment.environment.name": "prod", "k8s.namespace.name": "shop"},
            0,
            12.5,
        ),
        (
            "system.cpu.user",
            {"host.name": "web-1", "deployment.environment.name": "prod", "k8s.namespace.name": "shop"},
            15,
            13.5,
        ),
        ("shop.orders", {}, 0, 4.0),
        ("shop.requests", {}, 0, 0.4),
    ]
    units = {series.signal.name: series.signal.unit for series, _ in world.named()}
    assert units["shop.requests"] == "{request}/s"


@pytest.mark.parametrize("encoding", ["deflate", "gzip", "zstd"])
def test_compressed_bodies(encoding):
    import cramjam

    raw = json.dumps(one()).encode()
    packed = {"deflate": zlib.compress, "gzip": cramjam.gzip.compress, "zstd": cramjam.zstd.compress}[encoding](raw)
    world = World()
    assert sent(world, bytes(packed), JSON | {"content-encoding": encoding}).status == 202
    assert len(world.rows()) == 1


def test_a_tag_that_is_there_twice_is_one_label():
    world = World()
    sent(world, one(tags=["zone:b", "zone:a", "zone:b", "url:http://x"], host="h", device="sda"))
    assert told(world)[0][1] == {"zone": "a,b", "url": "http://x", "host.name": "h", "device": "sda"}


def test_keys_come_in_the_sender_s_own_header_and_can_be_tried():
    world = World()

    def authorise(header):
        return OPEN_ACCESS if header == "Bearer tk_1" else None

    assert sent(world, one(), JSON | {"dd-api-key": "tk_1"}, authorise=authorise).status == 202
    refused = sent(world, one(), JSON | {"dd-api-key": "x"}, authorise=authorise)
    assert (refused.status, "a key is needed" in json.loads(refused.body)["errors"][0]) == (401, True)
    app = ingest_app(world.edge, authorise)
    good = call(app, method="GET", path="/api/v1/validate", headers={"dd-api-key": "tk_1"})
    assert (good.status, json.loads(good.body)) == (200, {"valid": True})
    assert call(app, method="GET", path="/api/v1/validate", headers={"dd-api-key": "x"}).status == 401


def test_what_is_fine_is_taken_and_the_rest_told():
    world = World()
    body = {"series": [*one(points=[[NOW_S, 1], [NOW_S, "x"], [1, 1], [2**60, 1]])["series"], 7, {"metric": ""}]}
    answer = sent(world, body)
    assert answer.status == 202
    (warning,) = json.loads(answer.body)["warnings"]
    for part in ("1 refused: it carries neither", "before the year 2000", "wrong type", "no name"):
        assert part in warning
    assert len(world.rows()) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"{", JSON, 400, "not JSON"),
        (b"[" * 50_000, JSON, 400, "not JSON"),
        (b"[]", JSON, 400, '"series": ['),
        (one(points=7), JSON, 400, "wrong type"),
        (one(points=[[1]]), JSON, 400, "wrong type"),
        (one(tags=[1]), JSON, 400, "wrong type"),
        (one(type="histogram"), JSON, 400, "wrong type"),
        (one(type=True), JSON, 400, "wrong type"),
        (one(metric="m" * 2000), JSON, 400, "longer than 1,024"),
        (one(metric="\ud800"), JSON, 400, "not UTF-8"),
        (b"\xff\xff", PROTOBUF, 400, "not a MetricPayload"),
        (b"abc", JSON | {"content-encoding": "deflate"}, 400, "not deflate"),
        (bytes(70_000), JSON, 413, "over"),
    ],
    ids=range(13),
)
def test_bad_bodies_are_refused_with_a_reason(body, headers, status, text):
    world = World(body_bytes=64 * 1024)
    answer = sent(world, body, headers)
    assert answer.status == status
    assert text in json.loads(answer.body)["errors"][0]
    assert not world.log.entries


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_GOOD = zlib.decompress(next(recorded("series_protobuf"))[2])


@st.composite
def bent(draw):
    raw = bytearray(_GOOD)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(raw)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.tuples(st.just(PROTOBUF), bent() | st.binary(max_size=60))
    | st.tuples(
        st.just(JSON),
        st.builds(
            lambda key, value: json.dumps(one(**{key: value})).encode(),
            st.sampled_from(["metric", "points", "type", "tags", "host", "resources", "unit", "interval"]),
            _JSON,
        )
        | st.builds(lambda value: json.dumps({"series": value}).encode(), _JSON),
    )
)
def test_bent_bodies_are_refused_or_give_valid_frames(given_):
    headers, body = given_
    world = World()
    assert sent(world, body, headers, "/api/v2/series").status in {202, 400}
    for frame in world.frames():
        frame.batch.validate(full=True)
