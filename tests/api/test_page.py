"""The pages in a real browser: both themes, wide and narrow, empty and full, by keyboard, with hostile text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import expect

from api.conftest import World, served
from api.fake import deps
from api.trace_world import LARGE, TRACE
from api.world import HOSTILE, NOW, NS, series_of, story
from browsing import View
from tocsin.model.incident import IncidentState, Severity
from tocsin.stats.alike import Groups

pytestmark = pytest.mark.system
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
INCIDENT = f"/incidents/{story().id}"
SIGNAL = "/signals?signal=gen_ai.client.operation.duration"
PAGES = {
    "overview": ("/", "Inbox"),
    "incident": (INCIDENT, "Who was told"),
    "signals": ("/signals", "of a name"),
    "signal": (SIGNAL, "monitor baseline"),
    "absent": ("/signals?state=absent", "Series that are absent"),
    "traces": ("/traces", "2 traces"),
    "trace": (f"/traces/{TRACE}?span=0000000000000006", "Prompts and completions"),
    "graph": ("/graph", "Who calls whom"),
    "logs": ("/logs?template=f505026a044dfd9c", "lines like"),
    "llm": ("/llm", "By model"),
    "llm spending": ("/llm?spend=week", "will pass"),
    "machines": ("/machines", "2 on gpu-node-2"),
    "models": ("/models", "Models that sent records"),
    "model": ("/models?model=fraud&group=region&metric=feedback.clicked&ratio=1:1", "v2 against v1"),
    "actions": ("/actions", "Not settled"),
    "review": ("/review?days=140", "what paged nobody"),
    "status": ("/status", "Destinations"),
    "signin": ("/signin", "Sign in"),
}
EMPTY = {
    "overview": ("/", "Send something"),
    "signals": ("/signals", "No telemetry"),
    "traces": ("/traces", "Send spans"),
    "graph": ("/graph", "Send spans of services"),
    "logs": ("/logs", "Send logs"),
    "llm": ("/llm", "Send calls of models"),
    "machines": ("/machines", "Send metrics of machines"),
    "models": ("/models", "Send a record"),
    "actions": ("/actions", "Nothing acts by itself"),
    "review": ("/review", "Nothing fired in this time"),
    "audit": ("/audit", "Nobody did anything yet"),
    "status": ("/status", "Nothing was dropped"),
}
Make = Callable[..., View]


def opened(view: View, url: str, text: str) -> View:
    """Go to a page and wait until it shows what it is for."""
    view.page.goto(url)
    if text != "of a name":
        expect(view.page.get_by_text(text).first).to_be_visible()
    expect(view.page.locator("h1")).to_have_count(1)
    expect(view.page.locator(".loading")).to_have_count(0)
    return view


def violations(view: View) -> list[str]:
    """What axe finds, as text. The tool is evaluated through the debugger, which the page's policy does not see."""
    view.page.evaluate(AXE + "; undefined")
    found = view.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found["violations"]]


OTHERS = [pytest.param(*other, marks=pytest.mark.soak) for other in ((320, "dark"), (1360, "dark"), (320, "light"))]


@pytest.mark.parametrize(("width", "theme"), [(1360, "light"), *OTHERS])
def test_every_full_page_is_clean_and_accessible(full: World, view: Make, width: int, theme: str):
    for path, text in PAGES.values():
        found = opened(view(width, 800, theme), full.url + path, text)
        assert found.page.evaluate("document.documentElement.dataset.theme") == theme
        assert violations(found) == [], path
        found.check()
        found.page.context.close()  # else it goes on reading beside the others


@pytest.mark.parametrize(("width", "theme"), [(320, "dark"), pytest.param(1360, "light", marks=pytest.mark.soak)])
def test_every_empty_page_says_what_to_do(empty: World, view: Make, width: int, theme: str):
    for path, text in EMPTY.values():
        found = opened(view(width, 800, theme), empty.url + path, text)
        assert violations(found) == [], path
        found.check()
        found.page.context.close()  # else it goes on reading beside the others
    page = opened(view(), empty.url, "Send something").page
    expect(page.get_by_label("environment for OpenTelemetry", exact=True)).to_contain_text(
        f"OTEL_EXPORTER_OTLP_ENDPOINT={empty.url}"
    )
    expect(page.get_by_label("remote write for prometheus.yml", exact=True)).to_contain_text(
        f"{empty.url}/api/v1/write"
    )


