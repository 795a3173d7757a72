"""Spans and logs read many frames at once: as if each frame had come alone."""

import numpy as np
import pytest

from tocsin.derive.changes import Changes
from tocsin.derive.drawn import numbered
from tocsin.derive.fields import FieldReader
from tocsin.derive.logs import LogCounts
from tocsin.derive.spans import SpanSignals
from tocsin.derive.vocabulary import OTHER, Vocabulary
from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.model.rows import Rows
from tocsin.model.series import Catalog
from tocsin.spec.packs import load_packs

S = 1_000_000_000
PACKS = load_packs()
READER = FieldReader(PACKS)
MODELS = ["m1", "m2", None]


def spans(rng, n, start):
    attributes = []
    for k in range(n):
        model = MODELS[int(rng.integers(3))]
        pairs = {"http.route": f"/{k % 3}"} | ({} if model is None else {"gen_ai.request.model": model})
        tokens = rng.choice(["7", "12.5", "many", "inf", ""])
        pairs |= {"gen_ai.usage.input_tokens": tokens, "llm.token_count.prompt": "3"} if k % 2 else {}
        pairs |= {"prompt.version": rng.choice(["v1", "v2", ""])} if k % 3 else {}
        attributes.append(list(pairs.items()))
    return frame_of(
        FrameKind.SPANS,
        "main",
        "otlp/bot",
        {
            "trace_id": [bytes(16)] * n,
            "span_id": [(start + k).to_bytes(8, "big") for k in range(n)],
            "parent_id": [bytes(8)] * n,
            "name": ["chat"] * n,
            "kind": ["client"] * n,
            "start": [k * S for k in range(n)],
            "time": [k * S + int(rng.integers(1, S)) for k in range(n)],
            "status": [str(rng.choice(["ok", "error", "unset"])) for _ in range(n)],
            "status_message": [""] * n,
            "scope": [""] * n,
            "resource": [[("service.name", f"bot-{int(rng.integers(2))}")] if k % 5 else [] for k in range(n)],
            "attributes": attributes,
            "events": ["[]"] * n,
        },
    )


def logs(rng, n):
    return frame_of(
        FrameKind.LOGS,
        "main",
        "otlp/bot",
        {
            "time": [int(rng.integers(10)) * S for _ in range(n)],
            "severity": [""] * n,
            "severity_number": [None if k % 7 == 0 else int(rng.integers(0, 26)) for k in range(n)],
            "body": [None if k % 5 == 0 else f"line {k % 4} \u00e9" for k in range(n)],
            "event_name": [""] * n,
            "trace_id": [bytes(16)] * n,
            "span_id": [bytes(8)] * n,
            "resource": [[("service.name", f"bot-{int(rng.integers(2))}")] if k % 4 else [] for k in range(n)],
            "attributes": [[]] * n,
        },
    )


def drawn(frame_groups, draw):
    """Samples by frame as plain tuples, and the series by row."""
    rows, told = Rows(Catalog()), []
    for first, frames in frame_groups:
        some = draw(frames, READER.read(frames))
        (samples,) = numbered(rows, [(some, np.arange(first, first + len(frames)))])
        told += [
            (first + int(frame), int(row), int(time), float(value), int(uid))
            for frame, row, time, value, uid in zip(
                some.frame, samples.row, samples.time, samples.value, samples.uid, strict=True
            )
        ]
    return sorted(told), [series.labels for series in rows.all()]


@pytest.mark.parametrize("kind", ["spans", "logs"])
def test_many_frames_together_say_what_each_says_alone(kind):
    rng = np.random.default_rng(3)
    frames = [spans(rng, 40, 100 * k) if kind == "spans" else logs(rng, 40) for k in range(6)]
    part = frames[2]
    frames[2] = Frame(part.kind, part.tenant, part.source, part.batch.slice(7, 20))
    draw = SpanSignals(PACKS).draw if kind == "spans" else LogCounts().draw
    alone = drawn([(k, [frame]) for k, frame in enumerate(frames)], draw)
    together = drawn([(0, frames)], draw)
    assert together == alone
    assert len(alone[0]) > 100


def test_only_numbers_become_values_and_the_first_name_wins():
    frame = spans(np.random.default_rng(0), 60, 0)
    some = SpanSignals(PACKS).draw([frame], READER.read([frame]))
    tokens = [some.value[k] for k, key in enumerate(some.key) if some.series[key].signal.name.endswith("input_tokens")]
    assert set(tokens) == {7.0, 12.0, 3.0}  # whole tokens; an empty text is none, and the next name is read


def test_sightings_stay_with_their_frames():
    rng = np.random.default_rng(5)
    frames = [spans(rng, 30, 0), spans(rng, 10, 100)]
    changes = Changes(PACKS)
    together = changes.sight(frames, READER.read(frames))
    assert together == [changes.sight([frame], READER.read([frame]))[0] for frame in frames]
    assert all(together)
    assert {one.value for one in together[0] if one.spec == 0} <= {"v1", "v2"}


def test_a_label_has_a_bounded_number_of_values_in_order_of_first_sight():
    words, made = Vocabulary(), []
    draw = SpanSignals(PACKS, words).draw
    for part in range(3):
        frame = versions([f"v{(k * 7 + part) % 100}" for k in range(100)], part)
        some = draw([frame], READER.read([frame]))
        made += [dict(some.series[key].labels).get("gen_ai.prompt.version") for key in some.key.tolist()]
    found = {version for version in made if version}
    assert len(found) == 65
    assert OTHER in found
    assert {f"v{k * 7 % 100}" for k in range(64)} <= found
    assert words.left_out > 0


def versions(told, part):
    frame = spans(np.random.default_rng(part), len(told), 1000 * part)
    columns = {name: frame.batch.column(name).to_pylist() for name in frame.batch.schema.names}
    columns["attributes"] = [[("gen_ai.request.model", "m"), ("prompt.version", version)] for version in told]
    columns["resource"] = [[("service.name", "bot")]] * len(told)
    return frame_of(FrameKind.SPANS, "main", "otlp/bot", columns)
