"""What is huge or wrong is shown within bounds: texts of telemetry, lists of numbers, faults of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from api.conftest import World, served
from api.fake import deps
from api.world import NOW, story
from browsing import View
from tocsin.api.ports import Line

pytestmark = pytest.mark.system
Make = Callable[..., View]
HUGE = "L" * 9_999 + "🔥"
SENDERS = 60


def height(view: View) -> int:
    """How tall the page is, in pixels."""
    found: int = view.page.evaluate("document.documentElement.scrollHeight")
    return found


def test_a_text_of_ten_thousand_letters_takes_a_few_lines(full: World, view: Make):
    made = view(390, 800)
    page = made.page
    row = {"time": NOW - 1, "kind": "deploy", "entity": HUGE, "what": HUGE, "source": "api"}
    full.deps.telemetry.events = lambda *_: [row]
    page.goto(full.url)
    what = page.get_by_role("region", name="Recent changes").locator("bdi").last
    expect(what).to_have_text("L" * 160 + "…")
    assert len(what.get_attribute("title") or "") == 2001
    assert height(made) < 6_000
    made.check()


def test_numbers_of_many_senders_are_shown_when_they_are_asked_for(view: Make):
    lines = ["# TYPE tocsin_ingest_accepted_rows_total counter"]
    lines += [f'tocsin_ingest_accepted_rows_total{{source="otlp/s{n}"}} {n + 1}.0' for n in range(SENDERS)]
    held = replace(deps(), expositions=lambda: {"hot": "\n".join([*lines, ""])})
    with served(held) as world:
        made = view()
        page = made.page
        page.goto(f"{world.url}/status")
        rows = page.get_by_role("region", name="Received").locator("tr")
        expect(rows).to_have_count(12)
        expect(rows.first).to_contain_text("source=otlp/s59")
        page.get_by_role("button", name="Show all 60 counts").click()
        expect(rows).to_have_count(SENDERS)
        page.get_by_role("button", name="Show only 12").click()
        expect(rows).to_have_count(12)
        made.check()


def test_a_fault_of_a_changed_configuration_is_seen_where_people_look(view: Make):
    fault = "/etc/tocsin.yaml:3:1: unknown key `rutes`; did you mean `routes`?"
    with served(replace(deps(), config_faults=lambda: [fault])) as world:
        made = view()
        made.page.goto(world.url)
        spots = made.page.get_by_role("region", name="Blind spots")
        expect(spots).to_contain_text("The changed configuration has a fault and no effect")
        expect(spots).to_contain_text(fault)
        made.page.goto(f"{world.url}/status")
        expect(made.page.get_by_role("region", name="Configuration")).to_contain_text(fault)
        made.check()


def test_lines_of_one_signal_are_told_apart(full: World, view: Make):
    def line(name: str) -> Line:
        labels = {"host.name": "vm", "process.executable.name": name}
        times = [NOW - (9 - k) * 10**10 for k in range(10)]
        return Line(name.encode().hex().ljust(32, "0"), "process.cpu.utilization", "1", labels, times, [0.5] * 10)

    names = iter(("python", "chrome", "tocsin", "git", "make"))
    full.deps.telemetry.panes = lambda *_: [line(next(names, "sh"))]
    made = view()
    made.page.goto(f"{full.url}/incidents/{story().id}")
    charts = made.page.get_by_role("region", name="Timeline").locator(".multiples h3")
    expect(charts.nth(0)).to_have_text("process.cpu.utilization · vm · python")
    expect(charts.nth(1)).to_have_text("process.cpu.utilization · vm · chrome")
    made.check()
