"""Addresses in messages of a real server, opened in a real browser: they lead to what the finding is about."""

import time

import pytest
from playwright.sync_api import expect

from system.hook import Hook
from system.otlp_json import gauge, request
from system.server import until

pytestmark = pytest.mark.system

CONFIG = """
monitors:
  - {{name: too-slow, signal: api.latency, by: [service.name], aggregate: max, window: {{size: 2s, step: 1s}}, detect: {{threshold: {{above: 1}}}}}}
  - {{name: too-full, signal: pool.used, detect: {{threshold: {{above: 5}}}}}}
destinations: [{{name: hook, type: webhook, url: "{url}", secret: s3cret, allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [hook]}}]
"""


@pytest.fixture(scope="module")
def hook():
    server = Hook()
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(make_server, hook):
    return make_server(CONFIG.format(url=hook.url))


def told(hook, monitor):
    """What a message says of the finding of a monitor."""
    said = [each for _, _, body in hook.posts for each in body["findings"] if each["said"].startswith(f"{monitor}: ")]
    return said[0] if said else None


def post(server, service, name, *points):
    answer = server.http.post("/v1/metrics", json=request(service, gauge(name, points, "1")))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.soak)])
def test_a_group_of_series_and_a_series_are_opened_with_their_monitor_and_time(server, hook, view, theme):
    def slow():
        now = time.time_ns()
        # the group is of two series, and is neither
        post(server, "shop", "api.latency", (now, 0.2, {"instance": "a"}), (now, 9.0, {"instance": "b"}))
        post(server, "store", "pool.used", (now, 7.0, {"instance": "a"}))
        return told(hook, "too-slow") and told(hook, "too-full")

    assert until(slow, 60, every_s=1.0), server.log()
    group, single = told(hook, "too-slow"), told(hook, "too-full")
    found = view(1280 if theme == "light" else 400, 900, theme)
    found.page.goto(group["url"])
    expect(found.page.get_by_role("heading", name="monitor too-slow")).to_be_visible()
    expect(found.page.locator(".chosen")).to_contain_text("service.name=shop")
    expect(found.page.locator(".chosen")).not_to_contain_text("instance=")
    expect(found.page.locator(".plot canvas")).to_have_count(1)
    expect(found.page.locator("tr.current")).to_have_count(0)  # it is none of the series that are listed
    found.check()
    found.page.goto(single["url"])
    expect(found.page.locator(".chosen")).to_contain_text("instance=a")
    expect(found.page.locator("tr.current")).to_have_count(1)
    expect(found.page.locator(".plot canvas")).to_have_count(1)
    found.check()
    assert "&from=" in group["url"]
