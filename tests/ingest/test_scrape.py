"""Scraping: what a page becomes, the beat, and what is said of targets and series that vanish."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from prometheus_wire import Bench
from tocsin.ingest.limits import Limits
from tocsin.ingest.prometheus_text import parse_exposition
from tocsin.ingest.scrape import Scrape, next_beat
from tocsin.model.clock import SECOND
from tocsin.model.errors import BadInput, Overloaded
from tocsin.model.frame import NO_VALUE, FrameKind
from tocsin.model.series import Kind

URL = "http://10.0.0.5:9100/metrics"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def registry() -> CollectorRegistry:
    found = CollectorRegistry()
    Counter("hits", "h", ["path"], registry=found).labels("/").inc(3)
    histogram = Histogram("wait_seconds", "w", registry=found, buckets=(0.1, 1.0))
    for value in (0.05, 0.5, 0.6, 7.0):
        histogram.observe(value)
    Summary("size_bytes", "s", registry=found).observe(4)
    Gauge("depth", "d", registry=found).set(7)
    # a histogram in spite of its name, as vLLM has one
    Histogram("iteration_tokens_total", "t", registry=found, buckets=(1, 8)).observe(5)
    return found


@pytest.mark.parametrize("kind", ["text", "openmetrics"])
def test_types_become_kinds(kind: str) -> None:
    text = kind == "text"
    page = (generate_latest if text else generate_openmetrics)(registry()).decode()
    found = parse_exposition(page, "text/plain" if text else OPENMETRICS, {"job": "app", "path": "mine"})
    points = {row.signal.name: row for row in found.points}
    assert points["hits_total"].signal.kind is Kind.SUM
    assert points["hits_total"].labels == (("exported_path", "/"), ("job", "app"), ("path", "mine"))
    assert points["depth"].signal.kind is Kind.GAUGE
    assert (points["size_bytes_sum"].signal.unit, points["size_bytes_sum"].value) == ("By", 4.0)
    shapes = {row.signal.name: row for row in found.distributions}
    assert set(shapes) == {"wait_seconds", "iteration_tokens_total"}
    wait = shapes["wait_seconds"]
    assert (wait.bounds, wait.counts, wait.count, wait.sum) == ([0.1, 1.0], [1.0, 2.0, 1.0], 4.0, 8.15)
    assert (wait.signal.kind, wait.signal.cumulative, wait.signal.unit) == (Kind.HISTOGRAM, True, "s")
    assert not {name for name in points if name.endswith(("_bucket",))}
    if not text:
        assert points["hits_total"].start > 0
        assert wait.start > 0


@pytest.mark.parametrize(
    "page",
    [
        "up{ 1\n",
        'x_bucket{le="a"} 1\n# TYPE x histogram\nx_bucket{le="a"} 1\n',
        '# TYPE x histogram\nx_bucket{le="1"} 5\nx_bucket{le="2"} 3\nx_bucket{le="+Inf"} 9\n',
        '# TYPE x histogram\nx_bucket{le="NaN"} 5\n',
        "# TYPE x histogram\nx_bucket 5\n",
        "up one\n",
        "<html><body>not found</body></html>",
    ],
)
def test_bad_page_is_refused_whole(page: str) -> None:
    with pytest.raises(BadInput):
        parse_exposition(page, "text/plain", {})


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(["# TYPE x ", "histogram\n", "x_bucket", '{le="', '1"}', " 1\n", "+Inf", "# EOF\n", "{", "\\"])
    ).map("".join),
    st.booleans(),
)
def test_no_page_breaks_the_parser(page: str, openmetrics: bool) -> None:
    try:
        parse_exposition(page, OPENMETRICS if openmetrics else "", {"job": "x"})
    except BadInput:
        return


def test_beats_lie_on_a_fixed_raster() -> None:
    assert [next_beat(now, 15, 4) for now in (0, 3, 4, 18, 19)] == [4, 4, 19, 19, 34]


class World:
    """A scraper whose target, clock and sleep are in the hands of the test."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response], limits: Limits | None = None) -> None:
        self.bench = Bench(limits)
        self.requests: list[httpx2.Request] = []
        self.sleeps: list[float] = []
        self.answer = answer
        self.scrape = Scrape(
            "app",
            [URL],
            15 * SECOND,
            self.bench.edge,
            self.bench.clock,
            transport=httpx2.MockTransport(self._answer),
            sleep=self._sleep,
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answer(request)

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if len(self.sleeps) > self.beats:
            raise asyncio.CancelledError
        self.bench.clock.advance(round(seconds * SECOND))

    def run(self, beats: int) -> None:
        self.beats = beats

        async def until_cancelled() -> None:
            task = asyncio.ensure_future(self.scrape.run())
            await asyncio.wait([task])

        asyncio.run(until_cancelled())

    def values(self, name: str) -> list[float]:
        return [row["value"] for row in self.bench.rows() if row["name"] == name]  # type: ignore[misc]


def page(
    text: str, status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _request: httpx2.Response(status, text=text, headers=headers or {"content-type": "text/plain"})


def test_a_good_scrape_has_its_own_metrics_and_labels() -> None:
    world = World(page("# TYPE depth gauge\ndepth 7\n"))
    world.run(3)
    assert world.sleeps[0] == 0.0  # the first at once
    assert all(seconds == 15.0 for seconds in world.sleeps[2:])
    assert "application/openmetrics-text" in world.requests[0].headers["accept"]
    rows = world.bench.rows()
    assert {row["labels"]["job"] for row in rows} == {"app"}  # type: ignore[index]
    assert {row["labels"]["instance"] for row in rows} == {"10.0.0.5:9100"}  # type: ignore[index]
    assert {frame.source for frame in world.bench.frames()} == {"scrape/app"}
    assert world.values("up") == [1.0] * 3
    assert world.values("scrape_samples_scraped") == [1.0] * 3
    times = sorted({row["time"] for row in rows if row["name"] == "depth"})  # type: ignore[type-var]
    assert times[2] - times[1] == 15 * SECOND  # type: ignore[operator]


def test_several_targets_are_sources_of_their_own() -> None:
    bench = Bench()
    scrape = Scrape("app", [URL, "https://[::1]/metrics"], SECOND, bench.edge, bench.clock)
    assert [target.source for target in scrape.targets] == ["scrape/app/10.0.0.5:9100", "scrape/app/[::1]:443"]


def test_vanished_series_gets_one_marker() -> None:
    pages = iter(["a 1\nb 2\n", "a 1\n", "a 1\n"])
    world = World(lambda _request: httpx2.Response(200, text=next(pages)))
    world.run(3)
    b = [(row["value"], row["flags"]) for row in world.bench.rows() if row["name"] == "b"]
    assert b[0] == (2.0, 0)
    assert [flags for _, flags in b] == [0, NO_VALUE]
    assert math.isnan(b[1][0])  # type: ignore[arg-type]


def fail(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


@pytest.mark.parametrize(
    "broken",
    [
        fail,
        page("gone", 500),
        page("", 302, {"location": "http://169.254.169.254/"}),
        page("depth {{{\n"),
        page("x" * 3000),
        lambda _request: httpx2.Response(200, content=b"depth 1\n\xff"),
    ],
    ids=["refused", "500", "redirect", "bad page", "too large", "not utf-8"],
)
def test_target_that_is_down(broken: Callable[[httpx2.Request], httpx2.Response]) -> None:
    good = page('# TYPE depth gauge\ndepth 7\n# TYPE w histogram\nw_bucket{le="+Inf"} 1\nw_sum 1\nw_count 1\n')
    world = World(good, Limits(body_bytes=2000))
    scrapes = iter([good, broken, broken, good])
    world.answer = lambda request: next(scrapes)(request)  # noqa: PLW0108 - another one for each request
    world.run(4)
    assert world.values("up") == [1.0, 0.0, 0.0, 1.0]
    assert len(world.requests) == 4  # no redirect was followed
    assert [row["flags"] for row in world.bench.rows() if row["name"] == "depth"] == [0, NO_VALUE, 0]
    shapes = [
        row["flags"] for frame in world.bench.frames() if frame.kind is FrameKind.DISTRIBUTIONS for row in frame.rows()
    ]
    assert shapes == [0, NO_VALUE, 0]


def test_slow_target_is_given_up() -> None:
    async def never(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    bench = Bench()
    scrape = Scrape("app", [URL], SECOND, bench.edge, bench.clock, timeout_ns=SECOND // 50)

    async def once() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(never)) as client:
            await scrape.scrape(client, scrape.targets[0], bench.clock.now())

    asyncio.run(once())
    assert [row["value"] for row in bench.rows() if row["name"] == "up"] == [0.0]


def test_full_log_is_counted_and_the_marker_comes_later() -> None:
    pages = iter(["a 1\nb 2\n", "a 1\n", "a 1\n"])
    world = World(lambda _request: httpx2.Response(200, text=next(pages)))

    async def three() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(world.answer)) as client:
            target = world.scrape.targets[0]
            for full in (None, Overloaded("full"), None):
                world.bench.log.refuse = full
                world.bench.clock.advance(SECOND)
                await world.scrape.scrape(client, target, world.bench.clock.now())

    asyncio.run(three())
    assert [row["flags"] for row in world.bench.rows() if row["name"] == "b"] == [0, NO_VALUE]


def test_page_times_are_kept_unless_impossible() -> None:
    bench = Bench()
    now_s = bench.clock.now() / SECOND
    text = f"# TYPE a gauge\na 1 {now_s - 60:.3f}\n# TYPE b gauge\nb 1 {now_s + 7200:.3f}\n# EOF\n"
    scrape = Scrape("app", [URL], SECOND, bench.edge, bench.clock)
    answer = page(text, headers={"content-type": OPENMETRICS})

    async def once() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
            await scrape.scrape(client, scrape.targets[0], bench.clock.now())

    asyncio.run(once())
    times = {row["name"]: row["time"] for row in bench.rows()}
    assert abs(times["a"] - (bench.clock.now() - 60 * SECOND)) < 10**6  # type: ignore[operator]
    assert times["b"] == bench.clock.now()
