"""From a value that goes beyond its limit to the webhook: points pushed every second, one breach after another."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tocsin.app.bench.figure import Figure, quantile
from tocsin.app.bench.hook import Endpoint
from tocsin.app.bench.peers import Peer, alerting
from tocsin.app.bench.program import Server
from tocsin.app.bench.sizes import Sizes
from tocsin.model.errors import Unreachable
from tocsin.selfmon.clock import SystemClock

_LIMIT, _CALM, _BEYOND = 50.0, 10.0, 99.0
_PUSH_S = 1.0
_WAIT_S = 30.0
_CONFIG = """
monitors:
  - {{name: breach, signal: bench.level, detect: {{threshold: {{above: {limit}}}}}, for: 0s}}
destinations:
  - {{name: hook, type: webhook, url: "http://127.0.0.1:{port}/hook", allow: ["127.0.0.0/8"]}}
routes:
  - {{match: {{}}, to: [hook]}}
"""


@dataclass(slots=True)
class World:
    """Services with one value each; from its breach on a service is beyond its limit, and when that was first told."""

    services: int
    changed_s: dict[int, float] = field(default_factory=dict)
    pushed_s: dict[int, float] = field(default_factory=dict)
    scraped_s: dict[int, float] = field(default_factory=dict)

    def breach(self, service: int) -> None:
        """Let a service go beyond its limit now."""
        self.changed_s[service] = time.monotonic()

    def value(self, service: int) -> float:
        """The value of a service now."""
        return _BEYOND if service in self.changed_s else _CALM

    def page(self) -> str:
        """All values in Prometheus text format."""
        now, beyond = time.monotonic(), list(self.changed_s)
        lines = [f'bench_level{{service="{name(k)}"}} {self.value(k)}' for k in range(self.services)]
        for service in beyond:
            self.scraped_s.setdefault(service, now)
        return "# TYPE bench_level gauge\n" + "\n".join(lines) + "\n"

    def push(self, connection: HTTPConnection, now_ns: int) -> None:
        """Send all values as one OTLP/HTTP request."""
        request = ExportMetricsServiceRequest()
        beyond = list(self.changed_s)
        for service in range(self.services):
            of_resource = request.resource_metrics.add()
            of_resource.resource.attributes.add(key="service.name").value.string_value = name(service)
            metric = of_resource.scope_metrics.add().metrics.add(name="bench.level", unit="1")
            metric.gauge.data_points.add(time_unix_nano=now_ns, as_double=self.value(service))
        began = time.monotonic()
        headers = {"content-type": "application/x-protobuf"}
        connection.request("POST", "/v1/metrics", request.SerializeToString(), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Unreachable(f"a push was answered with {answer.status} {text[:200]!r}")
        for service in beyond:
            self.pushed_s.setdefault(service, began)


def name(service: int) -> str:
    """Name of a service, as it is looked for in webhooks."""
    return f"svc-{service:03}"


def breaches(sizes: Sizes, where: Path, *, peers: bool) -> Iterator[Figure]:
    """Figures of Tocsin, and with `peers` of Prometheus and Alertmanager, from the very same breaches."""
    world = World(sizes.breaches)
    hook, other, target = Endpoint(), Endpoint(), Endpoint(world.page)
    with contextlib.ExitStack() as stack:
        for endpoint in (hook, other, target):
            stack.enter_context(endpoint)
        pair: Sequence[Peer] = ()
        if peers:
            rule = f"bench_level > {_LIMIT:g}"
            pair = alerting(where / "alerting", f"127.0.0.1:{target.port}", f"http://127.0.0.1:{other.port}/", rule)
            for peer in pair:
                stack.enter_context(peer)
            for peer in pair:
                peer.wait_ready()
        # its kernels are compiled by an earlier run: the first breach comes in the first second of a usual start
        config = _CONFIG.format(limit=_LIMIT, port=hook.port)
        server = stack.enter_context(Server(where / "serve", where / "cache" if sizes.own_cache else None, config))
        _play(world, server, sizes.spacing_s)
        _await(world, [hook, other] if peers else [hook])
    yield from _figures("Tocsin", world.changed_s, world.pushed_s, hook, "pushed")
    if peers:
        yield from _figures("Prometheus + Alertmanager, all at 1 s", world.changed_s, world.scraped_s, other, "scraped")


def _play(world: World, server: Server, spacing_s: float) -> None:
    """Push every second from the first moment on; breaches fall evenly on all phases between two pushes."""
    connection = HTTPConnection("127.0.0.1", server.otlp_port, timeout=_WAIT_S)
    clock, pause = SystemClock(), threading.Event()
    began = time.monotonic()
    due = [k * (spacing_s + _PUSH_S / world.services) for k in range(world.services)]
    end = due[-1] + 2 * _PUSH_S
    next_push = 0.0
    try:
        while (now := time.monotonic() - began) < end:
            while len(world.changed_s) < len(due) and due[len(world.changed_s)] <= now:
                world.breach(len(world.changed_s))
            if now >= next_push:
                world.push(connection, clock.now())
                next_push += _PUSH_S
            waits = [next_push, *due[len(world.changed_s) : len(world.changed_s) + 1]]
            pause.wait(max(0.0, min(waits) - (time.monotonic() - began)))
    finally:
        connection.close()


def _await(world: World, endpoints: Sequence[Endpoint]) -> None:
    """Give the last ones time to come; one that does not come is said by the figures."""
    pause = threading.Event()
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        if all(end.first(name(k)) is not None for end in endpoints for k in range(world.services)):
            return
        pause.wait(0.05)


def _figures(
    who: str, changed: dict[int, float], told: dict[int, float], hook: Endpoint, verb: str
) -> Iterator[Figure]:
    came = {k: at for k in changed if (at := hook.first(name(k))) is not None}
    if len(came) < len(changed) or not told.keys() >= came.keys():
        raise Unreachable(f"{who}: {len(came)} of {len(changed)} breaches reached the webhook")
    from_told = [came[k] - told[k] for k in came]
    from_change = [came[k] - changed[k] for k in came]
    how = f"{len(came)} breaches, from the point that was {verb}"
    aim = 2.0 if verb == "pushed" else None
    yield Figure(f"breach to webhook, {who}, p50", quantile(from_told, 0.5), "s", aim, aim_high=False, note=how)
    yield Figure(f"breach to webhook, {who}, p99", quantile(from_told, 0.99), "s", aim, aim_high=False, note=how)
    how = f"from the change of the value, up to a second before it was {verb}"
    yield Figure(f"change to webhook, {who}, p50", quantile(from_change, 0.5), "s", note=how)
    yield Figure(f"change to webhook, {who}, p99", quantile(from_change, 0.99), "s", note=how)
    if verb == "pushed":
        how = "a point sent right after `ready:`"
        yield Figure("breach in the first second after start", from_told[0], "s", 2.0, aim_high=False, note=how)
