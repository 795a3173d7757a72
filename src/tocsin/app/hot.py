"""The hot process: edge and engine. `python -m tocsin.app.start tocsin.app.hot --run DIR`, started by the supervisor."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from tocsin.api.origin import LOOPBACK_HOSTS
from tocsin.app.child import Child, die_with_any_thread, refuse
from tocsin.app.clock import clock_of
from tocsin.app.front import Front, NoForeignPages, SupervisorCollector, unknown
from tocsin.app.handover import assessed_frame, evaluations_frame, outcomes_frame
from tocsin.app.internal import Internal
from tocsin.app.keys import KeyRing
from tocsin.app.listener import Listener
from tocsin.app.logs import redaction_key
from tocsin.app.machine import machine_of
from tocsin.app.proxy import Proxy, forgive_cancelled_waits
from tocsin.app.reload import ConfigFile
from tocsin.app.selfcheck import Behind, Look, Other, SelfCheck, disk, told
from tocsin.app.serve import grpc_taken
from tocsin.app.settings import ServeSettings, cache_kernels, environment
from tocsin.app.warming import compile_aside
from tocsin.engine.labels import Labels
from tocsin.ingest.edge import Edge
from tocsin.ingest.http import ingest_app
from tocsin.ingest.limits import Limits
from tocsin.ingest.log_calls import LoggedCalls
from tocsin.ingest.places import Places
from tocsin.ingest.redact import Redactor, Rule
from tocsin.ingest.senders import Senders
from tocsin.ingest.span_vectors import SpanVectors
from tocsin.ingest.token_counts import TokenCounts
from tocsin.model.errors import DiskFull, Overloaded, TocsinError, Unreachable
from tocsin.model.log import Control
from tocsin.model.series import Catalog
from tocsin.selfmon.logs import set_up
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs

if TYPE_CHECKING:  # the engine compiles kernels: it is imported once the cache directory is set
    import grpc
    from starlette.types import ASGIApp

    from tocsin.app.collectors import Collectors
    from tocsin.app.engines import Engine

_AT_START = ("limits", "lateness", "redaction")
"""Parts of the configuration that the edge is built from."""
DRAIN_S = 5
_log = structlog.get_logger(__name__)


class Hot:
    """Everything the hot process holds together."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.clock = clock_of(settings)
        self.stop = threading.Event()
        self.packs = load_packs()
        self.file = ConfigFile(settings, environment(), self.packs, models=True)
        self.config = self.file.start()
        self.senders = Senders(self.packs, self.config.sources)
        self.catalog = Catalog()
        self.machine = machine_of(settings, self.config, self.catalog, self.clock, self.stop)
        rules = [Rule(rule.name, rule.pattern, rule.replacement) for rule in self.config.redaction.rules]
        redactor = Redactor(rules, self.config.redaction.keep_content, redaction_key(settings.data_dir))
        lines = [pack.call_lines for pack in self.packs if pack.call_lines is not None]
        self.lines = LoggedCalls(SpanVectors(TokenCounts(redactor)), lines, self.config.llm.call_lines)
        self.edge = Edge(self.machine.sink, self.catalog, self.clock, self.lines, edge_limits(self.config))
        tail = self.machine.tail()
        self.edge.recover(tail)
        self.places = Places(tail)
        self.keys = KeyRing(settings.keys_path, self.clock, open_access=settings.open_access)
        self.waiting = ["the engine's kernels are compiled", "the log is folded in again"]
        self.engine: Engine | None = None
        self.collectors: Collectors | None = None
        self.full = ""
        self.caught_up = threading.Event()
        self.cold = Other(settings.cold_socket, settings)
        self.health = self._health()

    def _health(self) -> SelfCheck:
        speed = self.settings.clock.speed if self.settings.clock else 1.0
        looks: dict[str, Look] = {
            "engine": Behind(lambda: self.engine.received() if self.engine else 0, self.clock.now, speed),
            "intake": lambda: self.full or self.machine.trouble(),
            "disk": partial(disk, self.settings.data_dir),
        }
        if self.settings.role != "worker":  # a worker of a cluster is alone
            looks["cold"] = self.cold
        return SelfCheck(looks, lambda: self.file.config.health_check_interval, self.stop)

    def keep_looking(self) -> None:
        """The thread in which the process looks at itself, once it has caught up."""
        self.caught_up.wait()
        self.health.run()

    def fold(self) -> None:
        """The engine's thread."""
        try:
            self.fold_all()
        except DiskFull:
            if not self.stop.is_set():
                raise

    def fold_all(self) -> None:
        """Compile, restore, catch up, then follow the log.

        Raises
        ------
        DiskFull
            It was told to stop while its log had no room.
        """
        from tocsin.engine.entity_scorer import compile_members  # noqa: PLC0415 - see above
        from tocsin.engine.series_ensemble import import_detector  # noqa: PLC0415
        from tocsin.stats.jit import compile_all  # noqa: PLC0415

        monitors = self.config.engine_spec(self.packs).all_monitors()
        for monitor in monitors:
            import_detector(monitor.detect.name)  # of those that can be named, only what is used is compiled
        compile_all()
        if any(monitor.together for monitor in monitors):
            compile_members()
        del self.waiting[0]
        self.engine = engine = self.machine.engine()
        engine.catch_up()
        self.adopt(self.config)
        self.waiting.clear()
        self.caught_up.set()
        compile_aside(self.stop)  # until it is done, requests are decoded by protobuf's own parser
        engine.run()

    def adopt(self, config: Config) -> None:
        """Put a configuration into force, if it isn't already: what the engine is told enters the log."""
        control = config.engine_spec(self.packs).control()
        assert self.engine is not None
        if not self.engine.knows(control):
            for sha256, raw in self.file.models.items():
                if not self.engine.holds(sha256):
                    self.edge.control(Control.of("model", raw)).result()
            self.edge.control(control).result()
        self.senders.adopt(config.sources)
        self.lines.adopt(config.llm.call_lines)
        if self.collectors is not None:
            self.collectors.adopt(config)
        kept = [name for name in _AT_START if getattr(config, name) != getattr(self.config, name)]
        if kept:
            _log.warning("these parts of the changed configuration wait for the next start", parts=kept)

    def notices(self) -> dict[str, list[str]]:
        """Caps on series that are reached now, in words, by tenant."""
        found: dict[str, list[str]] = {}
        for notice in self.edge.identifier.notices():
            found.setdefault(notice.tenant, []).append(str(notice))
        return found

    def verdict(self, tenant: str, name: str) -> dict[str, Any]:
        """What is known of a run, trace or session that goes on."""
        return unknown(tenant, name) if self.engine is None else dict(self.engine.verdict(tenant, name))

    async def take_outcomes(self, tenant: str, body: bytes) -> None:
        """Take truth and feedback that the cold process joined to their predictions; returns when they are durable."""
        await self.edge.accept([outcomes_frame(tenant, body)])

    async def take_evaluations(self, tenant: str, body: bytes) -> None:
        """Take what a judge said of answers; returns when it is durable."""
        await self.edge.accept([evaluations_frame(tenant, body)])

    async def take_points(self, tenant: str, body: bytes) -> None:
        """Take points that the cold process made of what is stored; returns when they are durable."""
        await self.edge.accept([assessed_frame(tenant, body, self.edge.identifier.resolve)])

    async def take_labels(self, _: str, body: bytes) -> None:
        """Put into force what labels of people ask for; returns when it is durable."""
        control = Control.of("feedback", body)
        Labels.of(control)  # refused here, not in the fold
        await asyncio.wrap_future(self.edge.control(control))

    def tick(self) -> None:
        """Append a tick, and remember why not: the log that takes none takes nothing else."""
        try:
            self.edge.append_tick().add_done_callback(self._ticked)
        except Overloaded as full:
            self._take_nothing(full)

    def _ticked(self, tick: Future[int]) -> None:
        error = None if tick.cancelled() else tick.exception()
        if isinstance(error, Overloaded):
            self._take_nothing(error)
        elif error is None:
            self.full = ""

    def _take_nothing(self, full: Overloaded) -> None:
        if not self.full:
            _log.error("nothing is taken in; senders are told to try again", reason=str(full))
        self.full = self.full or str(full)

    def missing(self) -> list[str]:
        """What stands in the way of taking telemetry in, in words."""
        return [*self.waiting, *(each for each in (self.full, self.machine.trouble()) if each)]

    def retain(self) -> None:
        """Let retention go as far as snapshot and cold process have both come."""
        if self.engine is not None:
            self.engine.retain()

    def close(self) -> None:
        """Flush and close the logs; the engine's thread has ended before."""
        self.machine.close()


