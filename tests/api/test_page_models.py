"""The pages of models in a real browser: what they say, and that the address holds their state."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import expect

from api.conftest import World, served
from api.fake import deps
from api.model_world import FakeRows, records, rows_of_world
from api.test_page import opened, violations
from api.world import NOW, NS, story
from browsing import View
from tocsin.app.model_health.view import ModelHealth
from tocsin.model.clock import ManualClock
from tocsin.model.incident import Incident, incident_id
from tocsin.model.seen_at import seen_at
from tocsin.model.series import Series, Signal

pytestmark = pytest.mark.system
Make = Callable[..., View]
FRAUD = "/models?model=fraud"
HUGE = "L" * 9_999


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
    expect(page.get_by_role("region", name="A/B", exact=True)).to_contain_text("v2 is better than v1")
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
    expect(page.get_by_text("No truth has come for these 7 predictions yet").first).to_be_visible()
    expect(page.get_by_text("With so few rows intervals are wide")).to_be_visible()
    expect(page.get_by_text("There is no reference yet: drift shows")).to_be_visible()
    assert violations(found) == []
    found.check()


def test_a_model_or_segment_that_is_not_there_says_so(full: World, view: Make):
    page = view().page
    page.goto(f"{full.url}/models?model=froud")
    expect(page.get_by_role("alert")).to_contain_text("did you mean `fraud`?")
    page.goto(f"{full.url}{FRAUD}&segment=region:mars")
    expect(page.get_by_role("alert")).to_contain_text("no record has region=mars")
    page.get_by_role("button", name="Show all rows").click()
    expect(page.get_by_text("Worst: region=eu").first).to_be_visible()


def test_the_place_of_a_segments_drift_is_its_models_page_with_version_segment_and_time(full: World, view: Make):
    series = Series.of("main", Signal("tocsin.model.drift"), {"model": "fraud", "version": "v2", "region": "eu"})
    start = NOW - 12 * 3600 * NS
    drift = replace(story().findings[0], series=series, start=start, evidence={"detector": "drift"})
    found = opened(view(), full.url + seen_at(drift), "Truth came for")
    page = found.page
    expect(page.get_by_label("Segment", exact=True)).to_have_value("region=eu")
    expect(page.get_by_label("Version", exact=True)).to_have_value("v2")
    expect(page.get_by_role("group", name="Span of time").locator("[aria-pressed=true]")).to_have_count(0)
    found.check()


def test_a_chatbots_page_shows_how_it_behaves_now_and_before(full: World, view: Make):
    found = opened(view(), f"{full.url}/models?model=assistant", "The model behaves differently")
    page = found.page
    behaviour = page.get_by_role("region", name="Behaviour", exact=True)
    expect(behaviour.get_by_role("img", name="Share of rows by value, reference and now")).to_have_count(1)
    expect(behaviour.locator("tr", has_text="output length").first).to_contain_text("moved")
    expect(behaviour.locator("tr", has_text="refusal").first).to_contain_text(re.compile(r"11 % of answers, 1\.4 %"))
    rests = behaviour.get_by_role("region", name="Table of attributions").locator("tbody tr:not(.narrow)")
    expect(rests.first).to_contain_text(re.compile(r"history.*1, was 2.*58 %.*26 %"))
    expect(rests).to_have_count(3)
    drift = page.get_by_role("region", name="Drift", exact=True)
    expect(drift.locator("tr", has_text="embedding").first).to_contain_text(re.compile("vectors.*moved.*direction"))
    drift.get_by_role("button", name="embedding").click()
    expect(drift.get_by_text("distance from the centre of the reference")).to_be_visible()
    expect(page.get_by_text("There is no performance to measure")).to_be_visible()
    found.check()


def test_a_rankers_page_shows_clicks_lists_and_several_arms(full: World, view: Make):
    found = opened(view(), f"{full.url}/models?model=feed&metric=feedback.clicked", "click-through rate over time")
    page = found.page
    ranking = page.get_by_role("region", name="Ranking", exact=True)
    expect(ranking).to_contain_text(
        re.compile(r"click-through rate is 0\.\d+, \d+ % below the 0\.\d+ of the reference")
    )
    ranking.get_by_role("button", name="NDCG").click()
    expect(ranking.get_by_role("heading", name="NDCG of the first 10 over time")).to_be_visible()
    ab = page.get_by_role("region", name="A/B", exact=True)
    expect(ab).to_contain_text(
        re.compile("rank-b: no difference is shown.*rank-c: is better than rank-a.*certain since")
    )
    arms = ab.get_by_role("region", name="Table of arms").locator("tbody tr")
    expect(arms).to_have_count(3)
    expect(arms.nth(1)).to_contain_text(re.compile(r"rank-b.*not decided.*\(.*to.*\)"))
    expect(ab.get_by_role("img", name="Difference of the means")).to_have_count(2)
    ab.get_by_label("Planned split").fill("8:1:1")
    ab.get_by_role("button", name="Test it").click()
    expect(ab).to_contain_text(re.compile("planned 8 : 1 : 1: does not fit.*no difference can be trusted"))
    ab.get_by_label("Planned split").fill("1:1:1")
    ab.get_by_role("button", name="Test it").click()
    expect(ab).to_contain_text("planned 1 : 1 : 1: fits")
    ab.get_by_role("button", name="rank-b", pressed=True).click()
    expect(ab.get_by_role("img", name="Difference of the means")).to_have_count(1)
    expect(page).to_have_url(re.compile("control=rank-a&only=rank-a&only=rank-c"))
    ab.get_by_label("Arms by").select_option("page")
    expect(ab).to_contain_text("Split:")
    expect(ab.get_by_role("region", name="Table of arms").locator("tbody th")).to_have_text(["home", "search"])
    found.check()


def test_groups_are_followed_over_time(full: World, view: Make):
    found = opened(view(), f"{full.url}{FRAUD}&group=region", "Over time, groups by")
    fairness = found.page.get_by_role("region", name="Fairness", exact=True)
    expect(fairness).to_contain_text("Feedback loop suspected for eu")
    row = fairness.get_by_role("region", name="Table of groups over time").locator("tr", has_text="eu").first
    expect(row).to_contain_text(re.compile("moved since 2026-11-17.*-0.1"))
    expect(fairness.get_by_role("img", name="selection rate of eu").locator(".dot.bad")).to_have_count(4)
    fairness.get_by_label("Rate", exact=True).select_option("true_positive_rate")
    expect(fairness.get_by_role("img", name="true positive rate of us")).to_be_visible()
    found.check()


DAYS = (
    ("2026-11-19", 92.0, 80.0, "good", 3.0),
    ("2026-11-20", 61.5, 50.0, "fair", 30.0),
)


def judged(day: str, score: float, at_worst: float, word: str, cost: float) -> dict[str, object]:
    """A day as the judge keeps it."""
    term = {
        "term": "accuracy",
        "kind": "quality",
        "value": 0.76,
        "unit": "",
        "good": 0.9,
        "bad": 0.5,
        "cost": cost,
        "worth": 50.0,
    }
    none = {**term, "term": "latency", "kind": "latency", "value": None, "cost": None, "usual": None, "samples": 0}
    terms = [{**term, "usual": 0.9, "samples": 700, "note": ""}, {**none, "note": HUGE}]
    entity = {"entity": {"kind": "model", "name": "fraud"}, "score": score, "at_worst": at_worst, "word": word}
    return {"day": day, "judged_at": NOW, "entities": [{**entity, "terms": terms, "unmeasured": ["business"]}]}


def test_the_health_of_days_names_what_cost_most(view: Make):
    days = [judged(*each) for each in DAYS]
    with served(replace(deps(), days=lambda _: days)) as world:
        found = opened(view(), world.url + FRAUD, "Truth came for")
        health = found.page.get_by_role("region", name="Health by day")
        expect(health).to_contain_text("61.5 of 100, fair; most was lost by accuracy (30 points)")
        expect(health).to_contain_text("It would be 50 if all that was not measured were bad")
        expect(health.locator("tbody tr").first).to_contain_text(re.compile("accuracy.*30 of 50.*0.76.*0.9"))
        expect(health.locator(".dot")).to_have_count(2)
        found.page.goto(f"{world.url}/models?model=prices")
        expect(found.page.get_by_text("No day of this model was judged yet")).to_be_visible()
        found.check()


def test_a_page_of_numbers_tells_which_law_moved_and_what_was_broken(full: World, view: Make):
    found = opened(view(), f"{full.url}/models?model=prices", "mean absolute error over time")
    page = found.page
    performance = page.get_by_role("region", name="Performance", exact=True)
    row = performance.get_by_role("region", name="Table of measures").locator("tr", has_text="mean absolute error")
    expect(row).to_contain_text(re.compile(r"6\d,\d00.*1\d,\d00.*1\d,\d00"))
    drift = page.get_by_role("region", name="Drift", exact=True)
    for law in ("What comes in P(x)", "What comes true P(y)", "What follows from the same inputs P(y|x)"):
        expect(drift.locator(".laws > div", has_text=law)).to_contain_text("moved")
    quality = page.get_by_role("region", name="Data quality", exact=True)
    expect(quality.locator("tbody tr").first).to_contain_text(re.compile("note.*missing.*broken"))
    short = page.get_by_role("region", name="In short")
    expect(short.locator("li.look", has_text="Data quality")).to_contain_text("broken: note")
    short.get_by_role("link", name="Data quality").press("Enter")
    expect(page).to_have_url(re.compile("#quality$"))
    assert 0 <= (quality.bounding_box() or {})["y"] < 860
    found.check()


def incident_of(model: str) -> Incident:
    """An incident with a finding about a model, open for three hours."""
    series = Series.of("main", Signal("tocsin.model.drift", "1"), {"model": model, "version": "v2"})
    finding = replace(story().findings[0], series=series, start=NOW - 3 * 3600 * NS, monitor="model-drift")
    opened_at = NOW - 3 * 3600 * NS
    return replace(
        story(), id=incident_id("main", series.id), title=f"{model} drifts", findings=(finding,), opened_at=opened_at
    )


def test_an_incident_leads_to_its_model_and_the_model_to_its_incident(full: World, view: Make):
    held = incident_of("fraud")
    full.deps.state.add(held)
    made = view()
    page = made.page
    page.goto(f"{full.url}/incidents/{held.id}")
    page.get_by_role("link", name="fraud", exact=True).click()
    expect(page).to_have_url(re.compile(r"/models\?model=fraud&version=v2&from=2026-11-21T1"))
    box = page.get_by_role("region", name="Incidents of this model in this time")
    expect(box.locator(".card")).to_have_count(1)
    expect(page.get_by_text("In short")).to_be_visible()
    box.get_by_role("link").click()
    expect(page).to_have_url(re.compile(rf"/incidents/{held.id}\?from=\d+&to=\d+"))
    expect(page.get_by_role("button", name="Whole span")).to_be_visible()
    page.goto(f"{full.url}/models?model=prices")
    expect(page.get_by_text("In short")).to_be_visible()
    expect(page.get_by_role("region", name="Incidents of this model in this time")).to_have_count(0)
    made.check()


def test_a_model_shows_something_before_everything_is_computed(view: Make):
    world, gate = deps(), threading.Event()

    class Slow(ModelHealth):
        def health(self, *asked: Any) -> Any:
            assert gate.wait(120)
            return super().health(*asked)

    slow = Slow(rows_of_world(), ManualClock(NOW))
    with served(replace(world, models=slow)) as held:
        made = view()
        made.page.goto(held.url + FRAUD)
        came = made.page.get_by_role("region", name="What came")
        expect(came).to_contain_text("800 predictions since")
        expect(came.locator("tbody tr")).to_have_count(2)
        expect(made.page.get_by_text("Loading the model")).to_be_visible()
        gate.set()
        expect(made.page.get_by_role("region", name="In short")).to_be_visible()
        expect(came).to_have_count(0)
        made.check()


@pytest.mark.parametrize("width", [pytest.param(1360, marks=pytest.mark.soak), 390])
def test_names_of_ten_thousand_letters_and_of_other_directions_break_nothing(view: Make, width: int):
    name = "\u05d0\u202e<b>" + "m" * 9_990
    rows = [
        {
            **row,
            "version": HUGE[:9_000],
            "features": {HUGE: row["features"]["amount"], "\u05d1\u202e<i>x": 1},
            "tags": {HUGE: HUGE},
        }
        for row in records(300, 300)
    ]
    model = ModelHealth(FakeRows({name: rows}), ManualClock(NOW))
    with served(replace(deps(), models=model)) as world:
        made = opened(view(width, 800), f"{world.url}/models", "Models that sent records")
        made.check()
        made.page.get_by_role("region", name="Table of models").get_by_role("link").click()
        expect(made.page.get_by_role("region", name="In short")).to_be_visible()
        expect(made.page.get_by_role("region", name="Drift", exact=True).locator("tbody button").first).to_be_visible()
        assert violations(made) == []
        assert made.page.evaluate("document.documentElement.scrollHeight") < 12_000
        assert made.page.evaluate("document.querySelectorAll('main b > i, main i:not([class])').length") == 0
        made.check()


def test_the_keyboard_reaches_every_choice(full: World, view: Make):
    found = opened(view(), full.url + FRAUD, "Truth came for")
    page = found.page
    page.get_by_role("button", name="country").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="country")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('button, a, select, input, summary, [tabindex=\"0\"]')")
    page.get_by_label("Planned split").focus()
    page.keyboard.type("1:1")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("ratio=1%3A1"))
    found.check()
