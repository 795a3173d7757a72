"""OTLP/gRPC: the three export services on grpcio's thread pool, over the same decoders as HTTP.

gRPC's own decompression is off: messages arrive as sent and are inflated here, so that every version of
grpcio applies the limit to what comes out, and what is refused for its size is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

from tocsin.ingest.edge import Edge
from tocsin.ingest.limits import decompress
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.rpc_status import status_bytes
from tocsin.model.access import Access, Authorise, Scope
from tocsin.model.errors import BadInput, Overloaded, TooLarge, Unreachable
from tocsin.selfmon.metrics import counter

_SERVICES = {
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
_GZIP_MAGIC, _ZLIB_MAGIC = b"\x1f\x8b", b"\x78"
_WEIGHT = 4
_CALLS = counter("tocsin_ingest_grpc_requests_total", "Calls of OTLP/gRPC, by status", ["signal", "status"])
_BYTES = counter("tocsin_ingest_grpc_body_bytes_total", "Bytes of messages as received", ["signal"])


def _inflate(message: bytes, limit_bytes: int) -> bytes:
    # neither start is that of an export request: there is no wire type 7, and they have no field 15
    if message.startswith(_GZIP_MAGIC):
        encoding = "gzip"
    elif message.startswith(_ZLIB_MAGIC) and int.from_bytes(message[:2], "big") % 31 == 0:
        encoding = "deflate"
    else:
        encoding = "identity"
    return decompress(message, encoding, limit_bytes)


class _Refusal(Exception):
    """Why a call ends without a reply."""

    def __init__(self, code: grpc.StatusCode, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s

    def details(self) -> bytes:
        """The serialised google.rpc.Status of this refusal."""
        number: int = self.code.value[0]
        return status_bytes(number, str(self), self.retry_after_s)


class _Export:
    """One method: checks the key, takes the message in, waits for the disk, replies."""

    def __init__(self, signal: str, receiver: OtlpReceiver, edge: Edge, authorise: Authorise, timeout_s: float) -> None:
        self._signal = signal
        self._receiver = receiver
        self._edge = edge
        self._authorise = authorise
        self._timeout_s = timeout_s

    def __call__(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Serve one call, in a thread of the pool."""
        try:
            reply = self._serve(message, self._access(context))
        except _Refusal as refusal:
            _CALLS.labels(self._signal, refusal.code.name).inc()
            context.set_trailing_metadata((("grpc-status-details-bin", refusal.details()),))
            context.abort(refusal.code, str(refusal))
        _CALLS.labels(self._signal, grpc.StatusCode.OK.name).inc()
        return reply

    def _access(self, context: grpc.ServicerContext) -> Access:
        sent = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        access = self._authorise(sent.get("authorization"))
        if access is None:
            message = "a key is needed: send metadata `authorization: Bearer KEY` (tocsin key create --scope ingest)"
            raise _Refusal(grpc.StatusCode.UNAUTHENTICATED, message)
        if not access.allows(Scope.INGEST):
            raise _Refusal(grpc.StatusCode.PERMISSION_DENIED, "this key does not have the scope ingest")
        return access

    def _serve(self, message: bytes, access: Access) -> bytes:
        _BYTES.labels(self._signal).inc(len(message))
        with self._edge.budget.reservation() as held:
            try:
                held.take(len(message))
                body = _inflate(message, self._edge.limits.body_bytes)
                held.take(_WEIGHT * len(body))
            except Overloaded as full:
                raise _Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, str(full), full.retry_after_s) from full
            except TooLarge as large:
                # without RetryInfo: the client must not send it again
                raise _Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, str(large)) from large
            except BadInput as bad:
                raise _Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(bad)) from bad
            try:
                taken = self._receiver.take(self._signal, body, access.tenant)
                taken.durable.result(self._timeout_s)
            except Overloaded as full:
                raise _Refusal(grpc.StatusCode.UNAVAILABLE, str(full), full.retry_after_s) from full
            except TimeoutError as late:
                raise _Refusal(grpc.StatusCode.UNAVAILABLE, "not on disk in time; send again", 1.0) from late
            except BadInput as bad:
                raise _Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(bad)) from bad
        return taken.reply(as_json=False)


def _handler(
    export: Callable[[bytes, grpc.ServicerContext], bytes], service: str
) -> grpc.GenericRpcHandler[bytes, bytes]:
    # without (de)serialisers the method gets and gives bytes
    return grpc.method_handlers_generic_handler(service, {"Export": grpc.unary_unary_rpc_method_handler(export)})


def serve_grpc(
    edge: Edge, authorise: Authorise, address: str, *, threads: int = 8, timeout_s: float = 30.0
) -> tuple[grpc.Server, int]:
    """Start an OTLP/gRPC server on `host:port`; gives it and the port it has (for port 0).

    Raises
    ------
    Unreachable
        The address can't be bound, as when another process has the port.
    """
    options = (
        # what is a little too large is refused, and counted, above gRPC
        ("grpc.max_receive_message_length", 2 * edge.limits.body_bytes),
        ("grpc.per_message_decompression", 0),
        ("grpc.so_reuseport", 0),
    )
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="otlp-grpc"),
        options=options,
        maximum_concurrent_rpcs=16 * threads,
    )
    receiver = OtlpReceiver(edge)
    for signal, service in _SERVICES.items():
        export = _Export(signal, receiver, edge, authorise, timeout_s)
        server.add_generic_rpc_handlers((_handler(export, service),))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as taken:
        server.stop(None)
        raise Unreachable(
            f"OTLP/gRPC can't listen on {address}: the port is taken or not allowed; choose another with "
            f"--otlp-grpc-port, or 0 to do without"
        ) from taken
    server.start()
    return server, port
