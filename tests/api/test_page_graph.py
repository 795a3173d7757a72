"""The page of services: drawn and as tables, by keyboard, with names that are hostile, on wide and narrow screens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from api.conftest import World, served
from api.fake import deps
from api.graph_world import between
from api.test_page import Make, opened, violations
from api.trace_world import FakeTraces
from api.world import HOSTILE, NOW, NS
from tocsin.store.graph_rows import Between

pytestmark = pytest.mark.system
FROM, TO = NOW // NS - 3600, NOW // NS


def test_changes_are_drawn_said_and_lead_to_traces(full: World, view: Make):
    found = opened(view(), f"{full.url}/graph", "Who calls whom")
    page = found.page
    drawn = page.get_by_role("region", name="Drawn graph of services")
    for word, n in (("new", 2), ("vanished", 1), ("worse", 2)):
        expect(drawn.locator("text.word", has_text=word)).to_have_count(n)
    gone = drawn.locator("path.edge.vanished:not(.tip)")
    expect(gone).to_have_count(1)
    expect(drawn.locator(".node", has_text="recommend")).to_contain_text("vanished no requests now")
    expect(drawn.locator(".node bdi", has_text="<img src=x")).to_have_count(1)
    table = page.get_by_role("region", name="Table of calls")
    expect(table.locator("tbody tr")).to_have_count(10)
    expect(table.locator("tbody tr", has_text="recommend")).to_contain_text("900 before")
    # callers are left of whom they call
    boxes = {name: drawn.locator(".node", has_text=name).first.bounding_box() for name in ("web", "vllm")}
    assert boxes["web"]["x"] < boxes["vllm"]["x"]  # type: ignore[index]
    table.get_by_role("link", name="before traces of web to recommend").click()
    expect(page).to_have_url(f"{full.url}/traces?service=recommend&from={FROM - 3600}&to={FROM}&order=slowest")
    found.check()


def test_nodes_and_calls_are_reached_by_keyboard(full: World, view: Make):
    page = opened(view(320), f"{full.url}/graph", "Who calls whom").page
    page.get_by_role("region", name="Drawn graph of services").focus()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
    assert "Traces of web: 4,206 requests, 1.0 % failed, 95 % within 420 ms" in reached
    assert "slowest traces of web to support-bot" in reached
    page.locator(".node", has_text="web").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{full.url}/traces?service=web&from={FROM}&to={TO}&order=slowest")


class Large(FakeTraces):
    """Very many services that call one another, in circles, of traces of which some were read."""

    def calls_between(self, tenant: str, start: int, end: int) -> Between:
        same = ((100, 0, 10.0), (100, 0, 10.0), True)
        return between(
            {(f"s{k} {HOSTILE}", f"s{(k * 7 + j) % 400} {HOSTILE}"): same for k in range(400) for j in range(9)}, 3
        )


def test_a_large_graph_says_what_is_left_out(view: Make):
    with served(replace(deps(), traces=Large(full=True))) as world:
        found = opened(view(320), f"{world.url}/graph", "Left out: 200 services and")
        expect(found.page.get_by_text("of every 3. trace, and counted 3 times")).to_be_visible()
        expect(found.page.locator("a.node")).to_have_count(200)
        assert violations(found) == []
        found.check()
