import json
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from tocsin.demo import engine_page
from tocsin.demo.bot import World
from tocsin.demo.conditions import FAULTS
from tocsin.demo.delivery import Delivery, Page
from tocsin.demo.engine_page import RemoteWrite, exposition, families
from tocsin.demo.story import Story
from tocsin.demo.world import Live, Options, Stage, Teller, history
from tocsin.model.clock import ManualClock
from tocsin.model.errors import Unreachable
from tocsin.model.prometheus_pb import Label, TimeSeries, WriteRequest

ORIGIN_S = 1_700_000_000.0
HOUR_S = 3600.0


class Kept:
    """In place of a delivery: everything as text."""

    def __init__(self):
        self.said = []
        self.events = []

    def send(self, metrics, spans, logs, write):
        traced = [(s.name, s.context.span_id, s.start_time, s.end_time, dict(s.attributes)) for s in spans]
        self.said.append(
            [repr([one.resource_metrics[0].scope_metrics for one in metrics.values()]), traced, len(logs), write]
        )

    def event(self, *told):
        self.events.append(told)


class Silent:
    port, body = 9400, b""


def options(seed=7, fault=None, days=0.02, push=True):
    return Options("", "", "", seed, fault, days, 15.0, push, 0, True)


def played(seed, fault=None, live_s=0, delivery=None):
    kept = delivery or Kept()
    told = options(seed, fault)
    stage = Stage(told, ORIGIN_S, Silent(), kept)
    teller = Teller(True)
    history(stage, ORIGIN_S, threading.Event(), teller, True)
    live = Live(stage, told, Story.of(seed, fault), kept, teller)
    for since_s in range(0, live_s, 5):
        live.step(float(since_s))
    return kept


def test_a_seed_tells_the_same_world_again():
    first = played(3, "prompt", 300).said
    assert first == played(3, "prompt", 300).said
    assert first != played(4, "prompt", 300).said


