"""Traces by the API: trees of well-behaved and of broken spans, the critical path, roll-ups, bounds, redaction."""

from __future__ import annotations

import random
from itertools import pairwise
from time import process_time

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from api.trace_world import LARGE, TRACE, FakeTraces, span_of
from api.world import HOSTILE, NOW, NS, others, story
from tocsin.api.app import control_app
from tocsin.api.trace_tree import Tree, shown, tree_of


def tree(*spans: tuple[str, str, float, float], **more) -> Tree:
    """A tree of (id, parent, from ms, to ms)."""
    return tree_of([span_of(key, parent, key, "a", start, end - start, **more) for key, parent, start, end in spans])


def path(found: Tree) -> dict[str, float]:
    return {node.key: node.path_ns / 1e6 for node in found.nodes if node.path}


def test_the_critical_path_is_what_delayed_the_end():
    found = tree(("r", "", 0, 100), ("a", "r", 10, 40), ("b", "r", 20, 60), ("c", "r", 65, 95), ("d", "c", 70, 80))
    # c ended last, before it b; a ran beside b and delayed nothing
    assert path(found) == {"r": 5 + 5 + 20, "c": 20, "d": 10, "b": 40}
    assert {node.key: node.self_ns / 1e6 for node in found.nodes} == {"r": 20, "a": 30, "b": 40, "c": 20, "d": 10}
    assert sum(path(found).values()) == 100


def test_a_child_that_outlives_its_parent_counts_up_to_the_parents_end():
    found = tree(("r", "", 0, 100), ("late", "r", 50, 400), ("early", "r", -50, 20))
    assert path(found) == {"late": 50, "r": 30, "early": 20}
    assert found.faults["outside"] == 2


def test_the_path_of_any_tree_is_as_long_as_its_root_and_never_overlaps():
    rng = random.Random(4)
    for _ in range(50):
        spans = [("s0", "", 0.0, 1000.0)]
        for k in range(1, 40):
            at = rng.uniform(-50, 1000)
            spans.append((f"s{k}", f"s{rng.randrange(k)}", at, at + rng.expovariate(1 / 150)))
        found = tree(*spans)
        pieces = sorted(piece for node in found.nodes for piece in node.path)
        assert all(before[1] <= after[0] for before, after in pairwise(pieces))
        assert sum(end - start for start, end in pieces) == 1000 * 10**6
        assert all(0 <= node.self_ns <= node.duration_ns for node in found.nodes)


