"""Requests over HTTP below a call are its attempts: how often it was tried again, whoever tells of them, in whatever pieces."""

from __future__ import annotations

import numpy as np
import pytest

from llm.recorded import PACKS, ROOT, Recording
from llm_world import HOUR, MINUTE, MONDAY, S, folded, genai_packs
from store.world import spans_frame
from tocsin.engine.snapshot import pack, unpack
from tocsin.llm.calls import SPAN_COLUMNS, CallReader
from tocsin.llm.doubles import Attempts, Doubles
from tocsin.model.finding import Phase
from tocsin.model.frame import Frame

FILE = ROOT.with_name("genai_retries") / "openinference-httpx-0.66b2" / "openai.json"
HOURS = 30
CALL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}


def call(trace, **more):
    return {"trace_id": trace * 16, "span_id": b"the call", "attributes": {**CALL, **more}}


def request(trace, span, parent=b"the call", method="http.request.method", verb="POST"):
    return {"trace_id": trace * 16, "span_id": span, "parent_id": parent, "name": verb, "attributes": {method: verb}}


def retries(*pieces, doubles=None):
    """What is read of the calls in frames of these spans."""
    reader, found = CallReader(PACKS, doubles=doubles), []
    for spans in pieces:
        frame = spans_frame(list(spans))
        calls = reader.read("main", {name: frame.batch.column(name) for name in SPAN_COLUMNS})
        found += calls.numbers["retries"][calls.counted].tolist()
    return found


ONE, TWO, THREE = (request(b"a", each) for each in (b"first   ", b"second  ", b"third   "))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([[ONE, TWO, THREE, call(b"a")]], 2),
        ([[call(b"a"), ONE]], 0),
        ([[ONE], [TWO, THREE], [call(b"a")]], 2),  # requests end, and are sent, before the call ends
        ([[ONE, ONE], [ONE, call(b"a")]], 0),  # an exporter sends a batch twice
        ([[request(b"a", b"older   ", method="http.method"), ONE, call(b"a")]], 1),
        ([[ONE, request(b"a", b"read    ", verb="GET"), call(b"a")]], 0),
        ([[ONE, request(b"a", b"other   ", parent=b"the tool"), call(b"a")]], 0),
        ([[ONE, request(b"b", b"other   "), call(b"a")]], 0),
        ([[ONE, TWO, call(b"a", **{"gen_ai.request.retry_count": "7"})]], 7),  # who counts by itself is believed
    ],
)
def test_attempts_of_a_call(pieces, expected):
    assert retries(*pieces) == [expected]


def test_of_a_call_without_requests_nothing_is_known():
    assert np.isnan(retries([call(b"a")])).all()


def test_attempts_are_remembered_over_a_restart():
    first, second = Doubles(), Doubles()
    assert retries([ONE, TWO], doubles=first) == []
    second.restore(unpack(pack(first.snapshot())))
    assert retries([THREE, call(b"a")], doubles=second) == [2]


def test_a_snapshot_of_before_knew_no_attempts():
    first, second = Doubles(), Doubles()
    retries([ONE, call(b"a")], doubles=first)
    second.restore({tenant: parts[:2] for tenant, parts in first.snapshot().items()})
    assert np.isnan(retries([call(b"a")], doubles=second)).all()


def test_what_is_remembered_is_bounded():
    many = Attempts()
    n = np.arange(40_000, dtype="i8")
    many.take("main", n, n, n)
    many.take("main", np.zeros(500, "i8"), np.ones(500, "i8"), np.arange(500, dtype="i8"))
    assert len(many.snapshot()["main"]) <= 32_768 + 100
    assert many.retries("main", np.zeros(1, "i8"), np.ones(1, "i8")).tolist() == [99]


def test_a_real_sdk_that_tries_again():
    """OpenAI's SDK with two retries, instrumented by OpenInference and its client for HTTP by OpenTelemetry."""
    found = Recording(FILE)
    told = {scene: [row["retries"] for row in found.counted(scene)] for scene in found.scenes}
    assert told == {"plain": [0.0], "again once": [1.0], "again twice": [2.0], "fail 503 again": [2.0]}
    (failed,) = found.counted("fail 503 again")
    assert failed["error_class"] == "unavailable"


def test_calls_that_are_tried_again_more_often_are_told():
    rng = np.random.default_rng(6)
    frames = []
    for k in range(0, (HOURS + 1) * 60, 5):
        spans = []
        for number in range(20):
            trace = (k * 100 + number + 1).to_bytes(16, "big")
            end = MONDAY + k * MINUTE + number * 14 * S
            again = int(rng.random() < (0.7 if k >= HOURS * 60 else 0.02))
            common = {"trace_id": trace, "start": end - S, "time": end, "resource": [("service.name", "bot")]}
            spans += [{**request(b"a", bytes([n + 1]) * 8), **common} for n in range(1 + again)]
            spans.append({**call(b"a"), **common})
        frame = spans_frame(spans)
        frames.append(Frame(frame.kind, frame.tenant, "otlp/bot", frame.batch))
    found, _ = folded(frames, genai_packs("genai-retries"), every=5 * MINUTE)
    ((at, first),) = [(at, each) for at, each in found if each.phase is Phase.OPEN]
    assert MONDAY + HOURS * HOUR < at <= MONDAY + HOURS * HOUR + 30 * MINUTE
    assert first.value > 0.2
