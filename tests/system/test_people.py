"""What people do to a whole server: silence, unsilence, verdicts, the trail; and reading what it left once it is stopped."""

import json
import time

import pytest

from system.hook import Hook
from system.otlp_json import gauge, request
from system.server import Server, until

CONFIG = """
monitors: [{{name: too-slow, signal: api.latency, detect: {{threshold: {{above: 1}}}}}}]
destinations: [{{name: hook, type: webhook, url: "{url}", secret: s3cret, allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [hook]}}]
"""


@pytest.fixture(scope="module")
def hook():
    server = Hook()
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(kernels, tmp_path_factory, hook):
    made = Server(tmp_path_factory.mktemp("people"), kernels, CONFIG.format(url=hook.url)).start()
    yield made
    made.close()


def post(server, service, value):
    answer = server.http.post(
        "/v1/metrics", json=request(service, gauge("api.latency", [(time.time_ns(), value, {})], "s"))
    )
    assert answer.status_code == 200, answer.text


def of(server, service):
    found = [each for each in server.get("/api/incidents")["incidents"] if service in each["entities"]]
    return found[0] if found else None


def test_a_silenced_incident_is_seen_and_nobody_is_told_until_it_is_ended(server, hook):
    silence = server.run("silence", "service.name=quiet", "--for", "1h", "--note", "load test").stdout.decode().strip()
    post(server, "quiet", 9.0)
    post(server, "loud", 9.0)
    assert until(lambda: [body for _, _, body in hook.posts if "loud" in str(body)]), server.log()
    found = until(lambda: of(server, "quiet"))
    assert found, "a silenced incident is there"
    assert found["silenced"]["id"] == silence
    assert of(server, "loud")["silenced"] is None
    [page] = until(lambda: server.get(f"/api/incidents/{found['id']}")["pages"])
    assert (page["dry_run"], page["reason"]) == (True, f"silenced by {silence}")
    [shown] = server.get("/api/overview")["silences"]
    assert (shown["incidents"], shown["note"]) == (1, "load test")
    assert silence.encode() in server.run("silences").stdout
    assert not [body for _, _, body in hook.posts if "quiet" in str(body)]
    server.run("unsilence", silence)
    told = until(lambda: [body for _, _, body in hook.posts if "quiet" in str(body)])
    assert [body["action"] for body in told] == ["trigger"]
    assert server.get("/api/silences")["silences"] == []


def test_a_verdict_is_kept_and_the_trail_is_whole(server):
    post(server, "judged", 9.0)
    found = until(lambda: of(server, "judged"))
    silence = server.run("silence", "service.name=elsewhere", "--for", "1h").stdout.decode().strip()
    server.run("unsilence", silence)
    server.run("feedback", found["id"], "false-alarm", "--note", "that was me")
    [said] = server.get(f"/api/incidents/{found['id']}")["feedback"]
    assert (said["verdict"], said["note"]) == ("false_alarm", "that was me")
    actions = [each["action"] for each in server.get("/api/audit")["entries"]]
    assert {"silence", "end_silence", "feedback", "apply"} <= set(actions)
    assert server.run("audit", "verify").returncode == 0


def test_a_changed_configuration_is_in_the_history(server, hook):
    text = CONFIG.format(url=hook.url) + "severity: {warning: 1.2}\n"
    (server.path / "tocsin.yaml").write_text(text)
    found = until(lambda: len(server.get("/api/config/history")["configurations"]) == 2)
    assert found, server.log()
    [now, before] = server.get("/api/config/history")["configurations"]
    assert server.get(f"/api/config/history/{now['sha256']}")["text"] == text
    assert server.get(f"/api/config/history/{before['sha256']}")["text"] == CONFIG.format(url=hook.url)


def test_a_stopped_server_s_directory_is_read_and_not_changed(server):
    post(server, "kept", 9.0)
    assert until(lambda: of(server, "kept"))
    points = until(lambda: "kept" in str(found := server.export("points", signal="api.latency")) and found)
    listed = server.get("/api/incidents", state="open")["incidents"]
    busy = server.run("export", "points", "--data", server.data, check=False)
    assert (busy.returncode, busy.stdout) == (2, b"")
    assert b"uses the data directory" in busy.stderr
    server.stop()
    try:
        look_at_stopped(server, points, listed)
    finally:
        server.start()


def look_at_stopped(server, points, listed):
    def tree():
        files = [each for each in sorted(server.data.rglob("*")) if each.is_file() and each.name != "tocsin.lock"]
        return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in files}

    before = tree()
    done = server.run("export", "points", "--signal", "api.latency", "--data", server.data)
    assert [json.loads(line) for line in done.stdout.splitlines()] == points
    found = json.loads(server.run("incidents", "--state", "open", "--json", "--data", server.data).stdout)["incidents"]
    assert [each["id"] for each in found] == [each["id"] for each in listed]
    assert server.run("export", "points", "--data", server.data, "--tenant", "other").stdout == b""
    assert tree() == before
