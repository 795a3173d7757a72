"""The judge inside a real server: an answer that came by OTLP is judged by a model, stored, shown by trace and by model, counted."""

import json
import re
import time

import pytest

from chat_server import KEY, ChatServer
from system.otlp_json import NS, attributes, resource
from system.server import until

pytestmark = [pytest.mark.system, pytest.mark.soak]
TRACE = "0af7651916cd43dd8448eb211c80319c"
SCORES = {"relevance": 0.9, "precision": 0.5, "faithfulness": 0.25, "hallucination": 1}


@pytest.fixture
def peer():
    found = ChatServer()
    found.say = lambda _: json.dumps(SCORES)
    yield found
    found.close()


def span(number, name, took_s, **said):
    now = time.time_ns()
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(now - took_s * NS),
        "endTimeUnixNano": str(now),
        "attributes": attributes(said["said"]),
    }


def answered():
    document = "retrieval.documents.0.document."
    found = {
        "openinference.span.kind": "RETRIEVER",
        document + "id": "kb/drawers",
        document + "score": "0.8",
        document + "content": "It is in the drawer; ask joe@example.com.",
    }
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.prompt": "Where is it?",
        "gen_ai.completion": "On the roof.",
    }
    spans = [span(1, "search", 1, said=found), span(2, "chat gpt-4o", 2, said=call)]
    return {"resourceSpans": [{"resource": resource(service__name="docs-bot"), "scopeSpans": [{"spans": spans}]}]}


def test_an_answer_is_judged_once_and_its_scores_are_everywhere(make_server, peer):
    judge = f'{{url: "{peer.url}", model: judge-1, api_key: {KEY}, sample_ratio: 1, allow: [127.0.0.0/8]}}'
    server = make_server(f"redaction: {{keep_content: true}}\nllm:\n  judge: {judge}\n")
    assert server.http.post("/v1/traces", json=answered()).status_code == 200

    def told():
        answer = server.http.get(f"/api/traces/{TRACE}/answers")
        return answer.json() if answer.status_code == 200 and len(answer.json()["evaluations"]) == len(SCORES) else None

    found = until(told, 240, 0.5)
    assert found, server.log()
    assert {each["name"]: each["score"] for each in found["evaluations"]} == SCORES
    assert {(each["judge"], each["span_id"]) for each in found["evaluations"]} == {("judge-1", f"{2:016x}")}
    [retrieval] = found["retrievals"]
    assert [(each["id"], each["score"]) for each in retrieval["documents"]] == [("kb/drawers", 0.8)]
    feedback = {(each["name"], each["of"]): each["mean"] for each in server.get("/api/llm")["feedback"]}
    assert feedback == {("gpt-4o", name): score for name, score in SCORES.items()}
    [asked] = peer.asked
    assert peer.wrong == []
    assert "drawer" in asked["messages"][1]["content"]
    assert "joe@" not in json.dumps(asked)  # a judge is sent what redaction has seen
    counted = r'tocsin_cold_judged_answers_total\{[^}]*outcome="judged"[^}]*\} 1\.0'
    assert re.search(counted, server.http.get("/metrics").text)
