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


def polled(kept, *answers, allow=("127.0.0.0/8",), name="provider"):
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
                await StatusPages(spec, shipped_packs(), world.edge, sleep, kept).run()
            return server.got

    got = asyncio.run(scene())
    return got, world.rows(FrameKind.EVENTS)


def read(name, outcome):
    return REGISTRY.get_sample_value("tocsin_app_status_page_polls_total", {"name": name, "outcome": outcome})


def test_what_changes_is_told_once(tmp_path):
    page = json.dumps(BAD).encode()
    got, rows = polled(tmp_path / "kept", (200, {}, page), (200, {}, page), name="once")
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
def test_what_can_t_be_read_is_counted_and_asked_again(tmp_path, name, answer, outcome):
    got, rows = polled(tmp_path / "kept", answer, answer, name=name)
    assert (len(got), rows) == (2, [])
    assert read(name, outcome) == 2


def test_private_addresses_are_asked_only_where_it_is_said(tmp_path):
    got, rows = polled(tmp_path / "kept", (200, {}, json.dumps(BAD).encode()), allow=(), name="inside")
    assert (got, rows) == ([], [])
    assert read("inside", "refused") == 1


WELL = {**BAD, "components": [{**BAD["components"][0], "status": "operational"}]}


def after_restart(kept, *pages, spoil=None):
    """Each page is read by a program of its own; what it told."""
    world, told = World(), []

    async def scene():
        async with http_server(*[(200, {}, json.dumps(page).encode()) for page in pages]) as server:
            spec = ContextSpec(name="a/b", type="status_page", url=server.url, entity="api", allow=["127.0.0.0/8"])
            for _ in pages:
                reader = StatusPages(spec, shipped_packs(), world.edge, asyncio.sleep, kept)
                seen = len(world.rows(FrameKind.EVENTS))
                await reader.poll()
                told.append([row["what"] for row in world.rows(FrameKind.EVENTS)[seen:]])
                await reader._client.close()
                if spoil is not None:
                    kept.write_text(spoil)

    asyncio.run(scene())
    return told


def test_a_restart_tells_nothing_again_and_misses_nothing(tmp_path):
    told = after_restart(tmp_path / "new" / "kept", BAD, BAD, WELL, WELL, BAD)
    assert told[0] == ["AI: API is major_outage"]
    assert (told[1], told[3]) == ([], [])
    assert len(told[2]) == len(told[4]) == 1


@pytest.mark.parametrize(
    "spoil", ["", "[]", "{", '{"url": 1}', '{"url": "http://elsewhere", "said": {"0": {"c": {}}}}']
)
def test_a_kept_file_of_no_use_is_let_go(tmp_path, spoil):
    assert after_restart(tmp_path / "kept", BAD, BAD, spoil=spoil) == [["AI: API is major_outage"]] * 2