def test_odd_spans_are_kept_marked_and_said():
    rows = [
        span_of("a", "", "root", "s", 0, 10),
        span_of("b", "zz", "lost", "s", 1, 2),
        span_of("c", "d", "ring", "s", 1, 2),
        span_of("d", "c", "ring", "s", 1, 2),
        span_of("e", "e", "own parent", "s", 1, 2),
        span_of("a", "", "root", "s", 0, 10),
        span_of("a", "", "GET", "other", 1, 2, kind="server"),
        span_of("f", "a", "backwards", "s", 5, -3),
        span_of("g", "a", "late", "s", 5, 1, stored_ms=NOW // 10**6 + 61_000),
    ]
    found = tree_of(rows)
    assert dict(found.faults) == {
        "orphan": 1, "circle": 2, "duplicate": 1, "shared_id": 1, "negative": 1, "late": 1
    }  # fmt: skip
    assert len(found.nodes) == len(rows) - 1
    assert [node.key for node in found.nodes if node.parent is None] == ["a", "b", "d", "e"] or len(found.roots) == 4
    [below] = [node for node in found.nodes if node.key.startswith("a~")]
    assert below.parent is not None
    assert below.parent.key == "a"


def test_tokens_told_again_by_what_is_around_a_call_are_counted_once(client: TestClient):
    body = client.get(f"/api/traces/{TRACE}").json()
    assert body["totals"] == {
        "calls": 3, "errors": 1, "input_tokens": 5544 + 5544 + 1210, "output_tokens": 612,
        "cost_usd": pytest.approx(0.0406), "priced": 2,
    }  # fmt: skip
    agent = next(each for each in body["spans"] if each["operation"] == "invoke_agent")
    assert agent["own"]["input_tokens"] == 6754
    assert agent["with_children"]["input_tokens"] == 12298


def test_a_trace_says_where_the_time_went_and_whom_it_called(client: TestClient):
    body = client.get(f"/api/traces/{TRACE}").json()
    first = body["where"][0]
    assert (first["service"], first["name"]) == ("support-bot", "chat llama-3.1-70b")
    assert sum(each["share"] for each in body["where"]) == pytest.approx(1)
    called = {(each["caller"], each["callee"], each["kind"]): each for each in body["calls_to"]}
    assert called["web", "support-bot", "service"]["calls"] == 1
    assert called["support-bot", "llama-3.1-70b", "model"]["errors"] == 1
    assert ("support-bot", "pgvector", "peer") in called
    text = " ".join(body["notes"])
    for said in (
        "whose parent has not arrived",
        "sent again",
        "over a minute after",
        "outside of the time of the parent",
    ):
        assert said in text
    root = body["spans"][0]
    assert (root["usual"]["slow"], root["usual"]["times"]) == (True, pytest.approx(4.2 / 0.9))
    assert next(each for each in body["spans"] if each["service"] == "orders")["usual"] is None


def test_ten_thousand_spans_are_bounded_and_counted(client: TestClient):
    began = process_time()
    body = client.get(f"/api/traces/{LARGE}").json()
    assert process_time() - began < 5
    assert (body["spans_held"], body["spans_read"]) == (12_400, 10_000)
    assert len(body["spans"]) <= 300
    root = body["spans"][0]
    assert root["below"] == 9_999
    drawn = {each["id"] for each in body["spans"]}
    assert all(each["parent"] in drawn for each in body["spans"][1:])
    assert sum(each["hidden"]["spans"] for each in body["spans"]) == 10_000 - len(body["spans"])
    assert any("12,400 spans are stored; the first 10,000" in each for each in body["notes"])
    assert len(client.get(f"/api/traces/{LARGE}").content) < 400_000


def test_a_chain_of_ten_thousand_is_no_burden():
    rows = [span_of(str(k), str(k - 1) if k else "", "x", "s", k / 10, 2000 - k / 10) for k in range(10_000)]
    began = process_time()
    found = tree_of(rows)
    assert len(shown(found, 300)) == 300
    assert process_time() - began < 5
    assert found.nodes[-1].depth == 9_999


def test_prompts_stand_apart_and_say_whether_they_were_kept(client: TestClient):
    body = client.get(f"/api/traces/{TRACE}/spans/{6:016x}").json()
    [sent] = body["sent"]
    content = {each["name"]: each for each in sent["content"]}
    assert set(content) == {"gen_ai.input.messages", "gen_ai.output.messages"}
    assert content["gen_ai.input.messages"]["kept"] is True
    assert content["gen_ai.output.messages"]["kept"] is False
    assert sent["attributes"]["note"] == HOSTILE
    assert not any("messages" in name for name in sent["attributes"])
    assert sent["events"][0]["content"][0]["kept"] is False
    assert sent["events"][0]["attributes"] == {"index": "0"}


def test_a_search_asks_for_all_that_the_address_holds():
    made = deps()
    assert isinstance(made.traces, FakeTraces)
    client = TestClient(control_app(made), base_url="http://localhost")
    url = "/api/traces?service=web&operation=POST+/chat&status=error&model=m&prompt_version=v&error_class=timeout"
    assert client.get(f"{url}&min_s=0.5&max_s=9&last_s=60&order=slowest&limit=7").status_code == 200
    [asked] = made.traces.asked
    assert (asked.service, asked.operation, asked.status, asked.model) == ("web", "POST /chat", "error", "m")
    assert (asked.prompt_version, asked.error_class, asked.order, asked.limit) == ("v", "timeout", "slowest", 7)
    assert (asked.least_ns, asked.most_ns) == (NS // 2, 9 * NS)
    assert (asked.start, asked.end) == (NOW - 60 * NS, NOW)
    assert "at least" in client.get("/api/traces?min_s=3&max_s=1").json()["detail"]


def test_what_is_no_trace_says_so(client: TestClient):
    assert client.get("/api/traces/xyz").json()["detail"] == "'xyz' is no trace id; it has 32 hexadecimal digits"
    gone = client.get(f"/api/traces/{'ab' * 16}")
    assert gone.status_code == 404
    assert "limits.retention.spans" in gone.json()["detail"]
    assert client.get(f"/api/traces/{TRACE}/spans/zz").status_code == 400


def test_a_list_is_rolled_up_and_bounded(client: TestClient):
    body = client.get("/api/traces?limit=1").json()
    [row] = body["traces"]
    assert (row["trace_id"], row["root"], body["full"]) == (TRACE, {"service": "web", "name": "POST /chat"}, True)
    assert (row["errors"], row["calls"], row["cost_usd"]) == (1, 3, 0.0406)


def test_an_incident_leads_to_example_traces(client: TestClient):
    body = client.get(f"/api/incidents/{story().id}/traces").json()
    assert body["services"] == ["support-bot", "vllm", "gpu-node-2"]
    assert [each["role"] for each in body["traces"]] == ["slowest", "failing", "typical", "typical_before"]
    first = body["traces"][0]
    assert (first["trace_id"], first["words"], first["duration_s"]) == (TRACE, "the slowest since it began", 4.15)
    assert client.get(f"/api/incidents/{others()[2].id}/traces").json()["traces"] == []


def test_documents_and_evaluations_of_a_trace_with_hostile_numbers_and_texts(client: TestClient):
    body = client.get(f"/api/traces/{TRACE}/answers").json()
    [retrieval] = body["retrievals"]
    assert (retrieval["span_id"], retrieval["count"], retrieval["top_score"]) == (f"{4:016x}", 2, 0.91)
    first, second = retrieval["documents"]
    assert (first["id"], first["score"], first["kept"]) == ("kb/returns.md#3", 0.91, True)
    assert (second["id"], second["score"], second["kept"]) == (HOSTILE, None, False)
    scores = {each["name"]: (each["score"], each["judge"], each["label"]) for each in body["evaluations"]}
    assert scores["faithfulness"] == (0.35, "judge-1", "")  # sent as groundedness
    assert scores[HOSTILE] == (None, "judge-1", "")
    assert scores["tone"] == (None, "", HOSTILE)
    assert {each["span_id"] for each in body["evaluations"]} == {f"{6:016x}"}
    nothing = client.get(f"/api/traces/{LARGE}/answers").json()
    assert (nothing["retrievals"], nothing["evaluations"]) == ([], [])
    assert client.get("/api/traces/xyz/answers").status_code == 400
