"""A program as a user would write one: the real OpenTelemetry SDK, its exporter chosen by the first argument."""

import os
import sys
import time
from importlib import import_module

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def main(protocol):
    base = f"opentelemetry.exporter.otlp.proto.{protocol}"
    metric_exporter = import_module(f"{base}.metric_exporter").OTLPMetricExporter()
    span_exporter = import_module(f"{base}.trace_exporter").OTLPSpanExporter()
    log_exporter = import_module(f"{base}._log_exporter").OTLPLogExporter()
    service = os.environ["SERVICE"]
    resource = Resource({"service.name": service, "deployment.environment.name": "test"})
    meters = MeterProvider([PeriodicExportingMetricReader(metric_exporter, 600_000)], resource)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(span_exporter))
    loggers = LoggerProvider(resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter))

    meter = meters.get_meter("orders")
    orders = meter.create_counter("shop.orders", "{order}")
    for lane, count in (("web", 3), ("phone", 4)):
        orders.add(count, {"lane": lane})
    meter.create_gauge("shop.queue.length", "{order}").set(12.5)
    duration = meter.create_histogram("shop.checkout.duration", "s", explicit_bucket_boundaries_advisory=[0.1, 1, 10])
    for seconds in (0.05, 0.5, 0.6, 5):
        duration.record(seconds)

    tracer = tracers.get_tracer("orders")
    with tracer.start_as_current_span("checkout"), tracer.start_as_current_span("chat m-1") as call:
        call.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "m-1",
                "gen_ai.provider.name": "openai",
                "gen_ai.usage.input_tokens": 120,
                "gen_ai.usage.output_tokens": 30,
            }
        )
    loggers.get_logger("orders").emit(
        timestamp=time.time_ns(),
        severity_number=SeverityNumber.WARN,
        severity_text="WARN",
        body="order 17 of kim@example.org is late",
        attributes={"order.id": 17},
    )
    for provider in (meters, tracers, loggers):
        provider.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
