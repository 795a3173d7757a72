"""Traces and logs of the support bot, made by the OpenTelemetry SDK with the times of the world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode

from tocsin.demo.bot import MODEL, PROMPT, Turn

SECOND_NS = 1_000_000_000


def ns(at_s: float, origin_ns: int = 0) -> int:
    """Nanoseconds of a time in seconds."""
    return origin_ns + round(at_s * SECOND_NS)


class SeededIds(IdGenerator):
    """Trace and span ids from a seed, so that a world can be told again."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 0x1D5])

    def generate_span_id(self) -> int:
        """64 bits, not all zero."""
        return int(self._rng.integers(1, 1 << 63))

    def generate_trace_id(self) -> int:
        """128 bits, not all zero."""
        return self.generate_span_id() << 64 | self.generate_span_id()


class BotSpans:
    """Turns what happened into finished SDK spans and log records."""

    def __init__(self, resource: Resource, seed: int) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(resource=resource, id_generator=SeededIds(seed), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self._tracer = provider.get_tracer("support-bot", "3.8.1")
        self._lines = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK left it untyped
        logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        logs.add_log_record_processor(SimpleLogRecordProcessor(self._lines))
        self._logger = logs.get_logger("support-bot")

    def spans(self, turns: Sequence[Turn]) -> list[ReadableSpan]:
        """Spans of the traced turns, three each."""
        for turn in turns:
            if turn.traced:
                self._trace(turn)
        found = list(self._kept.get_finished_spans())
        self._kept.clear()
        return found

    def logs(self, turns: Sequence[Turn]) -> list[ReadableLogRecord]:
        """A line for each traced or failed turn, as the bot writes them."""
        for turn in turns:
            failed = turn.fails or turn.call.timed_out
            if not (turn.traced or failed):
                continue
            at = ns(turn.end_s)
            severity = SeverityNumber.ERROR if failed else SeverityNumber.INFO
            text = "the model did not answer in 30 s" if turn.call.timed_out else "the answer could not be parsed"
            said = (
                text if failed else f"answered with {turn.documents} documents in {turn.end_s - turn.call.at_s:.2f} s"
            )
            self._logger.emit(
                LogRecord(
                    timestamp=at,
                    observed_timestamp=at,
                    severity_number=severity,
                    severity_text=severity.name,
                    body=said,
                )
            )
        found = list(self._lines.get_finished_logs())
        self._lines.clear()
        return found

    def _trace(self, turn: Turn) -> None:
        call = turn.call
        begin, end = ns(call.at_s), ns(turn.end_s)
        status = 504 if call.timed_out else 500 if turn.fails else 200
        http: dict[str, str | int] = {
            "http.request.method": "POST",
            "http.route": "/chat",
            "url.scheme": "http",
            "http.response.status_code": status,
        }
        root = self._tracer.start_span("POST /chat", kind=SpanKind.SERVER, attributes=http, start_time=begin)
        inside = trace.set_span_in_context(root)
        retrieved = begin + ns(turn.retrieved_s)
        self._tracer.start_span(
            "retrieval support-articles",
            inside,
            SpanKind.CLIENT,
            {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.data_source.id": "support-articles",
                "gen_ai.retrieval.document_count": turn.documents,
                "db.system.name": "pgvector",
            },
            start_time=begin + 1_000_000,
        ).end(retrieved)
        chat = self._tracer.start_span(f"chat {MODEL}", inside, SpanKind.CLIENT, _chat(turn), start_time=retrieved)
        if status != 200:
            kind = "timeout" if call.timed_out else "JSONDecodeError"
            for span in (chat, root):
                span.set_attribute("error.type", kind)
                span.set_status(Status(StatusCode.ERROR))
        chat.end(ns(call.end_s + turn.retrieved_s))
        root.end(end)


def _chat(turn: Turn) -> dict[str, str | int | float]:
    """Attributes of the model call, by the names of OpenTelemetry GenAI."""
    call = turn.call
    said: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.prompt.name": PROMPT,
        "gen_ai.prompt.version": turn.prompt_version,
        "server.address": "model-server",
    }
    if not call.timed_out:
        said["gen_ai.response.model"] = MODEL
        said["gen_ai.usage.input_tokens"] = call.input_tokens
        said["gen_ai.usage.output_tokens"] = call.output_tokens
        said["gen_ai.response.time_to_first_chunk"] = call.first_s - call.at_s
    return said
