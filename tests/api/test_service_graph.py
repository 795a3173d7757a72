"""The graph of services by the API, over a real store of spans and over rows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from api.graph_world import between
from api.world import HOSTILE
from store.test_graph_rows import span
from store.world import SECOND, T0, spans_frame
from store.world import World as StoreWorld
from tocsin.api.app import control_app
from tocsin.api.service_graph import graph_document
from tocsin.model.access import Access, Scope
from tocsin.model.clock import ManualClock
from tocsin.store.trace_rows import TraceRows

Ask = Callable[..., dict]
END = T0 + 600 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreWorld]:
    made = StoreWorld(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def ask(store: StoreWorld) -> Ask:
    def asked(tenant: str = "main", **query: object) -> dict:
        access = Access(tenant, frozenset({Scope.READ}), "key")
        held = replace(deps(), traces=TraceRows(store.db), clock=ManualClock(END), authorise=lambda _: access)
        client = TestClient(control_app(held), base_url="http://localhost")
        answer = client.get(
            "/api/service_graph", params={"last_s": 600, **query}, headers={"authorization": "Bearer k"}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    store.db = store.store.db  # type: ignore[attr-defined]
    return asked


def put(store: StoreWorld, spans: list[dict], tenant: str = "main") -> None:
    store.input.append([spans_frame(spans, tenant=tenant)])
    store.writer.step()


def requests(n: int, callee: str, *, first: int, at_s: float, **more) -> list[dict]:
    """So many requests of `web` that each call another."""
    return [
        each
        for k in range(first, first + n)
        for each in (span(k, 1, 0, "web", at_s=at_s), span(k, 2, 1, callee, at_s=at_s, **more))
    ]


def changes(body: dict) -> dict[tuple[str, str], str | None]:
    return {(edge["caller"], edge["callee"]): edge["change"] for edge in body["edges"]}


def test_edges_that_are_new_gone_worse_or_the_same(store: StoreWorld, ask: Ask):
    spans = requests(200, "cart", first=1000, at_s=-300) + requests(200, "cart", first=2000, at_s=5)
    spans += requests(200, "stock", first=3000, at_s=-300, took_ms=20)
    spans += requests(200, "stock", first=4000, at_s=5, took_ms=80)
    spans += requests(200, "mail", first=5000, at_s=-300)
    spans += [
        {**each, "status": "error"} if k % 10 == 1 else each
        for k, each in enumerate(requests(200, "mail", first=6000, at_s=5))
    ]
    spans += requests(60, "old", first=7000, at_s=-300) + requests(60, HOSTILE, first=8000, at_s=5)
    spans += requests(5, "rare", first=9000, at_s=-300) + requests(1, "odd", first=9500, at_s=5)
    put(store, spans)
    body = ask()
    assert changes(body) == {
        ("web", "cart"): "same",
        ("web", "stock"): "worse",
        ("web", "mail"): "worse",
        ("web", "old"): "vanished",
        ("web", HOSTILE): "new",
        ("web", "rare"): None,
        ("web", "odd"): None,
    }
    (mail,) = (edge for edge in body["edges"] if edge["callee"] == "mail")
    assert (mail["requests"], mail["errors"], mail["error_ratio"], mail["before"]["error_ratio"]) == (200, 40, 0.2, 0)
    (stock,) = (node for node in body["nodes"] if node["name"] == "stock")
    assert (stock["p50_ms"], stock["p95_ms"], stock["before"]["p95_ms"]) == pytest.approx((80, 80, 20))
    assert {node["name"]: node["change"] for node in body["nodes"] if node["change"] in ("new", "vanished")} == {
        HOSTILE: "new",
        "old": "vanished",
    }


def test_nobody_sees_another_tenant_and_a_service_only_its_neighbours(store: StoreWorld, ask: Ask):
    put(store, [*requests(3, "cart", first=1, at_s=5), span(9, 1, 0, "batch"), span(9, 2, 1, "stock")])
    put(store, requests(3, "secret", first=1, at_s=5), tenant="other")
    assert {node["name"] for node in ask()["nodes"]} == {"web", "cart", "batch", "stock"}
    assert {node["name"] for node in ask(service="stock")["nodes"]} == {"batch", "stock"}
    assert {node["name"] for node in ask(tenant="other")["nodes"]} == {"web", "secret"}
    assert ask(tenant="nobody") == {
        "from": T0 / SECOND, "to": END / SECOND, "compared": False, "every": 1, "strays": 0, "nodes": [], "edges": [],
        "left_out": {"nodes": 0, "edges": 0}, "more": False,
    }  # fmt: skip


def test_where_nothing_is_stored_of_before_nothing_is_new(store: StoreWorld, ask: Ask):
    put(store, [*requests(50, "cart", first=1, at_s=5), span(99, 1, 7, "cart")])
    body = ask()
    assert (body["compared"], body["strays"], changes(body)) == (False, 1, {("web", "cart"): None})
    assert {node["change"] for node in body["nodes"]} == {None}


def test_an_edge_of_a_caller_that_was_not_there_or_is_gone_tells_nothing():
    both = ((100, 0, 10.0), (100, 0, 10.0))
    nothing = (0, 0, 0.0)
    edges = {
        ("", "web"): (*both, True),
        ("fresh", "a"): (both[0], nothing, True),
        ("gone", "b"): (nothing, both[0], True),
    }
    assert changes(graph_document(between(edges))) == {("fresh", "a"): None, ("gone", "b"): None}


def test_a_large_graph_is_bounded_changes_first_and_what_is_left_out_is_counted():
    same = ((100, 0, 10.0), (100, 0, 10.0), True)
    edges = {(f"s{k}", f"s{(k + j) % 400}"): same for k in range(400) for j in range(1, 12)}
    edges["s300", "fresh"] = ((4, 0, 1.0), (0, 0, 0.0), True)
    body = graph_document(between(edges, every=3))
    assert (len(body["nodes"]), len(body["edges"])) == (200, 1000)
    assert body["left_out"] == {"nodes": 201, "edges": 4401 - 1000}
    first = body["edges"][0]
    assert (first["caller"], first["callee"], first["change"], first["requests"]) == ("s300", "fresh", "new", 12)
    assert body["every"] == 3


def test_peers_that_send_no_spans_and_calls_of_oneself_are_told(client: TestClient):
    body = client.get("/api/service_graph").json()
    kinds = {node["name"]: node["kind"] for node in body["nodes"]}
    assert (kinds["postgresql"], kinds["vllm"], kinds["orders"]) == ("peer", "peer", "service")
    assert changes(body)["orders", "orders"] == "same"
    assert client.get("/api/service_graph?last_s=0").status_code == 422