def test_incident_leads_with_words_and_shows_the_evidence(full: World, view: Make):
    page = opened(view(), full.url + INCIDENT, "Who was told").page
    expect(page.locator("h1")).to_have_text(story().title)
    expect(page.locator(".say")).to_have_text(story().statement)
    expect(page.get_by_text(story().severity_arithmetic)).to_be_visible()
    first = page.locator(".causes > li").first
    expect(first).to_contain_text("prompt version answer-v7 replaced answer-v6")
    expect(first).to_contain_text("0.86")
    expect(page.locator(".causes .against").first).to_contain_text("no edge leads from web to support-bot")
    expect(page.locator(".plot canvas")).to_have_count(6)  # the overlay and five signals
    row = page.locator("tr", has_text="DCGM_FI_DEV_FB_USED")
    expect(row).to_contain_text("61.4 GiB")
    expect(row).to_contain_text("37 to 43.5 GiB")
    expect(page.locator("tr", has_text="num_requests_waiting")).to_contain_text("at most 0.9")
    expect(page.locator("tr", has_text="operation.duration").first).to_contain_text("2.74 s")
    expect(page.locator("time").first).to_have_attribute("title", re.compile(r"UTC"))
    examples = page.get_by_role("region", name="Example traces")
    expect(examples.get_by_role("link", name="the slowest since it began")).to_have_attribute(
        "href", f"/traces/{TRACE}"
    )
    expect(examples).to_contain_text("a typical one before 900 ms")
    # a name breaks behind its separators only
    assert page.locator("th.names a").first.evaluate("a => a.querySelectorAll('wbr').length") == 4


def test_chart_has_a_table_with_the_same_numbers(full: World, view: Make):
    page = opened(view(), full.url + SIGNAL, "monitor baseline").page
    page.get_by_text("Show as a table").first.click()
    rows = page.locator(".as-table tbody tr")
    expect(rows.nth(40)).to_be_visible()
    assert rows.count() <= 61
    expect(rows.first).to_contain_text(re.compile(r"2\.\d+ s.*7\d\d to 8\d\d ms"))


def test_acknowledge_and_resolve_change_the_page_and_the_store(full: World, view: Make):
    found = opened(view(), full.url + INCIDENT, "Who was told")
    found.page.get_by_role("button", name="Acknowledge").click()
    expect(found.page.locator(".statement .tag").first).to_have_text("acknowledged")
    expect(found.page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    found.page.get_by_role("button", name="Resolve").click()
    expect(found.page.locator(".statement .tag").first).to_have_text("resolved")
    held = full.deps.state.incident("main", story().id)
    assert held is not None
    assert held.state is IncidentState.RESOLVED
    found.check()


def test_silencing_from_an_incident_is_shown_everywhere_and_ended_on_the_overview(full: World, view: Make):
    found = opened(view(), full.url + INCIDENT, "Who was told")
    page = found.page
    page.get_by_text("Silence …").click()
    page.get_by_label("Page nobody about").select_option("everything on support-bot")
    page.locator("select[name=for]").select_option("4 hours")
    page.get_by_label("Why, for the others").fill(HOSTILE)
    assert violations(found) == []
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator(".statement .note.warn")).to_contain_text("nobody is told. It matches entity=support-bot")
    expect(page.get_by_text("Silence …")).to_have_count(0)
    [silence] = full.deps.state.silences("main", NOW)
    assert (silence.matchers, silence.note, silence.ends_at - NOW) == (
        {"entity": "support-bot"},
        HOSTILE,
        4 * 3600 * NS,
    )
    page.goto(full.url)
    expect(page.get_by_role("region", name="Silenced")).to_contain_text("holds back 1 incident")
    expect(page.locator(".card", has_text="support-bot").first).to_contain_text("silenced until")
    assert violations(found) == []
    page.get_by_role("button", name="End the silence of support-bot").click()
    expect(page.get_by_role("region", name="Silenced")).to_have_count(0)
    assert full.deps.state.silences("main", NOW) == []
    found.check()


