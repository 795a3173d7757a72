"""Metrics of the instrumented services as the SDK's own data objects, cumulative, with the times of the world."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tocsin.demo.bot import MODEL, World
from tocsin.demo.histogram import Cumulative
from tocsin.demo.spans import ns

_CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": MODEL}
_HTTP = {"http.request.method": "POST", "url.scheme": "http"}
_DURATION = ("http.server.request.duration", "s")


class ServiceMeters:
    """Samples the services' meters now and hands the samples of many moments over in one export."""

    def __init__(self, resources: dict[str, Resource]) -> None:
        self._resources = resources
        self._metrics: dict[tuple[str, str, str], list[HistogramDataPoint] | list[NumberDataPoint]] = {}

    def sample(self, world: World, passed_s: float) -> None:
        """Take all meters at the world's present time."""
        m, at = world.meters, (ns(world.start_s), ns(world.now_s))
        self._histogram("support-bot", ("gen_ai.client.operation.duration", "s"), _CHAT, m.chat_seconds, at)
        tokens = ("gen_ai.client.token.usage", "{token}")
        self._histogram("support-bot", tokens, {**_CHAT, "gen_ai.token.type": "input"}, m.input_tokens, at)
        self._histogram("support-bot", tokens, {**_CHAT, "gen_ai.token.type": "output"}, m.output_tokens, at)
        self._histogram("support-bot", _DURATION, {**_HTTP, "http.route": "/chat"}, m.bot_seconds, at)
        self._histogram("api-gateway", _DURATION, {**_HTTP, "http.route": "/v1/chat"}, m.gateway_seconds, at)
        calls = {"http.request.method": "POST", "server.address": "support-bot"}
        self._histogram("api-gateway", ("http.client.request.duration", "s"), calls, m.gateway_seconds, at)
        self._histogram("billing", _DURATION, {**_HTTP, "http.route": "/invoices"}, m.billing_seconds, at)
        self._gauge("billing", ("billing.invoices.pending", "{invoice}"), round(world.invoices.after(passed_s)), at)
        self._gauge("billing", ("db.client.connection.count", "{connection}"), round(world.pool.after(passed_s)), at)

    def export(self) -> dict[str, MetricsData]:
        """What was sampled since the last time, by service."""
        by_service: dict[str, list[Metric]] = {}
        for (service, name, unit), points in self._metrics.items():
            cumulative = AggregationTemporality.CUMULATIVE
            if isinstance(points[0], HistogramDataPoint):
                histograms = [point for point in points if isinstance(point, HistogramDataPoint)]
                data: Histogram | Gauge = Histogram(histograms, cumulative)
            else:
                data = Gauge([point for point in points if isinstance(point, NumberDataPoint)])
            by_service.setdefault(service, []).append(Metric(name, None, unit, data))
        self._metrics = {}
        return {service: self._envelope(service, metrics) for service, metrics in by_service.items()}

    def _envelope(self, service: str, metrics: Sequence[Metric]) -> MetricsData:
        scope = ScopeMetrics(InstrumentationScope(service), metrics, "")
        return MetricsData([ResourceMetrics(self._resources[service], [scope], "")])

    def _histogram(
        self, service: str, named: tuple[str, str], labels: dict[str, str], values: Cumulative, at: tuple[int, int]
    ) -> None:
        points = self._metrics.setdefault((service, *named), [])
        counts = list(values.counts)
        point = HistogramDataPoint(
            labels, *at, sum(counts), values.total, counts, values.bounds, values.least, values.most
        )
        points.append(point)  # type: ignore[arg-type]  # a name has points of one kind only

    def _gauge(self, service: str, named: tuple[str, str], value: float, at: tuple[int, int]) -> None:
        points = self._metrics.setdefault((service, *named), [])
        points.append(NumberDataPoint({}, *at, value))  # type: ignore[arg-type]  # a name has points of one kind only
