"""A real server into a real Prometheus: its scores are there, at `/metrics` and by remote write, and on the pages."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from system.otlp_json import gauge, request
from system.server import free_ports, until

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """The file in which Prometheus finds whom to scrape: nobody at first."""
    path = tmp_path_factory.mktemp("targets") / "targets.json"
    path.write_text("[]")
    return path


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, targets):
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (apt install prometheus)")
    path = tmp_path_factory.mktemp("prometheus")
    (path / "prometheus.yml").write_text(
        "scrape_configs: [{job_name: tocsin, scrape_interval: 1s, scrape_timeout: 1s,"
        f" file_sd_configs: [{{files: ['{targets}'], refresh_interval: 1s}}]}}]\n"
    )
    (port,) = free_ports(1)
    with (path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={path / 'prometheus.yml'}",
                f"--storage.tsdb.path={path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-remote-write-receiver",
            ],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        yield port
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def server(make_server, prometheus):
    return make_server(f"""
monitors:
  - {{name: too-slow, signal: api.latency, by: [service.name], aggregate: max, window: {{size: 2s, step: 1s}}, detect: {{threshold: {{above: 1}}}}}}
scores:
  remote_write:
    - {{name: prom, url: "http://127.0.0.1:{prometheus}/api/v1/write", interval: 1s, allow: [127.0.0.0/8], labels: {{site: a}}}}
""")


def query(port, text):
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]["result"]
    except OSError:
        return []


def breach(server):
    body = request("shop", gauge("api.latency", [(time.time_ns(), 4.5, {})], "s"))
    assert server.http.post("/v1/metrics", json=body).status_code == 200


def test_a_verdict_is_in_prometheus_and_at_metrics_a_moment_later(server, prometheus):
    def verdicts():
        breach(server)
        return [each for each in query(prometheus, "tocsin_anomaly_verdict{site='a'}") if each["value"][1] == "1"]

    (found,) = until(verdicts, 60, 0.5)
    labels = found["metric"]
    assert (labels["service_name"], labels["monitor"], labels["signal"]) == ("shop", "too-slow", "api.latency")
    assert labels["site"] == "a"
    line = 'tocsin_anomaly_verdict{monitor="too-slow",service_name="shop",signal="api.latency"} 1.0'

    def shown_at_metrics():
        breach(server)
        text = server.http.get("/metrics").text
        return line in text and text

    assert "tocsin_notify_remote_write_samples_total" in until(shown_at_metrics, 60, 0.5)
    shown = {each["name"]: each for each in server.http.get("/api/destinations").json()["destinations"]}
    assert shown["prom"]["type"] == "remote_write"
    assert shown["prom"]["last_ok_at"]
    assert shown["prom"]["failed"] == 0


def test_a_real_prometheus_scrapes_how_the_server_does(server, prometheus, targets):
    targets.write_text(json.dumps([{"targets": [f"127.0.0.1:{server.port}"]}]))
    wanted = {"engine", "intake", "disk", "cold", "hot", "telemetry", "state", "storing", "correlating", "destinations"}

    def checks():
        return {each["metric"]["check"]: each["value"][1] for each in query(prometheus, "tocsin_process_check_up")}

    assert until(lambda: wanted <= checks().keys(), 60, 0.5)
    assert checks()["telemetry"] == "1"
    (ticks,) = until(lambda: query(prometheus, "tocsin_engine_tick_seconds_count > 0"), 60, 0.5)
    assert ticks["metric"]["process"] == "hot"
    answer = server.http.get("/healthz")
    first, *lines = answer.text.splitlines()
    assert answer.status_code == 200
    assert {line.partition(" ")[0] for line in lines} >= {"engine", "intake", "disk", "cold"}
    assert first == ("degraded" if any(line.endswith("failing") for line in lines) else "ok")


def test_the_review_of_a_running_server_knows_what_fired(server):
    def fired():
        breach(server)
        return server.http.get("/api/review").json()["incidents"]

    (incident,) = until(fired, 60, 0.5)
    assert incident["team"] == "rest"
    said = server.http.post(f"/api/incidents/{incident['id']}/feedback", json={"verdict": "false_alarm"})
    assert said.status_code == 200
    (team,) = server.http.get("/api/review").json()["teams"]
    assert (team["false_alarms"], team["unsaid"], team["kept"]) == (1, 0, "yes")
