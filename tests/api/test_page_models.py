"""The pages of models in a real browser: what they say, and that the address holds their state."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from api.conftest import View, World
from api.test_page import opened, violations

pytestmark = pytest.mark.system
Make = Callable[..., View]
FRAUD = "/models?model=fraud"


def test_a_models_page_says_what_moved_where_it_fails_and_for_whom(full: World, view: Make):
    found = opened(view(), f"{full.url}{FRAUD}&group=region&metric=feedback.clicked", "Truth came for")
    page = found.page
    performance = page.get_by_role("region", name="Performance", exact=True)
    expect(performance).to_contain_text("Truth came for 700 of 800 predictions (88 %)")
    expect(performance).to_contain_text("Worse than the reference: realised accuracy")
    expect(performance.locator(".dot").first).to_be_attached()
    drift = page.get_by_role("region", name="Drift", exact=True)
    expect(drift).to_contain_text("1 of 5 moved: amount.")
    expect(drift.locator("tr", has_text="amount").first).to_contain_text(
        re.compile(r"moved.*significant.*values are above")
    )
    expect(drift.locator(".now-bar")).to_have_count(20)
    expect(page.get_by_role("region", name="Segments", exact=True)).to_contain_text("Worst: region=eu")
    expect(page.get_by_role("region", name="Fairness", exact=True)).to_contain_text("Surely unequal")
    expect(page.get_by_role("region", name="Versions", exact=True)).to_contain_text("v2 is better than v1")
    found.check()


def test_choices_of_a_models_page_are_in_its_address(full: World, view: Make):
    found = opened(view(), full.url + FRAUD, "Truth came for")
    page = found.page
    page.get_by_role("button", name="recall").click()
    expect(page).to_have_url(f"{full.url}{FRAUD}&measure=recall")
    expect(page.get_by_text("recall over time")).to_be_visible()
    page.get_by_role("button", name="country").click()
    expect(page.get_by_role("heading", name="country")).to_be_visible()
    page.get_by_label("Segment", exact=True).select_option("region=eu")
    expect(page).to_have_url(f"{full.url}{FRAUD}&measure=recall&feature=country&segment=region%3Deu")
    expect(page.get_by_text("Surely unequal")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Segment", exact=True)).to_have_value("region=eu")
    page.go_back()
    expect(page.get_by_label("Segment", exact=True)).to_have_value("")
    found.check()


def test_a_model_of_few_records_and_a_hostile_name_says_what_is_missing(full: World, view: Make):
    found = opened(view(320, 800), f"{full.url}/models", "Models that sent records")
    page = found.page
    page.get_by_role("link", name=re.compile("few")).click()
    expect(page.get_by_text("No truth has come for these 7 predictions yet")).to_be_visible()
    expect(page.get_by_text("With so few rows intervals are wide")).to_be_visible()
    expect(page.get_by_text("There is no reference yet")).to_be_visible()
    assert violations(found) == []
    found.check()


def test_a_model_or_segment_that_is_not_there_says_so(full: World, view: Make):
    page = view().page
    page.goto(f"{full.url}/models?model=froud")
    expect(page.get_by_role("alert")).to_contain_text("did you mean `fraud`?")
    page.goto(f"{full.url}{FRAUD}&segment=region:mars")
    expect(page.get_by_role("alert")).to_contain_text("no record has region=mars")
    page.get_by_role("button", name="Show all rows").click()
    expect(page.get_by_text("Worst: region=eu")).to_be_visible()
