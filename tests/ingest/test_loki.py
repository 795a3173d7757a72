"""Pushed log streams: bytes of real clients and of the published schema, both forms, and every kind of bad push."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from pathlib import Path

import cramjam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_world import NOW, World, call, open_to_all
from tocsin.ingest.http import ingest_app
from tocsin.ingest.logfile import follow_log, line_time
from tocsin.ingest.loki import labels_of
from tocsin.ingest.redact import Redactor
from tocsin.model.access import Access, Scope
from tocsin.model.errors import BadInput, Overloaded
from tocsin.model.frame import FrameKind

RECORDED = Path(__file__).with_name("pushed")
PATH = "/loki/api/v1/push"
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}


def recorded(name):
    for request in json.loads((RECORDED / f"{name}.json").read_text())["requests"]:
        yield request["path"], request["headers"], base64.b64decode(request["body"])


def push(*values, **labels):
    return json.dumps({"streams": [{"stream": labels or {"app": "api"}, "values": list(values)}]}).encode()


def sent(world, body, headers=JSON, authorise=open_to_all):
    return call(ingest_app(world.edge, authorise), path=PATH, body=body, headers=headers)


def told(world):
    return [
        (row["severity"], row["body"], dict(row["resource"]).get("service.name")) for row in world.rows(FrameKind.LOGS)
    ]


def test_bytes_of_a_real_client():
    world = World(now=1_795_366_000 * 10**9)
    for _, headers, body in recorded("streams_client"):
        assert sent(world, body, headers).status == 204
    assert told(world) == [("ERROR", "payment failed", "checkout"), ("WARN", "slow", "checkout")]
    assert dict(world.rows(FrameKind.LOGS)[0]["resource"])["region"] == "eu"


@pytest.mark.parametrize("encoding", [{}, {"content-encoding": "snappy"}])
def test_bytes_of_the_published_schema(encoding):
    world = World()
    for _, headers, body in recorded("streams_protobuf"):
        answer = sent(world, body, headers | encoding)
        assert (answer.status, answer.body) == (204, b"")
    assert told(world) == [
        ("INFO", "paid 12.50 EUR", "checkout"),
        ("ERROR", "level=error payment refused", "checkout"),
        ("", "GET / 200", "nginx"),
    ]
    first, second, _ = world.rows(FrameKind.LOGS)
    assert first["time"] == 1_790_000_000 * 10**9 + 5
    assert dict(first["resource"])["filename"] == '/var/log/a "b".log'
    assert second["trace_id"].hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert dict(second["attributes"])["detected_level"] == "error"
    assert {frame.source for frame in world.frames()} == {"loki/checkout", "loki/nginx"}


@pytest.mark.parametrize(
    ("labels", "line", "severity", "number"),
    [
        ({"level": "warning"}, "an error word", "WARN", 13),
        ({}, 'ts=1 level=warn msg="no error here"', "WARN", 13),
        ({}, '{"msg": "panic was averted", "level":"info"}', "INFO", 9),
        ({}, "2026-09-21 12:00:00 CRITICAL out of memory", "FATAL", 21),
        ({"severity": "50"}, "numbers as some loggers write them", "ERROR", 17),
        ({"level": "blue"}, "nothing is told", "", 0),
    ],
)
def test_levels_come_from_metadata_labels_keys_and_words(labels, line, severity, number):
    world = World()
    assert sent(world, push([str(NOW), line], app="api", **labels)).status == 204
    (row,) = world.rows(FrameKind.LOGS)
    assert (row["severity"], row["severity_number"]) == (severity, number)


def test_gzip_and_the_explanation():
    world = World()
    body = gzip.compress(push([str(NOW), "x", {"user": "7"}]))
    assert sent(world, body, JSON | {"content-encoding": "gzip"}).status == 204
    assert dict(world.rows(FrameKind.LOGS)[0]["attributes"]) == {"user": "7"}
    page = call(ingest_app(world.edge, open_to_all), method="GET", path=PATH).body.decode()
    assert "promtail" in page


def test_what_is_fine_is_taken_and_the_rest_named_and_counted():
    world = World()
    answer = sent(
        world,
        push([str(NOW), "good"], ["then", "bad time"], [str(NOW + 10**15), "ahead"], ["1"], [str(NOW), "x", {"a": 1}]),
    )
    assert answer.status == 400
    assert [row[1] for row in told(world)] == ["good"]
    for part in ("RFC 3339", "10 minutes ahead", "2 refused: it is not a time, a line"):
        assert part in answer.body.decode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"{", JSON, 400, "not JSON"),
        (b"[" * 50_000, JSON, 400, "not JSON"),
        (b'{"streams": {}}', JSON, 400, '"streams": ['),
        (b'{"streams": [{"stream": {"a": 1}, "values": []}]}', JSON, 400, "every label is a text"),
        (b'{"streams": [{"stream": {}}]}', JSON, 400, "stream 0 has no"),
        (b"\x05nonsense", PROTOBUF, 400, "snappy"),
        (b"\xff\xff\xff\xff\x0f", PROTOBUF, 413, "limit"),
        (cramjam.snappy.compress_raw(b"\xff\xff\xff"), PROTOBUF, 400, "PushRequest"),
        (cramjam.snappy.compress_raw(b"\x0a\x07\x0a\x05{app="), PROTOBUF, 400, "not written like"),
        (cramjam.snappy.compress_raw(b"\x0a\x07\x0a\x05{a=b}"), PROTOBUF, 400, 'no `name="value"`'),
        (push([str(NOW), "x"]), {"content-type": "text/plain"}, 415, "application/json or application/x-protobuf"),
        (push([str(NOW), "x" * 70_000]), JSON, 413, "over"),
    ],
    ids=range(12),
)
def test_bad_pushes_are_refused_with_a_reason(body, headers, status, text):
    world = World(body_bytes=64 * 1024)
    answer = sent(world, bytes(body), headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert text in answer.body.decode()
    assert not world.log.entries
    assert world.edge.budget.used_bytes == 0


def test_a_full_log_and_a_full_budget_ask_to_come_again():
    world = World()
    world.log.append = _full
    assert sent(world, push([str(NOW), "x"])).status == 503
    busy = World(in_flight_bytes=1)
    with busy.edge.budget.reservation() as held:
        held.take(1)
        answer = sent(busy, push([str(NOW), "x"]))
    assert (answer.status, int(answer.headers["retry-after"]) >= 1) == (429, True)


def _full(_entries):
    raise Overloaded("full")


def test_the_tenant_is_that_of_the_key_whatever_a_header_says():
    world = World()
    access = Access("team-a", frozenset({Scope.INGEST}), "k")
    headers = JSON | {"x-scope-orgid": "team-b", "authorization": "Bearer k"}
    assert sent(world, push([str(NOW), "x"]), headers, lambda header: access if header else None).status == 204
    assert {frame.tenant for frame in world.frames()} == {"team-a"}
    assert sent(world, push([str(NOW), "x"]), JSON, lambda header: access if header else None).status == 401


def test_lines_and_metadata_are_redacted():
    world = World(redactor=Redactor([], keep_content=False, token_key=bytes(32)))
    assert sent(world, push([str(NOW), "mail to ann@example.com", {"card": "4111 1111 1111 1111"}])).status == 204
    (row,) = world.rows(FrameKind.LOGS)
    assert "ann@example.com" not in row["body"]
    assert "4111" not in str(row["attributes"])


def test_labels_are_written_as_go_writes_them():
    assert labels_of("{}") == ()
    assert labels_of('{a="x\\ty\\u00e9\\x41\\101", b=`raw\\n`,}') == (("a", "x\ty\u00e9AA"), ("b", "raw\\n"))
    for bad in ("a", '{a="x}', '{a="x" b="y"}', '{1a="x"}', '{a=~"x"}'):
        with pytest.raises(BadInput):
            labels_of(bad)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_GOOD = next(recorded("streams_protobuf"))[2]


@st.composite
def bent(draw):
    raw = bytearray(cramjam.snappy.decompress_raw(_GOOD))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(cramjam.snappy.compress_raw(bytes(raw)))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.tuples(st.just(PROTOBUF), bent() | st.binary(max_size=60))
    | st.tuples(
        st.just(JSON),
        st.builds(
            lambda stream, values: json.dumps({"streams": [{"stream": stream, "values": values}]}).encode(),
            _JSON,
            _JSON,
        )
        | st.builds(lambda values: push(*values), st.lists(_JSON, max_size=4)),
    )
)
def test_bent_pushes_are_refused_or_give_valid_frames(given_):
    headers, body = given_
    world = World()
    assert sent(world, body, headers).status in {204, 400, 413}
    for frame in world.frames():
        frame.batch.validate(full=True)


LINES = (
    "2025-06-15T10:40:00.125Z ERROR payment of alice@example.org failed: took 31 ms",
    "2025-06-15T10:40:00.5Z WARN retrying call to http://inventory:8080/stock after timeout",
    '2025-06-15T10:40:01Z {"level":"info","msg":"user signed in","ms":12}',
    "2025-06-15T10:40:02.000000001Z request 17 done in 3.5 ms",
    '2025-06-15T10:40:03+00:00 level=error msg="no route" password=hunter2',
)  # fmt: skip


async def followed(follow, path):
    """Follow a file from its end, through the lines that are written then."""
    await follow.step()
    path.write_text("".join(f"{line}\n" for line in LINES))
    await follow.step()
    follow._tail.close()


def test_a_push_gives_the_rows_that_the_followed_file_gives(tmp_path):
    now = 1_750_000_000 * 10**9
    tailed, pushed = (World(Redactor([], keep_content=False, token_key=bytes(32)), now) for _ in range(2))
    path = tmp_path / "api.log"
    path.write_text("")
    resource = {"service.name": "api"}
    asyncio.run(followed(follow_log("api", str(path), (), tailed.edge, tmp_path / "state", resource=resource), path))
    times = [line_time(line, now, 0) for line in LINES]
    assert all(time < now for time in times)
    body = push(*([str(time), line] for time, line in zip(times, LINES, strict=True)), app="api")
    assert sent(pushed, body).status == 204
    one, two = (
        [
            (row["time"], row["severity"], row["severity_number"], row["body"], dict(row["resource"])["service.name"])
            for row in world.rows(FrameKind.LOGS)
        ]
        for world in (tailed, pushed)
    )
    assert [(time, name) for time, *_, name in one] == [(time, "api") for time in times]
    assert one == two
    assert not any("hunter2" in body or "alice@" in body for _, _, _, body, _ in one)
