"""Scraping: fetch the pages of the targets on a fixed beat, and say what vanished."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx2
import numpy as np
import structlog

from tocsin.ingest.edge import Edge
from tocsin.ingest.prometheus_text import ACCEPT, DistributionRow, Exposition, PointRow, parse_exposition, series_keys
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import BadInput, Overloaded, TooLarge
from tocsin.model.frame import NO_VALUE, SCHEMAS, Frame, FrameKind, frame_of, points_frame
from tocsin.model.series import MAIN_TENANT, Kind, Labels, Signal, canonical
from tocsin.selfmon.metrics import counter

_SCRAPES = counter("tocsin_ingest_scrapes_total", "Scrapes, by source and outcome", ["source", "outcome"])
_UP = Signal("up", "1")
_DURATION = Signal("scrape_duration_seconds", "s")
_SAMPLES = Signal("scrape_samples_scraped", "1")
_log = structlog.get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]
Key = tuple[Signal, Labels]


@dataclass(slots=True)
class Target:
    """One page that is fetched, and the series it had last time."""

    url: str
    source: str
    labels: Mapping[str, str]
    phase_ns: int
    present: set[Key] = field(default_factory=set)
    complaint: str = ""


def next_beat(now: int, interval_ns: int, phase_ns: int) -> int:
    """First beat after `now`: beats lie at `phase_ns` plus whole intervals since the epoch, restart or not.

    >>> next_beat(100, 10, 3), next_beat(103, 10, 3)
    (103, 113)
    """
    return now + interval_ns - (now - phase_ns) % interval_ns


class Scrape:
    """Scrapes the targets of one source until it is cancelled.

    Parameters
    ----------
    name : becomes label `job` and, as `scrape/<name>`, the source of the frames; several targets have one each
    targets : URLs; private addresses are allowed, because the operator wrote them
    interval_ns, timeout_ns : beat and patience of one fetch, ns
    resource : further labels of every series
    """

    def __init__(
        self,
        name: str,
        targets: Sequence[str],
        interval_ns: int,
        edge: Edge,
        clock: Clock,
        *,
        timeout_ns: int | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        resource: Mapping[str, str] = MappingProxyType({}),
        tenant: str = MAIN_TENANT,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._interval_ns = interval_ns
        self._timeout_s = (timeout_ns if timeout_ns is not None else min(interval_ns, 10 * SECOND)) / SECOND
        self._headers = {"accept": ACCEPT, "user-agent": "tocsin", **headers}
        self._tenant = tenant
        self._transport = transport
        self._sleep = sleep
        # one source a target: a slow one must not make the samples of the others look late
        several = len(targets) > 1
        self._targets = [
            Target(
                url,
                edge.source_name(tenant, "scrape", f"{name}/{_instance(url)}" if several else name),
                {**resource, "job": name, "instance": _instance(url)},
                self._phase(url),
            )
            for url in targets
        ]

    def _phase(self, url: str) -> int:
        """Spreads targets over the interval, the same way after every restart."""
        return int.from_bytes(hashlib.blake2b(url.encode(), digest_size=8).digest(), "little") % self._interval_ns

    async def run(self) -> None:
        """Scrape until cancelled; a target that is down, slow or wrong delays no other."""
        # no redirects: a target must not send us to another address with our headers
        async with (
            httpx2.AsyncClient(
                headers=self._headers,
                timeout=self._timeout_s,
                follow_redirects=False,
                trust_env=False,
                transport=self._transport,
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            for target in self._targets:
                group.create_task(self._follow(client, target))

    async def _follow(self, client: httpx2.AsyncClient, target: Target) -> None:
        first = True
        while True:
            now = self._clock.now()
            # the first one at once: a new source shows itself without waiting for its beat
            beat = now if first else next_beat(now, self._interval_ns, target.phase_ns)
            await self._sleep(max(beat - now, 0) / SECOND)
            await self.scrape(client, target, beat)
            first = False

    @property
    def targets(self) -> Sequence[Target]:
        """The targets with what is known of them."""
        return self._targets

    async def scrape(self, client: httpx2.AsyncClient, target: Target, beat: int) -> None:
        """Fetch one page and hand in what it says, stamped with the beat (ns)."""
        began = self._clock.now()
        page, complaint = Exposition(), ""
        try:
            async with asyncio.timeout(self._timeout_s):
                text, content_type = await self._fetch(client, target.url)
            page = parse_exposition(text, content_type, target.labels)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, UnicodeDecodeError, BadInput) as error:
            complaint = f"{type(error).__name__}: {error}"[:300]
        if complaint != target.complaint:
            _log.warning("scrape failed", url=target.url, error=complaint) if complaint else _log.info(
                "scrape works", url=target.url
            )
        target.complaint = complaint
        _SCRAPES.labels(target.source, "failed" if complaint else "done").inc()
        present = set(series_keys(page))
        gone = target.present - present
        took_s = (self._clock.now() - began) / SECOND
        own = canonical(target.labels)
        page.points += [
            PointRow(_UP, own, 0.0 if complaint else 1.0),
            PointRow(_DURATION, own, took_s),
            PointRow(_SAMPLES, own, float(page.samples)),
        ]
        frames = self._frames(target.source, page, gone, beat)
        try:
            await self._edge.accept(frames)
        except Overloaded:
            # `present` stays: what vanished is said again with the next scrape
            self._edge.refuse(self._tenant, target.source, "overloaded", sum(map(len, frames)))
            return
        target.present = present

    async def _fetch(self, client: httpx2.AsyncClient, url: str) -> tuple[str, str]:
        limit = self._edge.limits.body_bytes
        async with client.stream("GET", url) as response:
            if response.status_code != 200:
                raise BadInput(
                    f"{url} answered {response.status_code}; a page of metrics answers 200 (redirects are not followed)"
                )
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > limit:
                    raise TooLarge(f"{url} gave more than {limit} bytes; raise limits.body_bytes, or expose less")
            return body.decode("utf-8"), response.headers.get("content-type", "")

    def _ref(self, source: str, signal: Signal, labels: Labels) -> int:
        return self._edge.identifier.ref(self._tenant, source, signal, (), labels)

    def _when(self, told: int, beat: int) -> int:
        """Time of a sample: as the page told it, if that can be true."""
        return told if told and told <= beat + self._edge.limits.ahead_ns else beat

    def _frames(self, source: str, page: Exposition, gone: set[Key], beat: int) -> list[Frame]:
        ended = [(self._ref(source, signal, labels), signal.kind is Kind.HISTOGRAM) for signal, labels in gone]
        refs = [self._ref(source, row.signal, row.labels) for row in page.points] + [
            ref for ref, shape in ended if not shape
        ]
        n, rest = len(page.points), len(refs) - len(page.points)
        points = points_frame(
            self._tenant,
            source,
            np.array(refs, np.int32),
            np.array([self._when(row.time, beat) for row in page.points] + [beat] * rest, np.int64),
            np.array([row.value for row in page.points] + [np.nan] * rest, np.float64),
            np.array([row.start for row in page.points] + [0] * rest, np.int64),
            np.array([0] * n + [NO_VALUE] * rest, np.uint8),
        )
        rows = [self._distribution(source, row, beat) for row in page.distributions]
        rows += [self._no_distribution(ref, beat) for ref, shape in ended if shape]
        if not rows:
            return [points]
        columns: dict[str, Sequence[object]] = {
            name: [row.get(name) for row in rows] for name in SCHEMAS[FrameKind.DISTRIBUTIONS].names
        }
        return [points, frame_of(FrameKind.DISTRIBUTIONS, self._tenant, source, columns)]

    def _distribution(self, source: str, row: DistributionRow, beat: int) -> dict[str, object]:
        found = self._no_distribution(self._ref(source, row.signal, row.labels), self._when(row.time, beat))
        return found | {
            "start": row.start,
            "flags": 0,
            "count": row.count,
            "sum": row.sum,
            "bounds": row.bounds,
            "counts": row.counts,
        }

    @staticmethod
    def _no_distribution(ref: int, time: int) -> dict[str, object]:
        nan = float("nan")
        plain = {
            "series": ref,
            "time": time,
            "start": 0,
            "flags": NO_VALUE,
            "count": nan,
            "sum": nan,
            "min": nan,
            "max": nan,
        }
        return plain | {"bounds": [], "counts": [], "zero_count": 0.0, "negative_counts": []}


def _instance(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
