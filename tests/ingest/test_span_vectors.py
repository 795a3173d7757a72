"""Vectors of embeddings leave spans before the log, and some of them come back as records."""

from __future__ import annotations

import json
from base64 import b64encode

import numpy as np
import pytest

from ingest_world import KeepAll, World
from llm.recorded import ROOT
from store.world import spans_frame
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.redact import Redactor
from tocsin.ingest.span_vectors import KEPT_NUMBERS, MOST_PER_SPAN, SpanVectors, shortened
from tocsin.ingest.token_counts import TokenCounts
from tocsin.model.frame import FrameKind
from tocsin.selfmon.metrics import REGISTRY

VECTOR = "embedding.embeddings.{}.embedding.vector"
CALL = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e-2"}


def taken(*spans, redactor=None):
    """Rows of spans, and of records, that are left of spans."""
    frames = SpanVectors(redactor or KeepAll()).frames([spans_frame(list(spans))])
    rows = {
        kind: [row for f in frames if f.kind is kind for row in f.rows()]
        for kind in (FrameKind.SPANS, FrameKind.RECORDS)
    }
    return rows[FrameKind.SPANS], rows[FrameKind.RECORDS]


def lost():
    """Vectors so far that were none, or too long."""
    return sum(
        REGISTRY.get_sample_value("tocsin_ingest_span_vectors_total", {"outcome": outcome}) or 0.0
        for outcome in ("unusable", "too_long")
    )


def test_a_vector_becomes_a_record_and_its_span_says_how_many_there_were():
    asked = json.dumps({"model": "e-1", "encoding_format": "base64"})
    told = {**CALL, "embedding.invocation_parameters": asked, VECTOR.format(0): "[0.5,-1.0]", "x": "y"}
    (span,), (record,) = taken({"attributes": told, "name": "CreateEmbeddings"})
    assert dict(span["attributes"]) == {
        **CALL, "embedding.invocation_parameters": asked, "tocsin.embedding.count": "1", "x": "y"
    }  # fmt: skip
    assert (record["embedding"], record["version"], record["kind"]) == ([0.5, -1.0], "e-1", "prediction")
    assert json.loads(record["features"]) == {"dimensions": 2, "answered by": "e-2"}
    assert record["model"].endswith(": embeddings of query")
    assert record["time"] == span["time"]


def test_half_of_a_character_in_the_name_of_a_model_becomes_a_question_mark():
    told = {**CALL, "embedding.invocation_parameters": '{"model": "e\\ud83d"}', VECTOR.format(0): "[1.0]"}
    _, (record,) = taken({"attributes": told, "name": "CreateEmbeddings"})
    assert record["version"] == "e?"


def test_spans_without_vectors_are_left_as_they_are():
    frame = spans_frame([{"attributes": {"gen_ai.request.model": "m", "embedding.vector.size": "3"}}])
    assert SpanVectors(KeepAll()).frames([frame])[0] is frame


@pytest.mark.parametrize(
    ("name", "told", "n", "role"),
    [
        ("CreateEmbeddings", {}, 1, "query"),
        ("CreateEmbeddings", {}, 2, "documents"),
        ("OpenAIEmbedding.get_query_embedding", {}, 1, "query"),
        ("OpenAIEmbedding.get_text_embedding", {}, 1, "documents"),
        ("CreateEmbeddings", {"embedding.invocation_parameters": '{"input_type": "search_query"}'}, 3, "query"),
        (
            "CreateEmbeddings",
            {"embedding.invocation_parameters": '{"task_type": "RETRIEVAL_DOCUMENT"}'},
            1,
            "documents",
        ),
        ("query", {"embedding.invocation_parameters": '{"input_type": "search_document"}'}, 1, "documents"),
        ("query", {"embedding.invocation_parameters": "[" * 100_000}, 1, "query"),
    ],
)
def test_questions_and_documents_are_told_apart(name, told, n, role):
    vectors = {VECTOR.format(k): "[1.0]" for k in range(n)}
    _, records = taken({"name": name, "attributes": {**CALL, **told, **vectors}})
    assert {record["model"].partition(": embeddings of ")[2] for record in records} == {role}


def test_what_a_retrieval_embeds_are_questions():
    parent = {"span_id": b"retrieve", "attributes": {"openinference.span.kind": "RETRIEVER"}}
    child = {
        "span_id": b"embedded", "parent_id": b"retrieve",
        "attributes": {**CALL, VECTOR.format(0): "[1.0]", VECTOR.format(1): "[2.0]"},
    }  # fmt: skip
    _, records = taken(child, parent)
    assert len(records) == 2
    assert all(record["model"].endswith("query") for record in records)


