"""Frames of one request are searched together: what comes out is what each would give alone."""

import random

import pytest

from tocsin.ingest.redact import Redactor
from tocsin.model.frame import Frame, FrameKind, frame_of, points_frame

TEXTS = [
    "all is well",
    "",
    "mail joe@example.com",
    "password=hunter2222 and more",
    'see {"password": "hunter2222", "n": 1}',
    "a\nb",
    "line that is itself 4111 1111 1111 1111",
    "caf\u00e9 \u2603",
    "joe@",
    "example.com",
]
KEYS = ["http.route", "gen_ai.prompt.0.content", "api_key", "joe@example.com", "gen_ai.system_instructions"]


def pairs(rng):
    return [(key, rng.choice(TEXTS)) for key in rng.sample(KEYS, rng.randrange(len(KEYS)))]


def logs(rng, n, source):
    return frame_of(
        FrameKind.LOGS,
        "main",
        source,
        {
            "time": list(range(n)),
            "severity": [rng.choice(["info", None]) for _ in range(n)],
            "severity_number": [9] * n,
            "body": [rng.choice([*TEXTS, None]) for _ in range(n)],
            "event_name": [rng.choice(["", "gen_ai.user.message", None]) for _ in range(n)],
            "trace_id": [bytes(16)] * n,
            "span_id": [bytes(8)] * n,
            "resource": [pairs(rng) for _ in range(n)],
            "attributes": [pairs(rng) for _ in range(n)],
        },
    )


def spans(rng, n, source):
    texts = {name: [rng.choice(TEXTS) for _ in range(n)] for name in ("name", "status_message", "scope", "events")}
    return frame_of(
        FrameKind.SPANS,
        "main",
        source,
        {
            "trace_id": [bytes(16)] * n,
            "span_id": [bytes(8)] * n,
            "parent_id": [bytes(8)] * n,
            "kind": ["client"] * n,
            "start": [0] * n,
            "time": list(range(n)),
            "status": ["ok"] * n,
            "resource": [pairs(rng) for _ in range(n)],
            "attributes": [pairs(rng) for _ in range(n)],
        }
        | texts,
    )


def part(frame, start, n):
    return Frame(frame.kind, frame.tenant, frame.source, frame.batch.slice(start, n))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("keep_content", [True, False])
def test_frames_together_come_out_as_each_alone(seed, keep_content):
    rng = random.Random(seed)
    redactor = Redactor((), keep_content=keep_content, token_key=bytes(range(32)))
    frames = [make(rng, rng.randrange(12), f"otlp/s{k}") for k in range(5) for make in (logs, spans)]
    frames[3] = part(spans(rng, 20, "otlp/joe@example.com"), 4, 9)
    frames[4] = part(logs(rng, 20, "otlp/part"), 11, 5)
    frames.insert(2, points_frame("main", "otlp/p", [], [], []))  # type: ignore[arg-type]
    together = redactor.frames(frames)
    alone = [Redactor((), keep_content=keep_content, token_key=bytes(range(32))).frame(frame) for frame in frames]
    for mine, theirs, before in zip(together, alone, frames, strict=True):
        assert (mine.kind, mine.tenant, mine.source) == (theirs.kind, theirs.tenant, theirs.source)
        assert mine.rows() == theirs.rows()
        assert len(mine) == len(before)
        mine.batch.validate(full=True)
    assert together[2] is frames[2]
    assert "hunter2222" not in repr([frame.rows() for frame in together])


def test_frames_of_which_nothing_is_taken_are_themselves():
    rng = random.Random(1)
    redactor = Redactor((), keep_content=True, token_key=bytes(range(32)))
    kept = [frame_of(FrameKind.EVENTS, "main", "s", {
        "time": [1], "kind": ["deploy"], "entity": [f"e{k}"], "what": ["v2"], "source": ["ci"], "attributes": [[]],
    }) for k in range(3)]  # fmt: skip
    found = redactor.frames([*kept, logs(rng, 30, "otlp/x")])
    assert all(a is b for a, b in zip(found, kept, strict=False))
