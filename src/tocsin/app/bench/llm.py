"""Spans of model calls: how many a CPU second takes in, stores and judges, in how much memory; Phoenix's OTLP beside it."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tocsin.app.bench.bodies import OTLP_HEADERS, SECOND, Body, store_bodies
from tocsin.app.bench.drift_peers import PYTHON
from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.ingest import Load, Loader, spent
from tocsin.app.bench.program import Program, Server, free_port, get, wait_until
from tocsin.app.settings import environment
from tocsin.selfmon.clock import SystemClock

_SETTLE_S: Final = 900.0
_POLL_S: Final = 0.25
_TICKS_S: Final = 1.5
_SPREAD_S: Final = 120.0
_PEER_SHARE: Final = 50
"""The peer is sent one request in so many: it takes what it takes for that."""
_GZIP_LEVEL: Final = 6
_QUESTION: Final = "Where is my order, and when will it be delivered? I ordered it a week ago. " * 8
_ANSWER: Final = "It left the warehouse this morning and will be with you tomorrow before noon. " * 4


def measure(setting: Setting) -> Bench:
    """Send calls of models to a fresh server, and a part of the same calls to Phoenix if it is there."""
    bench = Bench("llm", load=os.getloadavg())
    began = time.monotonic()
    sizes = setting.sizes
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as place:
        where = Path(place)
        load = _prepared(sizes.events, sizes.rows_per_request, sizes.connections, where / "calls.load")
        _measure_server(bench, load, where, own_cache=sizes.own_cache)
        python = environment().get(PYTHON, "")
        if setting.peers and python:
            rows = max(sizes.rows_per_request, sizes.events // _PEER_SHARE)
            part = _prepared(rows, min(100, sizes.rows_per_request), 1, where / "part.load")
            _measure_same(bench, part, where)
            _measure_peer(bench, part, python, where / "phoenix")
    bench.elapsed_s = time.monotonic() - began
    return bench


def call_bodies(rows: int, per_request: int, lanes: int, until_ns: int) -> Iterator[Body]:
    """Requests of `rows` calls of models, each with its prompt and answer, spread over two minutes."""
    requests = -(-rows // per_request)
    for number in range(requests):
        end = until_ns - round(_SPREAD_S * SECOND * (requests - 1 - number) / max(1, requests - 1))
        held = min(per_request, rows - number * per_request)
        content = gzip.compress(_request(held, number, end), _GZIP_LEVEL)
        yield Body(number % lanes, number // lanes, "/v1/traces", held, content)


def _request(rows: int, request_number: int, end_ns: int) -> bytes:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    _set(of_resource.resource.attributes, {"service.name": "assistant", "cloud.region": "eu-west-1"})
    spans = of_resource.scope_spans.add().spans
    for number in range(rows):
        span = spans.add(name="chat m-large", kind=3)
        span.trace_id = struct.pack("<QQ", request_number + 1, number + 1)
        span.span_id = struct.pack("<II", request_number + 1, number + 1)
        span.start_time_unix_nano, span.end_time_unix_nano = end_ns - SECOND - number * 1000, end_ns - number * 1000
        texts = {
            "gen_ai.operation.name": "chat",
            "openinference.span.kind": "LLM",
            "gen_ai.provider.name": "mistral_ai",
            "gen_ai.request.model": f"mistral-large-{number % 3}",
            "gen_ai.response.id": f"r-{request_number}-{number}",
            "gen_ai.prompt.version": f"v{number % 4}",
            "session.id": f"s-{number % 50}",
            "user.id": f"u-{number % 200}",
            "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": _QUESTION}]}]),
            "gen_ai.output.messages": json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": _ANSWER}]}]
            ),
        }
        _set(span.attributes, texts)
        for name, count in (("input", 900 + number % 400), ("output", 150 + number % 90)):
            _set(span.attributes, {f"gen_ai.usage.{name}_tokens": count})
    return request.SerializeToString()


def _set(attributes: Any, pairs: dict[str, str] | dict[str, int]) -> None:
    for key, value in pairs.items():
        entry = attributes.add(key=key)
        if isinstance(value, int):
            entry.value.int_value = value
        else:
            entry.value.string_value = value


def _prepared(rows: int, per_request: int, lanes: int, file: Path) -> Load:
    bodies = list(call_bodies(rows, per_request, lanes, SystemClock().now()))
    store_bodies(file, bodies)
    return Load("spans", rows, len(bodies), file, OTLP_HEADERS)


def _measure_server(bench: Bench, load: Load, where: Path, *, own_cache: bool) -> None:
    with Server(where / "serve", where / "cache" if own_cache else None) as server:
        loader = Loader(load, server.port)
        if own_cache:
            server.wait_compiled()
        before, began = server.cpu_s(), time.monotonic()
        loader.send()
        threading.Event().wait(_TICKS_S)  # what came last is judged at a tick, and only then there to be stored
        wait_until(lambda: server.settled("spans", load.rows), _SETTLE_S, "calls stored", _POLL_S)
        used, elapsed_s = spent(server, before), time.monotonic() - began
        memory = server.memory_bytes()
    note = (
        f"{load.rows:,} calls with prompt and answer, gzip OTLP/HTTP; contents dropped, costs and limits found, signals "
        f"judged; {elapsed_s:.1f} s by the clock"
    )
    bench.add(Figure("calls, received to stored and judged", load.rows / used["all"], "spans/CPU-s", note=note))
    split = ", ".join(f"{role} {size / 2**20:.0f}" for role, size in sorted(memory.items()))
    bench.add(Figure("resident memory after the calls", sum(memory.values()) / 2**20, "MiB", note=f"{split} MiB"))


def _measure_same(bench: Bench, load: Load, where: Path) -> None:
    """The calls that the peer is sent, by one connection to a server of their own, until a query finds them all."""
    with Server(where / "same", None) as server:
        loader = Loader(load, server.port)
        before, began = server.cpu_s(), time.monotonic()
        loader.send()
        wait_until(lambda: _found(server.port) >= load.rows, _SETTLE_S, "calls found", _POLL_S)
        used, elapsed_s = spent(server, before), time.monotonic() - began
    note = f"the {load.rows:,} calls that Phoenix is sent, by one connection, all found after {elapsed_s:.1f} s"
    bench.add(
        Figure("the same calls, received to stored and judged", load.rows / used["all"], "spans/CPU-s", note=note)
    )


def _found(port: int) -> int:
    """Calls that the page of language models finds."""
    status, body = get(port, "/api/llm?last_s=3600")
    totals = json.loads(body)["totals"] if status == HTTPStatus.OK else None
    return int(totals["calls"]) if totals else 0


class Phoenix(Program):
    """Arize Phoenix in an interpreter of its own, with its SQLite database in a fresh directory."""

    def __init__(self, python: str, where: Path) -> None:
        self.port = free_port()
        environ = {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_WORKING_DIR": str(where),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        super().__init__([python, "-m", "phoenix.server.main", "serve"], where, environ=environ)

    def wait_ready(self) -> None:
        """Wait until it takes requests."""
        self.wait(lambda: get(self.port, "/healthz")[0] == 200, "Phoenix was not ready")

    def stored(self) -> int:
        """Spans that a query finds."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60.0)
        try:
            asked = json.dumps({"query": "{ projects { edges { node { recordCount } } } }"})
            connection.request("POST", "/graphql", asked, {"content-type": "application/json"})
            found = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return sum(int(edge["node"]["recordCount"]) for edge in found["data"]["projects"]["edges"])


def _measure_peer(bench: Bench, load: Load, python: str, where: Path) -> None:
    told = subprocess.run(  # noqa: S603 - the interpreter that the user names
        [python, "-c", "import importlib.metadata as m; print(m.version('arize-phoenix'))"],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        sys.stderr.write(f"bench llm: no arize-phoenix in {python}; measured without it\n")
        return
    with Phoenix(python, where) as peer:
        peer.wait_ready()
        loader = Loader(load, peer.port)
        before, began = peer.cpu_s(), time.monotonic()
        loader.send()
        wait_until(lambda: peer.stored() >= load.rows, _SETTLE_S, "Phoenix stored", _POLL_S)
        used, elapsed_s = spent(peer, before), time.monotonic() - began
        memory = sum(peer.memory_bytes().values())
    note = f"Phoenix {told.stdout.strip()} on SQLite; {load.rows:,} of such calls, all found after {elapsed_s:.1f} s"
    bench.add(Figure("calls, Phoenix, received to stored", load.rows / used["all"], "spans/CPU-s", note=note))
    bench.add(Figure("resident memory of Phoenix after them", memory / 2**20, "MiB"))