def edge_limits(config: Config) -> Limits:
    """The bounds of the edge under a configuration; a source's own lateness wins over the one for all."""
    lateness = dict(Limits().lateness_ns)
    if config.lateness:
        lateness = dict.fromkeys((*lateness, ""), config.lateness)
    lateness |= {f"{_wire(s.type)}/{s.name}": s.lateness for s in config.sources if s.lateness is not None}
    return Limits(
        body_bytes=config.limits.body_bytes,
        in_flight_bytes=config.limits.in_flight_bytes,
        series_per_source=config.limits.series_per_source,
        series_per_tenant=config.limits.series_per_tenant,
        lateness_ns=lateness,
    )


def _wire(kind: str) -> str:
    return "scrape" if kind == "prometheus" else kind


async def _tick(hot: Hot) -> None:
    """A tick a second of event time, idle or not, and retention now and then."""
    speed = hot.settings.clock.speed if hot.settings.clock else 1.0
    turn = 0
    while not hot.stop.is_set():
        hot.tick()
        turn += 1
        if turn % 30 == 0:
            await asyncio.to_thread(hot.retain)
        await asyncio.sleep(max(0.05, 1.0 / speed))


def _private(hot: Hot, ingest: ASGIApp) -> Listener:
    """Where the cold process hands over what it found."""
    internal = Internal(
        ingest,
        hot.settings.internal_secret,
        hot.notices,
        outcomes=hot.take_outcomes,
        points=hot.take_points,
        evaluations=hot.take_evaluations,
        labels=hot.take_labels,
        health=lambda: hot.health.found,
    )
    return Listener(internal, uds=hot.settings.hot_socket)


