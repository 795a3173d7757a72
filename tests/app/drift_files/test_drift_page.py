"""The page of `tocsin drift --html`: whole, loads nothing, and text of files stays text."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from drift_world import model_rows, without, write

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
EVIL = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>\u202e'


class _Elements(HTMLParser):
    VOID = frozenset({"meta", "br", "img", "link", "input", "circle", "rect", "line", "path", "polyline"})

    def __init__(self):
        super().__init__()
        self.seen, self.open, self.attributes = set(), [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture
def hostile(tmp_path, drift):
    rows = []
    for seed, shift in ((1, 0.0), (2, 0.7)):
        made = model_rows(seed, 3000, shift)
        made[EVIL] = np.where(made["plan"] == "trial", EVIL, "plain")
        rows.append(made)
    reference = write(tmp_path / "<i>r.csv", rows[0])
    current = write(tmp_path / "<b>c.csv", {**rows[1], "<u>new": rows[1]["age"]})
    page = tmp_path / "page.html"
    result, shown, said = drift(reference, current, "--chunk", "1000", "--segment", EVIL, "--html", page)
    assert result.exit_code == 0, said
    return page, shown


def test_text_of_files_stays_text(hostile):
    page, shown = hostile
    text = page.read_text(encoding="utf-8")
    elements = _Elements()
    elements.feed(text)
    assert not elements.open
    assert not elements.seen & {"script", "img", "i", "b", "u", "link", "iframe", "base", "form", "a"}
    assert not [name for name in elements.attributes if name.startswith("on") or name in {"src", "href"}]
    assert "\u202e" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert all(str(chunk["index"]) in text for chunk in shown["chunks"])


def test_all_parts_are_there_also_where_there_is_no_model(hostile, tmp_path, drift):
    page, _ = hostile
    for head in ("Performance: accuracy", "Features", "Chunks", "Segments", "Columns", "Notes"):
        assert f">{head}</h2>" in page.read_text(encoding="utf-8"), head
    names = ("prediction", "score", "target")
    one, other = (write(tmp_path / f"{k}.csv", without(model_rows(k, 400), *names)) for k in (1, 2))
    drift(one, other, "--html", tmp_path / "bare.html")
    bare = (tmp_path / "bare.html").read_text(encoding="utf-8")
    assert "No alarm." in bare
    assert "Performance" not in bare


@pytest.mark.system
def test_a_browser_shows_it_wide_and_narrow_light_and_dark_and_loads_nothing(hostile):
    page, _ = hostile
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            for width in (1280, 390):
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                tab = context.new_page()
                asked, said = [], []
                tab.on("request", lambda request, asked=asked: asked.append(request.url))
                tab.on("console", lambda message, said=said: said.append(message.text))
                tab.goto(page.as_uri())
                assert asked == [page.as_uri()]
                assert said == []
                assert tab.title() == "Drift of <b>c.csv"
                assert tab.evaluate("document.documentElement.scrollWidth") <= width
                tab.evaluate(AXE + "; undefined")
                found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
                assert [each["id"] for each in found["violations"]] == []
                context.close()
        browser.close()
