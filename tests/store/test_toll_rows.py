"""What an incident took, counted from spans and records: a request once, users by name, the time before beside it."""

from __future__ import annotations

import pytest

from store.world import SECOND, T0, World, genai_pack, spans_frame
from tocsin.model.frame import FrameKind, frame_of
from tocsin.store.toll_rows import TollAsked, TollRows

END = T0 + 600 * SECOND
SHOP = [("service.name", "shop")]
BOT = [("service.name", "bot")]


def request(n, *, at_s=10.0, took_s=1.0, failed=False, user="", service=SHOP):
    start = T0 + int(at_s * SECOND)
    return {
        "trace_id": n.to_bytes(16, "big"),
        "span_id": n.to_bytes(8, "big"),
        "kind": "server",
        "name": "GET /",
        "start": start,
        "time": start + int(took_s * SECOND),
        "status": "error" if failed else "unset",
        "resource": service,
        "attributes": {"enduser.id": user} if user else {},
    }


def call(n, tokens, *, usd="0.5", parent=0, **more):
    own = request(n, **more)
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "small",
        "gen_ai.usage.input_tokens": str(tokens),
        "gen_ai.usage.output_tokens": "10",
        **({"gen_ai.usage.cost": usd} if usd else {}),
    }
    span = (n + 100_000).to_bytes(8, "big")
    parent_id = parent.to_bytes(8, "big") if parent else bytes(8)
    return {**own, "kind": "client", "span_id": span, "parent_id": parent_id, "attributes": attributes, "name": "chat"}


def asked(*names, **more):
    return TollAsked(names, T0, END, T0 - 600 * SECOND, **more)


@pytest.fixture
def rows(world: World) -> TollRows:
    past = [span for n in range(1, 41) for span in (request(n, at_s=-300), call(n, 90, at_s=-300, parent=n))]
    now = [
        request(101, user="ann"),
        call(101, 290, parent=101),
        request(102, user="ann", took_s=5),
        request(103, user="bob", failed=True),
        call(103, 40, parent=103, usd=""),
        # a request that passes through a second service is one request
        request(103, service=BOT),
        request(104),
    ]
    world.input.append([spans_frame(past + now), spans_frame([request(900, failed=True)], tenant="other")])
    record = {
        "time": T0 + SECOND, "prediction_id": "p", "model": "churn", "version": "", "prediction": "1", "score": None,
        "features": "", "tags": [], "truth": "", "feedback": "", "kind": "prediction", "embedding": [],
        "attributions": "", "attention": "",
    }  # fmt: skip
    world.input.append([frame_of(FrameKind.RECORDS, "main", "test", {name: [record[name]] for name in record})])
    world.writer.step()
    return TollRows(world.store.db, [genai_pack()])


def test_requests_users_tokens_and_money_are_counted_once(rows: TollRows):
    found = rows.toll("main", asked("shop", "bot", limits_ns={"shop": 2 * SECOND}))
    assert (found.told, found.requests, found.failed, found.slow, found.hit) == ("requests", 4, 1, 1, 2)
    assert (found.users, found.users_hit) == (2, 2)
    assert (found.spent.calls, found.spent.priced, found.spent.tokens, found.spent.usd) == (2, 1, 350, 0.5)
    assert (found.failed_spent.tokens, found.failed_spent.usd) == (50, 0.0)
    assert (found.before.requests, found.before.tokens, found.before.usd) == (40, 4000, 20.0)
    # of the failed one all is burnt; the three others took 300 tokens, as three requests did before
    assert found.burnt_tokens() == 50.0


def test_without_a_limit_only_failures_are_hit(rows: TollRows):
    found = rows.toll("main", asked("shop"))
    assert (found.slow, found.hit, found.users_hit) == (None, 1, 1)


def test_a_model_is_counted_by_its_calls_and_by_its_records(rows: TollRows):
    called = rows.toll("main", asked("small", limits_ns={"small": SECOND // 2}))
    assert (called.told, called.requests, called.slow, called.users) == ("calls", 2, 2, None)
    assert rows.toll("main", asked("churn")).told == "records"


def test_what_nobody_sends_is_not_known_and_tenants_do_not_meet(rows: TollRows):
    assert rows.toll("main", asked("gpu-1")) is None
    assert rows.toll("main", asked()) is None
    assert rows.toll("other", asked("shop")).failed == 1