def test_a_verdict_from_the_page_is_kept_and_shown(full: World, view: Make):
    found = opened(view(), full.url + INCIDENT, "Who was told")
    page = found.page
    page.get_by_text("Was it real? …").click()
    page.get_by_label("Why", exact=True).fill("a load test")
    page.get_by_role("button", name="A false alarm").click()
    expect(page.get_by_text("It was a false alarm")).to_be_visible()
    expect(page.get_by_label("What happened when")).to_contain_text("by someone on this machine: a load test")
    assert [each.verdict for each in full.deps.state.feedback("main", story().id)] == ["false_alarm"]
    found.check()


def test_a_link_in_a_message_says_nothing_until_it_is_pressed(full: World, view: Make):
    asked, before = "From your message", len(full.deps.state.feedback("main", story().id))
    found = opened(view(), f"{full.url}{INCIDENT}?say=false_alarm", "You came to say that it is a false alarm.")
    group = found.page.get_by_role("group", name=asked)
    assert len(full.deps.state.feedback("main", story().id)) == before, "whoever previews the link says nothing"
    group.get_by_role("button", name="Not now").click()
    expect(group).to_have_count(0)
    assert len(full.deps.state.feedback("main", story().id)) == before
    found.page.goto(f"{full.url}{INCIDENT}?say=false_alarm")
    assert violations(found) == []
    group.get_by_role("button", name="It is a false alarm").click()
    expect(group).to_have_count(0)
    assert "say=" not in found.page.url
    said = full.deps.state.feedback("main", story().id)
    assert (len(said), said[-1].verdict) == (before + 1, "false_alarm")
    found.check()


def test_news_appears_by_itself_and_is_read_out(full: World, view: Make):
    found = opened(view(), full.url, "Inbox")
    expect(found.page.locator(".link.live")).to_be_visible()
    full.deps.state.add(
        replace(story(), id="inc-new", title=f"fresh trouble {HOSTILE}", severity=Severity.ERROR, updated_at=NOW)
    )
    expect(found.page.get_by_role("link", name="fresh trouble")).to_be_visible()
    expect(found.page.locator("[aria-live=polite]")).to_contain_text("New incident, error: fresh trouble")
    found.check()


def test_keyboard_moves_opens_turns_and_explains(full: World, view: Make):
    found = opened(view(), full.url, "Inbox")
    page = found.page
    page.keyboard.press("j")
    expect(page).to_have_url(f"{full.url}/?selected={story().id}")
    page.keyboard.press("j")
    assert story().id not in page.url
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(full.url + INCIDENT)
    expect(page.locator("h1")).to_have_text(story().title)
    expect(page.locator("[data-next]").first).to_be_attached()  # the neighbours are known a moment later
    page.keyboard.press("j")
    expect(page.locator("h1")).not_to_have_text(story().title)
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("light or dark")
    assert violations(found) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    found.check()


