"""Scores by remote write: in order, again until taken, bounded, every loss counted; and into a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import cramjam
import pytest

from notify_server import http_server
from tocsin.app.writeback.board import Row
from tocsin.app.writeback.rules import rules_text
from tocsin.app.writeback.sending import _DROPPED, QUEUE, ScoreSender, Senders
from tocsin.model.clock import ManualClock
from tocsin.model.series import Series, Signal
from tocsin.notify.base import Context
from tocsin.spec.load import parse_config
from tocsin.spec.scores import RemoteWriteTarget

S = 10**9
T0 = 1_790_000_000 * S


class Scores:
    """A board that holds what the test says."""

    def __init__(self, received=T0):
        self.received = received
        self.rows = []

    def chosen(self, tenant):
        return [row for row in self.rows if row.series.tenant == tenant]

    def hold(self, *names, open_=(), at=None):
        self.received = at or self.received + 15 * S
        self.rows = [
            Row("m", Series.of("main", Signal("load"), {"host.name": n}), self.received, 7.0, 2.5, 1.0, open=n in open_)
            for n in names
        ]


def target(url, **more):
    return RemoteWriteTarget.model_validate({"name": "prom", "url": url, "allow": ["127.0.0.0/8"], **more})


class Waits:
    """Sleeps at once, and tells how long it was asked to."""

    def __init__(self):
        self.asked = []

    async def __call__(self, seconds):
        self.asked.append(seconds)
        await asyncio.sleep(0)


def sender_to(url, board, **more):
    return ScoreSender(target(url, **more), board, ManualClock(T0), Context(), sleep=Waits())


async def until(found):
    """Another task answers; real time is all there is."""
    async with asyncio.timeout(20):
        while not found():  # noqa: ASYNC110 - a foreign server tells, not an event
            await asyncio.sleep(0.01)


def dropped(reason):
    return _DROPPED.labels("prom", reason)._value.get()


def bodies(server):
    return [bytes(cramjam.snappy.decompress_raw(got.body)) for got in server.got]


def test_what_left_the_board_is_ended_and_what_did_not_move_is_not_sent_again():
    board = Scores()
    sender = sender_to("http://127.0.0.1:9", board)
    board.hold("a", "b", open_={"a"})
    sender.read()
    sender.read()  # no news in the log
    board.hold("a")
    sender.read()
    first, second = sender._queue
    assert {dict(each.labels)["__name__"] for each in first} >= {"tocsin_anomaly_verdict", "tocsin_anomaly_score"}
    ended = [dict(each.labels) for each in second if each.value is None]
    assert {labels["host_name"] for labels in ended} == {"b"}
    assert all(each.time_ms == board.received // 10**6 for each in second)


def test_labels_of_the_target_are_on_every_series():
    board = Scores()
    sender = sender_to("http://127.0.0.1:9", board, labels={"cluster": "eu"})
    board.hold("a")
    sender.read()
    assert all(("cluster", "eu") in each.labels for each in sender._queue[0])


def test_a_receiver_that_is_away_gets_everything_in_order_once_it_is_back():
    async def play():
        board = Scores()
        async with http_server((503, {"retry-after": "7"}, b"later"), (503, {}, b""), (204, {}, b"")) as server:
            sender = sender_to(server.url, board)
            for name in ("first", "second"):
                board.hold(name)
                sender.read()
            draining = asyncio.create_task(sender._drain())
            await until(lambda: len(server.got) == 4)
            await until(lambda: not sender._queue)
            draining.cancel()
            return server, sender

    server, sender = asyncio.run(play())
    assert [b"second" in body for body in bodies(server)] == [False, False, False, True]
    assert sender._sleep.asked == [7.0, 2.0]
    assert sender.dropped == 0
    assert sender.status().last_ok_at == T0
    assert server.got[0].headers["x-prometheus-remote-write-version"] == "0.1.0"
    assert server.got[0].headers["content-encoding"] == "snappy"


def test_what_is_refused_is_dropped_counted_and_shown_and_the_next_still_goes():
    async def play():
        board = Scores()
        async with http_server((400, {}, b"out of order"), (204, {}, b"")) as server:
            sender = sender_to(server.url, board)
            board.hold("a")
            sender.read()
            size = len(sender._queue[0])
            assert await sender.attempt(sender._queue.popleft()) == 0.0
            assert sender.dropped == size
            assert "out of order" in sender.status().last_error
            board.hold("b")
            sender.read()
            assert await sender.attempt(sender._queue.popleft()) == 0.0
            assert sender.status().last_error == ""
            await sender._writer.close()
            return size

    before = dropped("refused")
    size = asyncio.run(play())
    assert dropped("refused") == before + size


def test_the_queue_is_bounded_and_the_oldest_goes_first():
    board = Scores()
    sender = sender_to("http://127.0.0.1:9", board)
    before = dropped("queue_full")
    for k in range(QUEUE + 3):
        board.hold(f"h{k}")
        sender.read()
    assert len(sender._queue) == QUEUE
    assert sender.status().pending == QUEUE
    assert dropped("queue_full") > before
    assert sender._queue[0][0].time_ms == (T0 + 4 * 15 * S) // 10**6


def test_targets_that_stay_keep_what_waits_and_those_that_go_count_it():
    async def play():
        board = Scores()
        stays, goes = target("http://127.0.0.1:9", name="a"), target("http://127.0.0.1:9", name="b")
        senders = Senders([stays, goes], board, ManualClock(T0), Context())
        board.hold("x")
        for sender in senders._senders.values():
            sender.read()
        kept, gone = senders._senders.values()
        before = _DROPPED.labels("b", "target_removed")._value.get()
        senders.adopt([stays])
        assert [each.name for each in senders.statuses("main")] == ["a"]
        assert senders.statuses("other") == []
        assert kept._queue
        assert not gone._queue
        assert _DROPPED.labels("b", "target_removed")._value.get() > before

    asyncio.run(play())


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def query(port, text):
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)["data"]["result"]


def wait_for(what, seconds=60):
    """Poll a foreign program until it is so far; it has no event to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = what()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            found = None
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s")