def test_the_fault_changes_nothing_before_its_time():
    story = Story.of(3, "prompt")
    until = int(story.fault_at_s // 5 * 5)
    faulty, sound = played(3, "prompt", until + 60).said, played(3, None, until + 60).said
    assert len(faulty) == len(sound)
    assert faulty[:-12] == sound[:-12]
    assert faulty != sound


def measured(seed, minutes, fault=None, fault_minute=None):
    """Values a minute: signal -> (n,)."""
    world = World(seed, ORIGIN_S)
    rows = []
    for minute in range(1, minutes + 1):
        if fault and minute > fault_minute:
            FAULTS[fault](world.conditions, 60.0 * (minute - fault_minute))
        turns = world.advance(ORIGIN_S + 60 * minute)
        gpu = world.server.gpu()
        rows.append(
            {
                "input_tokens": np.mean([turn.call.input_tokens for turn in turns]),
                "documents": np.mean([turn.documents for turn in turns]),
                "latency_s": np.mean([turn.end_s - turn.call.at_s for turn in turns]),
                "kv_ratio": world.server.kv_ratio,
                "memory_mib": gpu["FB_USED"],
                "utilisation": gpu["GPU_UTIL"],
                "temperature": gpu["GPU_TEMP"],
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_without_a_fault_nothing_drifts():
    values = measured(11, 12 * 60)
    for name in ("input_tokens", "documents", "memory_mib"):
        early, late = values[name][:360], values[name][360:]
        spread = early.std() / np.sqrt(60)  # generous: neighbouring minutes are alike
        assert abs(early.mean() - late.mean()) < 4 * spread, name
    assert values["kv_ratio"].max() < 0.9
    assert values["memory_mib"].max() - values["memory_mib"].min() < 40  # a healthy server preallocates


def test_the_prompt_change_runs_through_the_machine():
    values = measured(5, 262, "prompt", 250)
    calm, late = slice(0, 250), slice(257, 262)
    for name, least, most in (
        ("documents", 2.5, 4),
        ("input_tokens", 2.2, 4),
        ("latency_s", 2, 100),
        ("kv_ratio", 3, 50),
    ):
        ratio = values[name][late].mean() / values[name][calm].mean()
        assert least < ratio < most, (name, ratio)
    grown = values["memory_mib"][251:262]
    assert (np.diff(grown) > 0).all()  # never given back
    assert grown[-1] > values["memory_mib"][calm].max() + 800
    assert values["utilisation"][late].mean() < values["utilisation"][252:257].mean()


@pytest.mark.parametrize(("fault", "name", "factor"), [("gpu-leak", "kv_ratio", 2.5), ("latency", "latency_s", 2.0)])
def test_other_faults_show_in_their_signal_and_not_in_tokens(fault, name, factor):
    values = measured(6, 262, fault, 250)
    assert values[name][256:].mean() > factor * values[name][:250].mean()
    assert values["input_tokens"][256:].mean() == pytest.approx(values["input_tokens"][:250].mean(), rel=0.1)


def test_history_and_live_are_the_same_series():
    world = World(1, ORIGIN_S)
    world.advance(ORIGIN_S + 600)
    found = families(world)
    write = RemoteWrite("127.0.0.1:9400")
    write.add(found, 1)
    request = WriteRequest.FromString(write.take())
    pushed = {}
    for raw in request.timeseries:
        series = TimeSeries.FromString(raw)
        pairs = [(one.name.decode(), one.value.decode()) for one in map(Label.FromString, series.labels)]
        assert pairs == sorted(pairs)
        pushed[frozenset(pairs)] = np.int64(series.samples[0].value).view("f8")  # parsed as bits
    scraped = {}
    for line in exposition(found).decode().splitlines():
        if not line.startswith("#"):
            name, pairs, value = re.fullmatch(r"([^{]+)\{(.*)\} (\S+)", line).groups()
            labels = dict(re.findall(r'([^,=]+)="([^"]*)"', pairs))
            labels |= {"__name__": name, "job": engine_page.JOB, "instance": "127.0.0.1:9400"}
            scraped[frozenset(labels.items())] = float(value)
    assert pushed == scraped
    assert len(scraped) > 60


@pytest.mark.parametrize("seed", range(5))
def test_decoys_come_in_the_ten_minutes_before_with_and_without_the_fault(seed):
    story = Story.of(seed, "prompt")
    assert story.decoys == Story.of(seed, None).decoys
    assert {decoy.kind for decoy in story.decoys} == {"deploy", "flag"}
    assert all(0 < decoy.at_s < story.fault_at_s < decoy.at_s + 600 for decoy in story.decoys)


def test_the_story_waits_when_history_took_longer_than_the_clock_gave_it():
    kept, told = Kept(), options(fault=None)
    stage = Stage(told, ORIGIN_S, Silent(), kept)
    history(stage, ORIGIN_S, threading.Event(), Teller(True), True)
    live = Live(stage, told, Story.of(7, None), kept, Teller(True))
    stop = threading.Event()
    clock = ManualClock(int((ORIGIN_S + 700) * 1e9))

    class StopWhenEven:
        """Stops the world as soon as it has caught up and would wait."""

        def is_set(self):
            return stop.is_set()

        def wait(self, _):
            stop.set()

    live.run(clock, StopWhenEven(), 1.0)
    assert kept.events == []
    assert stage.world.now_s == ORIGIN_S + 700


def test_a_collector_understands_what_is_sent(collector):
    delivery = Delivery(collector.url, collector.url, "secret")
    collector.refuse = 2  # a busy server is asked again
    played(7, "prompt", 660, delivery)
    delivery.close()
    got = collector.got
    spans = [s for r in got["/v1/traces"] for q in r.resource_spans for c in q.scope_spans for s in c.spans]
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    assert len(by_id) == len(spans) > 200
    for span in spans:
        assert span.start_time_unix_nano < span.end_time_unix_nano
        if span.parent_span_id:
            parent = by_id[span.trace_id, span.parent_span_id]
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= parent.end_time_unix_nano
    chats = [{a.key: a.value for a in span.attributes} for span in spans if span.name.startswith("chat")]
    assert {chat["gen_ai.prompt.version"].string_value for chat in chats} == {"v41", "v42"}
    assert all(chat["gen_ai.usage.input_tokens"].int_value > 0 for chat in chats if "error.type" not in chat)
    metrics = [m for r in got["/v1/metrics"] for q in r.resource_metrics for c in q.scope_metrics for m in c.metrics]
    assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration", "http.server.request.duration"} <= {
        metric.name for metric in metrics
    }
    for metric in metrics:
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            assert point.start_time_unix_nano < point.time_unix_nano
            if metric.WhichOneof("data") == "histogram":
                assert sum(point.bucket_counts) == point.count
    assert [json.loads(event)["kind"] for event in got["/api/events"]] == [
        decoy.kind for decoy in sorted(Story.of(7, None).decoys, key=lambda decoy: decoy.at_s)
    ]
    assert got["/v1/logs"]


def test_a_server_that_refuses_is_reported(collector, monkeypatch):
    monkeypatch.setattr("tocsin.demo.delivery._TRIES", 2)
    monkeypatch.setattr("tocsin.demo.delivery._PAUSE_S", 0.01)
    collector.refuse = 10
    delivery = Delivery(collector.url, collector.url, "")
    with pytest.raises(Unreachable):
        delivery.send({}, [], [], b"x")
    delivery.close()


def test_the_program_plays_until_it_is_told_to_stop(collector, tmp_path):
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "tocsin.demo.world", "--json", "--otlp", collector.url, "--api", collector.url]
    more = ["--history-days", "0.02", "--speed", "50", "--port-file", str(port_file)]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            news = json.loads(line)
            if news["event"] == "listening":
                assert int(port_file.read_text()) == news["port"]
            if news["event"] == "live":
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_page_is_served():
    page = Page(0)
    try:
        import urllib.error
        import urllib.request

        with pytest.raises(urllib.error.HTTPError) as early:
            urllib.request.urlopen(f"http://127.0.0.1:{page.port}/metrics")
        early.value.close()
        page.body = b"up 1\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/metrics") as answer:
            assert answer.read() == b"up 1\n"
    finally:
        page.close()


def test_the_world_ends_with_whoever_started_it():
    waits = "import time; from tocsin.demo.world import end_with_parent; end_with_parent(); print(1, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as world:
        assert world.stdout.readline() == b"1\n"
        assert world.poll() is None
        world.stdin.close()
        assert world.wait(60) == 1