def test_the_address_holds_the_state_and_back_works(full: World, view: Make):
    page = opened(view(), f"{full.url}/signals", "of a name").page
    page.get_by_label("Search").fill("vllm")
    expect(page.locator(".finder .card")).to_have_count(2)
    page.get_by_role("link", name="vllm:num_requests_waiting").click()
    expect(page.locator(".plot canvas")).to_have_count(1)
    page.get_by_role("button", name="24 h").click()
    expect(page).to_have_url(f"{full.url}/signals?search=vllm&signal=vllm%3Anum_requests_waiting&range=24h")
    page.reload()
    expect(page.get_by_role("button", name="24 h")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Search")).to_have_value("vllm")
    page.go_back()
    expect(page.get_by_role("button", name="6 h")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(page).to_have_url(f"{full.url}/signals?search=vllm")
    page.go_forward()
    expect(page.locator(".plot canvas")).to_have_count(1)


def test_a_group_that_only_a_monitor_knows_is_drawn_by_its_own_identity(full: World, view: Make):
    group = series_of("vllm:kv_cache_usage_perc").id.hex()
    page = opened(view(), f"{full.url}/signals?signal=system.memory.usage&series={group}", "monitor baseline").page
    expect(page.locator(".chosen")).to_contain_text("service.name=vllm")
    expect(page.locator("tr.current")).to_have_count(0)


def test_dragging_over_a_chart_zooms_and_is_in_the_address(full: World, view: Make):
    page = opened(view(), full.url + SIGNAL, "monitor baseline").page
    box = page.locator(".plot .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=\d{10}&to=\d{10}$"))
    page.go_back()
    expect(page).to_have_url(full.url + SIGNAL)


def test_destination_test_shows_the_answer_or_the_reason(full: World, view: Make):
    page = opened(view(), f"{full.url}/status", "Destinations").page
    page.get_by_role("button", name="Send a test to pagerduty").click()
    expect(page.get_by_text("✓ events.pagerduty.com answered 202 Accepted")).to_be_visible()
    page.get_by_role("button", name="Send a test to slack").click()
    expect(page.get_by_text("✗ hooks.slack.com answered 503")).to_be_visible()


def test_without_a_key_one_signs_in_and_comes_back(behind_keys: World, view: Make):
    page = view().page
    page.goto(behind_keys.url + INCIDENT)
    expect(page).to_have_url(re.compile(r"/signin\?next=%2Fincidents%2F"))
    page.get_by_label("Key", exact=True).fill("nonsense")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("this key is not known here")
    page.get_by_label("Key", exact=True).fill("reader")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_have_text(story().title)
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key", exact=True)).to_be_visible()


def test_sign_in_never_leads_to_another_site(behind_keys: World, view: Make):
    for target in ("//evil.example/", "https://evil.example/", "/\\evil.example"):
        page = view().page
        page.goto(f"{behind_keys.url}/signin?next={target}")
        page.get_by_label("Key", exact=True).fill("reader")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Inbox").first).to_be_visible()
        assert page.url == f"{behind_keys.url}/"


def test_a_server_that_is_gone_is_said_and_old_values_stay(full: World, view: Make):
    page = opened(view(), full.url, "Inbox").page
    expect(page.locator(".link.live")).to_be_visible()
    full.stop()
    expect(page.get_by_text("The server does not answer.").first).to_be_visible()
    expect(page.get_by_text("Inbox").first).to_be_visible()


@pytest.mark.parametrize("path", ["/incidents/%E0%A4%A", "/incidents/%ff", "/signals?range=toString&signal=network.io"])
def test_an_address_that_makes_no_sense_still_shows_a_page(full: World, view: Make, path: str):
    found = view()
    found.page.goto(full.url + path)
    expect(found.page.locator("h1")).to_have_count(1)
    expect(found.page.locator(".loading")).to_have_count(0)
    assert [each for each in found.errors if "404" not in each] == []


def test_an_incident_that_is_not_there_says_so(full: World, view: Make):
    page = view().page
    page.goto(f"{full.url}/incidents/inc-none")
    expect(page.get_by_role("alert")).to_contain_text("there is no incident 'inc-none' here")
    expect(page.get_by_role("alert")).to_contain_text("list them at /api/incidents")


def test_the_policy_would_stop_a_script_that_got_in(full: World, view: Make):
    page = opened(view(), full.url, "Inbox").page
    outcome = page.evaluate(
        """() => { try { document.querySelector('main').innerHTML = '<img src=x onerror="window.hacked=1">'; return 'let in' }
        catch (error) { return error.name } }"""
    )
    assert outcome == "TypeError"
    assert page.evaluate("window.hacked") is None


def test_an_address_of_no_page_says_so_and_programs_still_get_a_problem(full: World, view: Make):
    page = view().page
    answer = page.goto(f"{full.url}/nowhere/at-all")
    assert answer is not None
    assert answer.status == 404
    expect(page.locator("h1")).to_have_text("There is no such page")
    page.get_by_role("link", name="overview", exact=True).click()
    expect(page.get_by_text("Inbox").first).to_be_visible()
    for path, accept in (("/nowhere", "*/*"), ("/api/nowhere", "text/html"), ("/v1/nowhere", "text/html")):
        asked = page.request.get(full.url + path, headers={"accept": accept})
        assert (asked.status, asked.headers["content-type"]) == (404, "application/problem+json")


def test_a_waterfall_is_walked_folded_and_opened_by_keyboard(full: World, view: Make):
    found = opened(view(), f"{full.url}/traces/{TRACE}", "Where the time went")
    page = found.page
    rows = page.locator(".waterfall > li")
    expect(rows).to_have_count(11)
    expect(rows.first).to_contain_text("level 1: POST /chat")
    expect(rows.first).to_contain_text("4.7\u00d7 the usual")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page).to_have_url(f"{full.url}/traces/{TRACE}?span=0000000000000002")
    expect(rows.nth(1)).to_contain_text("of 4,100 on the day before half took at most 900 ms")
    page.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("8 spans below: 3 model calls, 12,298 tokens in, 612 out · $0.0406")
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(11)
    page.get_by_role("link", name="chat llama-3.1-70b").nth(1).click()
    expect(page.locator("details", has_text="gen_ai.input.messages").locator("pre")).not_to_be_visible()
    page.get_by_text("gen_ai.input.messages").click()
    expect(page.locator(".waterfall details pre").first).to_contain_text("You are the support bot")
    expect(page.get_by_text("[content dropped: 812 chars").first).to_be_visible()
    found.check()