@pytest.fixture
def prometheus(tmp_path):
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (apt install prometheus)")
    port = free_port()
    rules = tmp_path / "rules.yml"
    config = "monitors: [{name: m, signal: load, summary: load is odd}]"
    rules.write_text(rules_text(parse_config(config, "tocsin.yaml", {}).config, page_url="http://tocsin:8642"))
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{evaluation_interval: 1s}}\nrule_files: ['{rules}']\nscrape_configs: []\n"
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-remote-write-receiver",
            ],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            wait_for(lambda: query(port, "vector(1)"))
            yield port
        finally:
            process.terminate()
            process.wait(20)


def firing(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=5) as answer:
        found = json.load(answer)["data"]["alerts"]
    return [each for each in found if each["labels"]["alertname"] == "TocsinAnomaly"]


@pytest.mark.system
def test_a_real_prometheus_takes_scores_fires_the_rules_and_knows_what_ended(prometheus):
    async def send(*names, open_=()):
        board.hold(*names, open_=open_, at=time.time_ns())
        sender.read()
        while sender._queue:
            assert await sender.attempt(sender._queue[0]) == 0.0
            sender._queue.popleft()
        assert sender.dropped == 0, sender.last_error

    async def play():
        await send("calm", "bad", open_={"bad"})
        found = await asyncio.to_thread(wait_for, lambda: query(prometheus, "tocsin_anomaly_verdict"))
        fired = await asyncio.to_thread(wait_for, lambda: firing(prometheus))
        await send("calm")
        await asyncio.to_thread(wait_for, lambda: len(query(prometheus, "tocsin_anomaly_verdict")) == 1)
        await asyncio.to_thread(wait_for, lambda: not firing(prometheus))
        await sender._writer.close()
        return found, fired

    board = Scores()
    sender = sender_to(f"http://127.0.0.1:{prometheus}/api/v1/write", board)
    found, fired = asyncio.run(play())
    assert {each["metric"]["host_name"]: each["value"][1] for each in found} == {"calm": "0", "bad": "1"}
    assert all(each["metric"].items() >= {"signal": "load", "monitor": "m"}.items() for each in found)
    (alert,) = fired
    assert alert["labels"]["host_name"] == "bad"
    assert alert["labels"]["severity"] == "warning"
    assert alert["annotations"]["summary"] == "load: load is odd"
