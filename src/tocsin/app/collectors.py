"""Starting what fetches telemetry itself: scrapes, followed files, this machine's own metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import structlog

from tocsin.app.settings import ServeSettings
from tocsin.ingest.edge import Edge
from tocsin.ingest.host import Host
from tocsin.ingest.jsonl import follow_jsonl
from tocsin.ingest.logfile import LineSignal, follow_log
from tocsin.ingest.scrape import Scrape
from tocsin.model.clock import SECOND, Clock
from tocsin.selfmon.clock import SystemClock
from tocsin.spec.config import Config
from tocsin.spec.source import FileSource, HostSource, JsonlSource, PrometheusSource, SourceBase

_log = structlog.get_logger(__name__)


def collectors(settings: ServeSettings, config: Config, edge: Edge, clock: Clock) -> list[Coroutine[Any, Any, None]]:
    """One loop per source of the configuration, and the host's unless it is turned off or configured."""
    sources: list[SourceBase] = list(config.sources)
    if settings.host_metrics and not any(isinstance(source, HostSource) for source in sources):
        sources.append(HostSource(name="host", type="host"))
    found = []
    for source in sources:
        running = _collector(source, settings, edge, clock)
        if running is None:
            _log.warning("this kind of source is not in this build; nothing is read", source=source.name)
        else:
            found.append(running)
    return found


def _collector(
    source: SourceBase, settings: ServeSettings, edge: Edge, clock: Clock
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
        case HostSource():
            return _when_real(Host(edge, clock, source.interval, resource=source.resource, sleep=sleep), clock)
        case JsonlSource():
            return follow_jsonl(source.name, Path(source.path), edge, positions, resource=source.resource).run()
        case FileSource():
            rules = [LineSignal(rule.signal, rule.pattern, rule.unit) for rule in source.rules]
            path = Path(source.path)
            return follow_log(source.name, path, rules, edge, positions, resource=source.resource).run()
    return None


async def _when_real(host: Host, clock: Clock) -> None:
    """Read this machine once the clock is the wall clock: rates of a real thing mean nothing in scaled time."""
    wall = SystemClock()
    while wall.now() - clock.now() > SECOND:  # noqa: ASYNC110 - clocks tell only when they are asked
        await asyncio.sleep(0.5)
    await host.run()
