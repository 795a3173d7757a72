"""The audit page in a real browser: parts of the trail, page by page, a chain that holds and one that doesn't; models due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from api.conftest import World, served
from api.fake import FakeState, deps
from api.test_page import Make, opened, violations
from api.world import HOSTILE, NOW, NS, story
from tocsin.api.ports import Deps
from tocsin.api.retraining_ports import ModelStanding
from tocsin.model.errors import Corrupt

pytestmark = pytest.mark.system
DONE = (
    ("ann", "ack", story().id, {"note": "looking"}),
    ("bob", "silence", "sil-1", {"matchers": {"service.name": "support-bot"}, "note": HOSTILE}),
    ("ann", "apply_config", "ab" * 32, {}),
    (HOSTILE, "export", "points", {"format": "csv"}),
)
ENTRIES = 250


class FakeRetraining:
    """Two models, one of which is due."""

    def __init__(self) -> None:
        due = ModelStanding(
            "checkout-latency", "models/latency.onnx", "cd" * 32, NOW - 86_400 * NS * 9, 7, 7, 1, 2, 0.75,
            NOW - 7200 * NS, [(NOW - 7200 * NS, "7 of 7 incidents it had a part in were called false alarms")],
        )  # fmt: skip
        self.held = [due, replace(due, monitor="cpu", due_at=None, reasons=[], foreign_share=None, false_alarms=0)]

    def models(self, tenant: str) -> list[ModelStanding]:
        return self.held if tenant == "main" else []

    def put_off(self, tenant: str, monitor: str, *, by: str, at: int) -> bool:
        self.held[0] = replace(self.held[0], due_at=None, reasons=[], put_off_at=at, put_off_by=by)
        return monitor == "checkout-latency"

    def take_up(self, tenant: str, monitor: str, *, by: str, at: int) -> bool:
        first = FakeRetraining().held[0]
        self.held[0] = first
        return monitor == first.monitor


def lived() -> Deps:
    """The full world after people did something, 250 times."""
    found = replace(deps(), retraining=FakeRetraining())
    for number in range(ENTRIES):
        actor, action, subject, detail = DONE[number % len(DONE)]
        found.state.audit("main", actor, action, subject, detail, NOW - (ENTRIES - number) * 3600 * NS)
    return found


@pytest.fixture
def world() -> Iterator[World]:
    with served(lived()) as found:
        yield found


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (400, "dark")])
def test_the_trail_is_clean_and_accessible_and_turned_page_by_page(world: World, view: Make, width: int, theme: str):
    found = opened(view(width, 800, theme), f"{world.url}/audit", "250 entries of the whole trail checked")
    page, rows = found.page, found.page.locator("ol.trail > li")
    expect(rows).to_have_count(100)
    expect(rows.first).to_contain_text("silence")
    assert violations(found) == []
    page.get_by_role("button", name="older").click()
    expect(page.get_by_text("below entry 151")).to_be_visible()
    expect(page).to_have_url(f"{world.url}/audit?before=151")
    page.get_by_role("button", name="older").click()
    expect(rows).to_have_count(50)
    expect(page.get_by_role("button", name="older")).to_have_count(0)
    page.get_by_role("button", name="newest").click()
    expect(rows).to_have_count(100)
    found.check()


def test_the_ledger_of_actions_is_found_below_whatever_else_was_done_since(view: Make):
    acted = lived()
    acted.state.trail[3]["action"], acted.state.trail[4]["action"] = "remedy.succeeded", "remediation.stop"
    with served(acted) as world:
        found = opened(view(), f"{world.url}/actions", "250 entries of the trail checked")
        rows = found.page.get_by_role("region", name="Ledger of actions").get_by_role("row")
        expect(rows).to_have_count(3)
        found.page.get_by_role("link", name="audit trail").click()
        expect(found.page.locator("ol.trail > li")).to_have_count(2)
        expect(found.page.get_by_label("Did what")).to_have_value("remed*")
        found.check()


def test_entries_are_found_by_who_what_and_when(world: World, view: Make):
    found = opened(view(), f"{world.url}/audit?before=40", "below entry 40")
    page, rows = found.page, found.page.locator("ol.trail > li")
    page.get_by_label("Who").fill("bob")
    page.get_by_label("Who").press("Enter")
    expect(page).to_have_url(f"{world.url}/audit?actor=bob")  # and not from entry 40 on
    expect(rows).to_have_count(63)
    page.get_by_label("Did what").select_option("ack")
    expect(page.get_by_text("Nobody did such a thing in this time.")).to_be_visible()
    page.get_by_role("button", name="ask for nothing").click()
    page.get_by_label("To what").fill(story().id)
    page.get_by_label("To what").press("Enter")
    expect(rows).to_have_count(63)
    expect(rows.first.get_by_role("link")).to_have_attribute("href", f"/incidents/{story().id}")
    found.check()


class Broken(FakeState):
    """A trail that somebody changed."""

    def verify_audit(self) -> int:
        raise Corrupt(f"audit trail: entry 3 (ack by {HOSTILE}) was changed after it was written")


def test_a_broken_chain_is_an_alarm(view: Make):
    with served(replace(deps(), state=Broken(full=True))) as world:
        found = opened(view(), f"{world.url}/audit", "The trail is not what was written.")
        expect(found.page.get_by_role("alert")).to_contain_text("entry 3")
        assert violations(found) == []
        found.check()


def test_who_may_not_read_it_is_told_so_and_sees_no_link(behind_keys: World, view: Make):
    page = view().page
    page.goto(f"{behind_keys.url}/signin?next=%2Faudit")
    page.get_by_label("Key", exact=True).fill("reader")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Only a key of the scope admin")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link", name="Audit")).to_have_count(0)


def test_a_model_that_is_due_is_seen_on_the_review_page_and_put_off(world: World, view: Make):
    found = opened(view(), f"{world.url}/review?days=140", "1 due to be trained again")
    panel = found.page.get_by_role("region", name="Models of monitors")
    expect(panel).to_contain_text("7 of 7 incidents it had a part in were called false alarms")
    assert violations(found) == []
    panel.get_by_role("button", name="Put off: checkout-latency").click()
    expect(panel).to_contain_text("none is due to be trained again")
    panel.get_by_role("button", name="Take up again: checkout-latency").click()
    expect(panel).to_contain_text("1 due to be trained again")
    found.check()
