"""From a breach to somebody's webhook: how long it takes, and that a destination can be tried out."""

import time

import pytest

from system.hook import Hook
from system.otlp_json import gauge, request
from system.server import until


@pytest.fixture(scope="module")
def hook():
    server = Hook()
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(make_server, hook):
    return make_server(f"""
monitors:
  - {{name: too-slow, signal: api.latency, detect: {{threshold: {{above: 1}}}}}}
  - name: load
    signal: api.load
    aggregate: mean
    window: {{size: 2s, step: 1s}}
    detect: {{zscore: {{}}}}
destinations: [{{name: hook, type: webhook, url: "{hook.url}", secret: s3cret, allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [hook]}}]
""")


def post(server, *metrics, service="api"):
    answer = server.http.post("/v1/metrics", json=request(service, *metrics))
    assert answer.status_code == 200, answer.text
    assert "partialSuccess" not in answer.json() or not answer.json()["partialSuccess"], answer.text


def test_a_destination_can_be_tried_out(server, hook):
    before = len(hook.posts)
    answer = server.http.post("/api/destinations/hook/test")
    assert answer.status_code == 200, answer.text
    (headers,) = [headers for _, headers, body in hook.posts[before:] if body["action"] == "test"]
    assert any("signature" in name.lower() for name in headers)
    missing = server.http.post("/api/destinations/hok/test")
    assert missing.status_code == 404
    assert "hook" in missing.text


def test_a_breach_reaches_the_webhook_at_once(server, hook):
    delays = []
    for turn in range(5):
        service = f"api-{turn}"
        post(server, gauge("api.latency", [(time.time_ns(), 0.2, {})], "s"), service=service)
        time.sleep(0.3)
        sent = time.monotonic()
        post(server, gauge("api.latency", [(time.time_ns(), 4.5, {})], "s"), service=service)
        told = until(lambda service=service: [post for post in hook.posts if service in str(post)], 15)
        assert told, server.log()
        came, _, body = told[0]
        delays.append(came - sent)
        assert body["action"] == "trigger"
        (finding,) = body["incident"]["findings"]
        assert (finding["monitor"], finding["signal"], finding["value"]) == ("too-slow", "api.latency", 4.5)
        assert service in str(finding["entity"])
    print(f"breach -> webhook: {', '.join(f'{1000 * delay:.0f} ms' for delay in delays)}")
    assert sorted(delays)[2] < 5


def test_a_learned_monitor_writes_scores(server):
    now = time.time_ns() // 10**9
    values = [(10**9 * (now - 200 + i), 100 + (7 * i) % 5, {}) for i in range(190)]
    post(server, gauge("api.load", values))
    rows = until(lambda: server.export("scores", signal="api.load"))
    assert {"time", "monitor", "signal", "labels", "score", "log10_p", "lower", "upper"} <= set(rows[0])
    assert until(lambda: [r for r in server.export("scores", signal="api.load") if r["log10_p"] is not None])
    rows = [row for row in server.export("scores", signal="api.load") if row["monitor"] == "load"]
    assert len({row["time"] for row in rows}) == len(rows)
    assert len(rows) >= 180