def test_other_conventions():
    inner = {"attributes": {"ai.model.id": "e-3", "ai.embeddings": json.dumps(["[1.0,2.0]", "[3.0,4.0]"])}}
    outer = {"attributes": {"ai.model.id": "e-3", "ai.embedding": "[1.0,2.0]"}}
    spans, records = taken(inner, outer)
    assert [record["embedding"] for record in records] == [[1.0, 2.0], [3.0, 4.0]]
    assert {record["version"] for record in records} == {"e-3"}
    assert [dict(span["attributes"]) for span in spans] == [
        {"ai.model.id": "e-3", "tocsin.embedding.count": "2"}, {"ai.model.id": "e-3"}
    ]  # fmt: skip


def test_vectors_in_events_of_vector_stores():
    events = [
        {"name": "db.query.embeddings", "time": 1, "attributes": {"db.query.embeddings.vector": "[0.5, 1.5]"}},
        {
            "name": "db.query.result",
            "time": 1,
            "attributes": {"db.query.result.vector": "[9.0]", "db.query.result.id": "a"},
        },
    ]
    (span,), (record,) = taken({"name": "chroma.query", "events": json.dumps(events)})
    assert [each["attributes"] for each in json.loads(span["events"])] == [{}, {"db.query.result.id": "a"}]
    assert record["embedding"] == [0.5, 1.5]
    assert record["model"].endswith("query")


def test_base64_is_read_as_the_same_numbers():
    raw = b64encode(np.array([0.25, -2.0], "<f4").tobytes()).decode()
    _, (record,) = taken({"attributes": {**CALL, VECTOR.format(0): raw}})
    assert record["embedding"] == [0.25, -2.0]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "{}",
        '{"3": 0.5}',
        "[1,[2]]",
        '["a"]',
        "[NaN]",
        "[1e999]",
        "[1e31]",
        "no base",
        "AAA=",
        "[" * 100_000,
        "9" * 600_000,
        f"[1{400 * '0'}]",
    ],
    ids=range(14),
)
def test_what_is_no_vector_leaves_its_span_too_and_is_counted(value):
    before = lost()
    (span,), records = taken({"attributes": {**CALL, VECTOR.format(0): value}})
    assert not records
    assert dict(span["attributes"]) == {**CALL, "tocsin.embedding.count": "1"}
    assert lost() == before + 1


def test_a_batch_gives_an_even_draw():
    vectors = {VECTOR.format(k): f"[{k}.0]" for k in range(200)}
    (span,), records = taken({"attributes": {**CALL, **vectors}})
    assert dict(span["attributes"])["tocsin.embedding.count"] == "200"
    assert [record["embedding"][0] for record in records] == [k * 200 // MOST_PER_SPAN for k in range(MOST_PER_SPAN)]
    assert len({record["prediction_id"] for record in records}) == MOST_PER_SPAN


def test_a_long_vector_is_shortened_and_keeps_lengths_and_distances():
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(200, 1536)).astype("f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    short = np.array([shortened(each) for each in vectors])
    assert short.shape == (200, KEPT_NUMBERS)
    away = np.linalg.norm(vectors[1:] - vectors[:-1], axis=1)
    assert np.abs(np.linalg.norm(short[1:] - short[:-1], axis=1) / away - 1).mean() < 0.1
    assert shortened(vectors[0]).tolist() == short[0].tolist()


@pytest.mark.parametrize(
    "emitter", ["openinference-0.1.66/openai", "openinference-0.1.34/openai", "openinference-0.1.15/cohere"]
)
def test_recorded_spans_of_real_instrumentors(emitter):
    world = World(
        SpanVectors(TokenCounts(Redactor((), keep_content=False, token_key=b"0123456789abcdef"))),
        now=1_795_000_600 * 10**9,
    )
    body = (ROOT / f"{emitter}.json").read_bytes()
    assert OtlpReceiver(world.edge).take("traces", body, "main", as_json=True).rejected == 0
    (record,) = world.rows(FrameKind.RECORDS)
    assert record["embedding"] == pytest.approx([0.1, 0.2, 0.3])
    assert record["model"] == "assistant: embeddings of query"
    assert record["version"] == ("embed-v4.0" if "cohere" in emitter else "text-embedding-3-small")
    for row in world.rows(FrameKind.SPANS):
        assert "embedding.vector" not in str(row["attributes"])
