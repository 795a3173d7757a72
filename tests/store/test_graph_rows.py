"""Who called whom by stored spans: edges, roots, strays, peers without spans, calls of oneself, two spans of time."""

from __future__ import annotations

import pytest

from store.world import SECOND, T0, World, spans_frame
from tocsin.store.graph_rows import calls_between

HOSTILE = "'; DROP TABLE spans; -- <script>" + "x" * 5000
MS = SECOND // 1000


def span(trace: int, own: int, parent: int, service: str, *, at_s: float = 1, took_ms: float = 100, **more) -> dict:
    """A server's span of a service, `at_s` after `T0`; `parent` 0: none."""
    begin = T0 + int(at_s * SECOND)
    attributes = more.pop("attributes", {})
    return {
        "trace_id": trace.to_bytes(16, "big"), "span_id": own.to_bytes(8, "big"), "parent_id": parent.to_bytes(8, "big"),
        "kind": "server", "start": begin, "time": begin + int(took_ms * MS), "resource": [("service.name", service)],
        "attributes": attributes, **more,
    }  # fmt: skip


def stored(world: World, spans: list[dict], tenant: str = "main") -> None:
    world.input.append([spans_frame(spans, tenant=tenant)])
    world.writer.step()


def edges(world: World, *, now: bool = True, tenant: str = "main", **more) -> dict[tuple[str, str], dict]:
    found = calls_between(world.store.db, tenant, T0, T0 + 600 * SECOND, **more)
    return {(row["caller"], row["callee"]): row for row in found.rows if not row["is_node"] and row["now"] == now}


def test_a_call_is_between_services_by_the_parent_and_counts_once(world: World):
    chain = [
        span(1, 1, 0, "web", took_ms=300),
        span(1, 2, 1, "web", kind="client", status="error"),
        span(1, 3, 2, "cart", took_ms=40),
        span(1, 4, 3, "cart", kind="internal"),
        span(1, 5, 4, "stock", took_ms=20, status="error"),
        span(2, 1, 0, "web", at_s=-300, took_ms=100),
    ]
    stored(world, [*chain, chain[4]])
    found = edges(world)
    assert set(found) == {("", "web"), ("web", "cart"), ("cart", "stock")}
    assert {pair: (row["requests"], row["errors"]) for pair, row in found.items()} == {
        ("", "web"): (1, 0),
        ("web", "cart"): (1, 1),  # cart answered well, and web heard nothing of it
        ("cart", "stock"): (1, 1),
    }
    assert found["cart", "stock"]["took"][3] == pytest.approx(20)
    assert set(edges(world, now=False)) == {("", "web")}
    assert edges(world, tenant="other") == {}


def test_a_service_may_call_itself_and_a_parent_may_be_missing(world: World):
    stored(
        world,
        [
            span(1, 1, 0, "web"),
            span(1, 2, 1, "web", kind="client"),
            span(1, 3, 2, "web"),
            span(1, 4, 3, "web"),  # a server within a server is the same request
            span(2, 9, 77, "cart"),
            span(3, 9, 77, "cart", kind="internal"),
        ],
    )
    found = edges(world)
    assert {pair: (row["requests"], row["strays"]) for pair, row in found.items()} == {
        ("", "web"): (1, 0),
        ("web", "web"): (1, 0),
        ("", "cart"): (1, 1),
    }


def test_a_parent_that_began_long_before_is_known(world: World):
    stored(world, [span(1, 1, 0, "web", at_s=-1500, took_ms=1_600_000), span(1, 2, 1, "cart", at_s=5)])
    assert set(edges(world)) == {("web", "cart")}


def test_an_id_that_client_and_server_share_is_the_servers(world: World):
    stored(
        world,
        [
            span(1, 1, 0, "web"),
            span(1, 2, 1, "web", kind="client"),
            span(1, 2, 1, "cart"),
            span(1, 3, 2, "cart", kind="internal"),
        ],
    )
    found = edges(world)
    assert {pair: row["requests"] for pair, row in found.items()} == {("", "web"): 1, ("web", "cart"): 1}


def test_who_sends_no_spans_is_known_by_the_client_unless_a_service_answered(world: World):
    stored(
        world,
        [
            span(1, 1, 0, "web"),
            span(1, 2, 1, "web", kind="client", attributes={"db.system": "postgresql", "server.address": "db-1"}),
            span(1, 3, 1, "web", kind="client", attributes={"server.address": HOSTILE}, status="error"),
            span(1, 4, 1, "web", kind="client", attributes={"peer.service": "cart"}),
            span(1, 5, 4, "cart"),
            span(1, 6, 5, "cart", kind="client", attributes={"peer.service": "stock"}),
            span(1, 7, 6, "stock", kind="internal"),
            span(1, 8, 1, "web", kind="client"),
        ],
    )
    found = edges(world)
    assert set(found) == {
        ("", "web"), ("web", "cart"), ("cart", "stock"), ("web", "postgresql"), ("web", HOSTILE[:200]),
    }  # fmt: skip
    assert [found["web", name]["own"] for name in ("cart", "postgresql")] == [True, False]
    assert found["web", HOSTILE[:200]]["errors"] == 1


def test_nodes_are_told_over_all_their_callers(world: World):
    stored(world, [span(k, 1, 0, f"web-{k % 2}") for k in range(1, 5)])
    stored(world, [span(k, 2, 1, "cart", took_ms=10 * k) for k in range(1, 5)])
    found = calls_between(world.store.db, "main", T0, T0 + 600 * SECOND)
    (cart,) = (row for row in found.rows if row["is_node"] and row["callee"] == "cart")
    assert (cart["requests"], cart["took"][0]) == (4, pytest.approx(25))


def test_of_too_many_spans_whole_traces_are_left_out(world: World):
    stored(world, [each for k in range(1, 401) for each in (span(k, 1, 0, "web"), span(k, 2, 1, "cart"))])
    whole = edges(world)
    assert whole["web", "cart"]["requests"] == 400
    part = calls_between(world.store.db, "main", T0, T0 + 600 * SECOND, 200)
    assert part.every == 4
    counted = {
        (row["caller"], row["callee"]): (row["requests"], row["strays"]) for row in part.rows if not row["is_node"]
    }
    assert counted["web", "cart"] == counted["", "web"]
    assert 50 < counted["web", "cart"][0] < 150