async def _serve(hot: Hot, child: Child) -> None:
    settings = hot.settings
    guarded = settings.open_access and not settings.insecure
    ingest = ingest_app(hot.edge, hot.keys.authorise, senders=hot.senders)
    front = Front(
        ingest,
        Proxy(settings.cold_socket, trouble=lambda: hot.full),
        authorise=hot.keys.authorise,
        waiting=hot.missing,
        internal_secret=settings.internal_secret,
        page=settings.page,
        verdict=hot.verdict,
        health=lambda: told(hot.health.found, hot.cold.found),
        allowed_hosts=LOOPBACK_HOSTS if guarded else None,
    )
    loop = asyncio.get_running_loop()
    forgive_cancelled_waits(loop)
    servers = [
        Listener(front, fd=settings.main_fd),
        Listener(NoForeignPages(ingest, LOOPBACK_HOSTS if guarded else None), fd=settings.otlp_http_fd),
        _private(hot, ingest),
    ]
    running = [asyncio.create_task(server.run()) for server in servers]
    grpc = _grpc(hot)
    ended = asyncio.Event()

    def stop() -> None:
        loop.call_soon_threadsafe(ended.set)

    child.on_stop(stop)
    tasks = [asyncio.create_task(_tick(hot)), asyncio.create_task(_collect(hot))]
    first = asyncio.create_task(ended.wait())
    ready = asyncio.create_task(asyncio.to_thread(hot.caught_up.wait))
    await asyncio.wait({first, ready}, return_when=asyncio.FIRST_COMPLETED)
    child.ready()
    await first
    hot.caught_up.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for server in servers:
        server.stop()
    if grpc is not None:
        await asyncio.to_thread(grpc.stop(DRAIN_S).wait)
    await asyncio.gather(*running)


async def _collect(hot: Hot) -> None:
    """Run all collectors; in a demo world not before its clock goes, for what is read now belongs to now."""
    from tocsin.app.brokers import Brokers  # noqa: PLC0415 - see below
    from tocsin.app.collectors import Collectors  # noqa: PLC0415 - pulls in clients that a bare edge needs not
    from tocsin.ingest.otlp import OtlpReceiver  # noqa: PLC0415

    clock = hot.settings.clock
    while clock is not None and not clock.started.exists():  # noqa: ASYNC110 - a file tells, not an event
        await asyncio.sleep(0.1)
    brokers = Brokers(hot.edge, OtlpReceiver(hot.edge, hot.senders), hot.places)
    hot.collectors = Collectors(hot.settings, hot.file.config, hot.edge, hot.clock, hot.packs, brokers)
    await hot.collectors.run()


def _grpc(hot: Hot) -> grpc.Server | None:
    settings = hot.settings
    if not settings.otlp_grpc_port:
        return None
    from tocsin.ingest.grpc import serve_grpc  # noqa: PLC0415 - half a second of import when the port is off

    try:
        server, _ = serve_grpc(hot.edge, hot.keys.authorise, f"{settings.host}:{settings.otlp_grpc_port}")
    except Unreachable:
        _log.warning(grpc_taken(settings))
        return None
    return server


def main(argv: Sequence[str]) -> int:
    """Run until the supervisor says stop; gives the exit code."""
    child = Child.of(argv)
    settings = child.settings
    set_up("hot")
    die_with_any_thread()
    cache_kernels(settings.data_dir)
    SupervisorCollector(settings).register()
    try:
        hot = Hot(settings)
    except TocsinError as bad:
        return refuse(bad)
    engine = threading.Thread(target=hot.fold, name="engine")
    looking = threading.Thread(target=hot.keep_looking, name="health")
    engine.start()
    looking.start()
    hot.file.watch(hot.adopt)
    signal.signal(signal.SIGHUP, lambda *_: hot.file.poke())
    try:
        asyncio.run(_serve(hot, child))
    finally:
        hot.file.close()
        hot.machine.leave()
        hot.stop.set()
        engine.join()
        hot.caught_up.set()
        looking.join()
        hot.close()
    return 0