def test_a_trace_of_ten_thousand_spans_is_drawn_in_part_and_says_so(full: World, view: Make):
    found = opened(view(), f"{full.url}/traces/{LARGE}", "12,400 spans are stored")
    assert 100 < found.page.locator(".waterfall > li").count() <= 300
    expect(found.page.locator(".waterfall > li").first).to_contain_text("below, not drawn")
    found.check()


def test_traces_are_asked_for_by_the_address(full: World, view: Make):
    page = opened(view(), f"{full.url}/traces?service=audit&range=24h", "1 trace").page
    expect(page.get_by_label("Service")).to_have_value("audit")
    page.get_by_label("Status").select_option("error")
    expect(page).to_have_url(f"{full.url}/traces?service=audit&range=24h&status=error")
    expect(page.get_by_text("No trace is like this")).to_be_visible()
    page.get_by_role("button", name="ask for nothing").click()
    expect(page.locator(".found > li")).to_have_count(2)


RUNS = """() => {
  const canvas = document.querySelector('.plot canvas'), k = devicePixelRatio;
  const [left, low] = [90 * k, canvas.height - 50 * k];
  const pixels = canvas.getContext('2d').getImageData(left, 0, canvas.width - left, low);
  const dark = new Set();
  for (let i = 0; i < pixels.data.length; i += 4)
    if (pixels.data[i + 3] > 200 && pixels.data[i] + pixels.data[i + 1] + pixels.data[i + 2] < 400) dark.add(i / 4 % pixels.width);
  return [...dark].filter(x => !dark.has(x - 1)).length;
}"""


def test_a_value_that_stands_alone_is_drawn_as_a_mark(full: World, view: Make):
    page = opened(view(), full.url + SIGNAL, "monitor baseline").page
    expect(page.locator(".plot canvas")).to_have_count(1)
    page.wait_for_timeout(300)
    assert page.evaluate(RUNS) == 3  # a line, the mark between two gaps, a line


def test_logs_say_by_what_templates_are_one_row(full: World, view: Make):
    page = opened(view(), f"{full.url}/logs", "What is said").page
    expect(page.get_by_text("by hashed words", exact=True)).to_be_visible()
    rows = page.get_by_role("region", name="Table of templates").locator("tbody tr")
    whole = rows.count()
    assert whole > 2
    grouped = replace(deps(), alike=lambda texts: Groups([0] * len(texts), "model minilm", HOSTILE))
    with served(grouped) as other:
        found = opened(view(), f"{other.url}/logs?alike=1", "What is said")
        told = found.page.get_by_text("by model minilm, not by the model: ")
        expect(told).to_contain_text(HOSTILE.splitlines()[0][:20])
        rows = found.page.get_by_role("region", name="Table of templates").locator("tbody tr")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text(f"and {whole - 1} templates alike")
        assert violations(found) == []
        found.check()
