"""Polling a status page through the client that guards addresses: what is read, what is refused, what is counted."""

from __future__ import annotations

import asyncio
import json

import pytest

from ingest_world import World
from notify_server import http_server
from tocsin.app.status_pages import MAX_PAGE_BYTES, StatusPages
from tocsin.ingest.senders import shipped_packs
from tocsin.model.frame import FrameKind
from tocsin.selfmon.metrics import REGISTRY
from tocsin.spec.config import ContextSpec

BAD = {"page": {"name": "AI"}, "components": [{"id": "c", "name": "API", "status": "major_outage"}]}


def polled(*answers, allow=("127.0.0.0/8",), name="provider"):
    world = World()

    async def scene():
        async with http_server(*answers) as server:
            spec = ContextSpec(name=name, type="status_page", url=server.url, entity="api", allow=list(allow))
            left = len(answers)

            async def sleep(seconds):
                nonlocal left
                assert seconds == 60.0
                left -= 1
                if not left:
                    raise asyncio.CancelledError

            with pytest.raises(asyncio.CancelledError):
                await StatusPages(spec, shipped_packs(), world.edge, sleep).run()
            return server.got

    got = asyncio.run(scene())
    return got, world.rows(FrameKind.EVENTS)


def read(name, outcome):
    return REGISTRY.get_sample_value("tocsin_app_status_page_polls_total", {"name": name, "outcome": outcome})


def test_what_changes_is_told_once():
    page = json.dumps(BAD).encode()
    got, rows = polled((200, {}, page), (200, {}, page), name="once")
    assert [request.headers["accept"] for request in got] == ["application/json"] * 2
    assert [(row["kind"], row["entity"], row["what"], row["source"]) for row in rows] == [
        ("dependency", "api", "AI: API is major_outage", "once")
    ]
    assert read("once", "read") == 2


@pytest.mark.parametrize(
    ("name", "answer", "outcome"),
    [
        ("gone", (404, {}, b""), "refused"),
        ("away", (302, {"location": "http://169.254.169.254/"}, b""), "refused"),
        ("ill", (503, {}, b""), "retryable"),
        ("text", (200, {}, b"<html>"), "bad_input"),
        ("huge", (200, {}, b"[" + b" " * MAX_PAGE_BYTES + b"]"), "bad_input"),
    ],
)
def test_what_can_t_be_read_is_counted_and_asked_again(name, answer, outcome):
    got, rows = polled(answer, answer, name=name)
    assert (len(got), rows) == (2, [])
    assert read(name, outcome) == 2


def test_private_addresses_are_asked_only_where_it_is_said():
    got, rows = polled((200, {}, json.dumps(BAD).encode()), allow=(), name="inside")
    assert (got, rows) == ([], [])
    assert read("inside", "refused") == 1
