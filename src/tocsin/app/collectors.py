"""What fetches telemetry itself - scrapes, followed files, this machine's own metrics, status pages - kept running."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog

from tocsin.app.brokers import Brokers
from tocsin.app.settings import ServeSettings
from tocsin.app.status_pages import StatusPages
from tocsin.ingest.edge import Edge
from tocsin.ingest.gpu import Gpus
from tocsin.ingest.host import Host, Sleep
from tocsin.ingest.jsonl import follow_jsonl
from tocsin.ingest.logfile import LineSignal, follow_log
from tocsin.ingest.scrape import Scrape
from tocsin.model.clock import SECOND, Clock
from tocsin.selfmon.clock import SystemClock
from tocsin.selfmon.metrics import counter
from tocsin.spec.config import Config, ContextSpec
from tocsin.spec.pack import PackSpec
from tocsin.spec.source import (
    FileSource,
    HostSource,
    JsonlSource,
    KafkaSource,
    NvmlSource,
    PrometheusSource,
    RedisSource,
    SourceBase,
    WebhookSource,
)

RETRY_S = 5.0
GPUS = "\0gpu"
"""Key of the GPUs that nobody asked for; no source has such a name."""
Collected = SourceBase | ContextSpec
_RESTARTS = counter("tocsin_app_source_restarts_total", "Sources whose loop failed and was started again.", ["source"])
_log = structlog.get_logger(__name__)


class Collectors:
    """One loop per source of the configuration in force, and the host's unless it is turned off or configured.

    A loop that fails is counted and started again and disturbs no other. A changed configuration ends the loops of
    sources that it no longer has, or has otherwise, and starts those that are new.
    """

    def __init__(
        self,
        settings: ServeSettings,
        config: Config,
        edge: Edge,
        clock: Clock,
        packs: Sequence[PackSpec],
        brokers: Brokers,
    ) -> None:
        self._settings = settings
        self._brokers = brokers
        self._packs = packs
        self._edge = edge
        self._clock = clock
        self._wanted = self._sources(config)
        self._running: dict[str, tuple[Collected, asyncio.Task[None]]] = {}
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def names(self) -> list[str]:
        """Sources whose loops are running."""
        return sorted(self._running)

    def adopt(self, config: Config) -> None:
        """Collect from these sources from now on; thread-safe."""
        self._wanted = self._sources(config)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self) -> None:
        """Collect until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._changed.clear()
                await self._align(self._wanted)
                await self._changed.wait()
        finally:
            await self._align({})

    def _sources(self, config: Config) -> dict[str, Collected]:
        found: dict[str, Collected] = {
            source.name: source for source in config.sources if not isinstance(source, WebhookSource)
        }
        found |= {f"context/{page.name}": page for page in config.context}
        if self._settings.host_metrics and not any(isinstance(source, HostSource) for source in found.values()):
            found[""] = HostSource(name="host", type="host")
        if self._settings.host_metrics and not any(isinstance(source, NvmlSource) for source in found.values()):
            found[GPUS] = NvmlSource(name="gpu", type="nvml", optional=True)
        return {name: source for name, source in found.items() if _ours(source, self._settings.role)}

    async def _align(self, wanted: dict[str, Collected]) -> None:
        for name, (source, task) in list(self._running.items()):
            if wanted.get(name) != source:
                del self._running[name]
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        for name, source in wanted.items():
            if name not in self._running:
                self._running[name] = (source, asyncio.create_task(self._keep(source), name=f"collect {source.name}"))

    async def _keep(self, source: Collected) -> None:
        while True:
            if isinstance(source, KafkaSource | RedisSource):
                running = self._brokers.loop(source)
            else:
                running = _collector(source, self._settings, self._edge, self._clock, self._packs)
            if running is None:
                return
            try:
                await running
            except Exception as error:  # noqa: BLE001  a top loop: one bad source must not silence the others
                _RESTARTS.labels(source.name).inc()
                _log.exception("a source failed and is read again", source=source.name, error=str(error)[:300])
                await asyncio.sleep(RETRY_S)
            else:
                return


def _ours(source: Collected, role: str) -> bool:
    """Whether a source is read by a process of a role: all workers share brokers, what is fetched is fetched once."""
    if isinstance(source, HostSource | NvmlSource):
        return True
    return role == "serve" or (role == "worker") == isinstance(source, KafkaSource | RedisSource)


def _collector(
    source: Collected, settings: ServeSettings, edge: Edge, clock: Clock, packs: Sequence[PackSpec]
) -> Coroutine[Any, Any, None] | None:
    positions = settings.data_dir / "positions"
    speed = settings.clock.speed if settings.clock else 1.0

    async def sleep(seconds: float) -> None:
        """Sleep in the time of the clock that the collector goes by."""
        await asyncio.sleep(seconds / speed)

    match source:
        case PrometheusSource():
            return Scrape(
                source.name,
                source.targets,
                source.interval,
                edge,
                clock,
                timeout_ns=source.timeout_ns,
                headers=source.headers,
                resource=source.resource,
                sleep=sleep,
            ).run()
        case HostSource() | NvmlSource():
            return _when_real(_machine(source, edge, clock, sleep), clock)
        case JsonlSource():
            return follow_jsonl(source.name, Path(source.path), edge, positions, resource=source.resource).run()
        case FileSource():
            rules = [LineSignal(rule.signal, rule.pattern, rule.unit) for rule in source.rules]
            return follow_log(source.name, source.path, rules, edge, positions, resource=source.resource).run()
        case ContextSpec():
            # a name is any text, and may be no name of a file
            kept = positions / f"status.{hashlib.blake2b(source.name.encode(), digest_size=6).hexdigest()}.json"
            return StatusPages(source, packs, edge, sleep, kept).run()
    return None


def _machine(source: HostSource | NvmlSource, edge: Edge, clock: Clock, sleep: Sleep) -> Host | Gpus:
    if isinstance(source, HostSource):
        return Host(edge, clock, source.interval, resource=source.resource, sleep=sleep)
    return Gpus(edge, clock, source.interval, wanted=not source.optional, resource=source.resource, sleep=sleep)


async def _when_real(machine: Host | Gpus, clock: Clock) -> None:
    """Read this machine once the clock is the wall clock: rates of a real thing mean nothing in scaled time."""
    wall = SystemClock()
    while wall.now() - clock.now() > SECOND:  # noqa: ASYNC110 - clocks tell only when they are asked
        await asyncio.sleep(0.5)
    await machine.run()
