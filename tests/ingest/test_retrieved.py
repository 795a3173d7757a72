"""Documents that a retrieval found are counted, with their best score, before their texts are dropped."""

from __future__ import annotations

import json

import pytest

from ingest_world import KeepAll
from llm.recorded import ROOT, Recording
from store.world import spans_frame
from tocsin.ingest.redact import Redactor
from tocsin.ingest.token_counts import TokenCounts

COUNT, TOP = "tocsin.retrieval.document_count", "tocsin.retrieval.top_score"
TEXT = "The drawer is locked."


def attributes(given, redactor=None):
    (frame,) = TokenCounts(redactor or KeepAll()).frames([spans_frame([{"attributes": given}])])
    return dict(frame.rows()[0]["attributes"])


def counted(given):
    found = attributes(given)
    return found.get(COUNT), found.get(TOP)


PARTS = {
    "retrieval.documents.0.document.score": "0.41", "retrieval.documents.0.document.content": TEXT,
    "retrieval.documents.1.document.score": "0.87", "retrieval.documents.10.document.id": "c",
}  # fmt: skip
LIST = json.dumps([{"id": "a", "score": 0.7}, {"id": "b", "score": 0.9}])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PARTS, ("3", "0.87")),
        ({"gen_ai.retrieval.documents": LIST}, ("2", "0.9")),
        ({"gen_ai.retrieval.documents": "[]"}, ("0", None)),
        ({"retrieval.documents": "[]"}, ("0", None)),
        ({"retrieval.documents": json.dumps([{"document": {"content": TEXT}}])}, ("1", None)),
        ({"openinference.span.kind": "RETRIEVER", "output.value": '{"documents": [{"score": -2}]}'}, ("1", "-2.0")),
        ({"openinference.span.kind": "LLM", "output.value": '{"documents": [{}]}'}, (None, None)),
        ({"openinference.span.kind": "RETRIEVER", "output.value": '[{"score": 1}]'}, (None, None)),
        # who counts by itself is believed
        ({**PARTS, "gen_ai.retrieval.document_count": "30"}, (None, None)),
        # hostile: not JSON, deep, scores that are none
        ({"gen_ai.retrieval.documents": "[" * 100_000}, (None, None)),
        ({"gen_ai.retrieval.documents": '[{"score": "x"}, {"score": true}, 7, {"score": NaN}]'}, ("4", None)),
        ({"retrieval.documents.x.document.score": "1", "retrieval.documents.": "2"}, (None, None)),
    ],
)  # fmt: skip
def test_documents_are_counted(given, expected):
    assert counted(given) == expected


def test_texts_go_and_the_count_stays():
    found = attributes(PARTS, Redactor((), keep_content=False, token_key=b"0123456789abcdef"))
    assert (found[COUNT], found[TOP]) == ("3", "0.87")
    assert TEXT not in str(found)


@pytest.mark.parametrize("emitter", ["openinference-0.1.80", "traceloop-0.62.4"])
def test_retrievals_of_langchain(emitter):
    found = Recording(ROOT / emitter / "langchain.json")
    for scene, count in (("rag", "3"), ("nothing found", "0")):
        (retrieval,) = [row for row in found.scenes[scene] if row["operation"] == "retrieval"]
        assert dict(retrieval["attributes"])[COUNT] == count
        assert not retrieval["counted"]
        assert "drawer" not in str(retrieval)
