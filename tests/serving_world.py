"""An emulated model server with a GPU, driven by the traffic of real clients, and the engine that watches it.

Traffic: eight clients of ServeGen (Apache-2.0), requests a second by ten minutes and quantiles of their tokens. What
the server does follows from load: requests wait, are prefilled one after the other (nothing else is computed then, and
nothing is counted until it is done, as without chunked prefill) and decoded together; power follows what is computed.
"""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np

from tocsin.correlate.reducer import Reducer
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.incident.severity import grader
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.config import Config

S = 10**9
START = 20_740 * 86_400 * S + 9 * 3600 * S
BEAT = 10 * S
CLIENTS = json.loads((Path(__file__).parent / "golden" / "serving" / "clients.json").read_text())["clients"]
PREFILL_PER_S = 9_000
DECODE_PER_S = 40
BATCH = 32
KV_TOKENS = 160_000
IDLE_W, BUSY_W = 71.0, 310.0
VLLM = {"pod": "llama-0", "model_name": "llama", "engine": "0", "instance": "10.0.0.7:8000", "job": "vllm"}
GPU = {"UUID": "GPU-1", "gpu": "0", "Hostname": "n1", "instance": "10.0.0.9:9400", "exported_pod": "llama-0"}
Z99 = 2.3263


@dataclass
class Request:
    input_tokens: int
    output_tokens: int
    left: float = 0.0
    made: float = 0.0
    asked: int = 0
    begun: int = 0
    ended: int = 0


@dataclass
class Server:
    """A model server, second by second; `wedged` it holds what it has and computes nothing.

    `longer` makes prompts longer by a factor, `slower` is the share of its speed that is left. What no longer fits into
    its KV cache is thrown out, the newest first, and computed anew. `done` are requests that ended since it was emptied.
    """

    seed: int = 1
    clients: tuple[str, ...] = ("chunk-0", "chunk-16", "chunk-69")
    traffic: float = 1.0
    wedged: bool = False
    gauges_lie: bool = False
    longer: float = 1.0
    slower: float = 1.0
    kv_tokens: int = KV_TOKENS
    now: int = 0
    done: list[Request] = field(default_factory=list)
    waiting: list[Request] = field(default_factory=list)
    running: list[Request] = field(default_factory=list)
    totals: dict[str, float] = field(default_factory=dict)
    busy: float = 0.0

    def count(self, name: str, by: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + by

    def second(self, at: int) -> None:
        rng = np.random.default_rng([self.seed, at // S])
        self.now = at
        for name in self.clients:
            told = CLIENTS[name]
            rate = told["rates"][int(at / S / 600) % 144] * self.traffic
            for _ in range(int(rng.poisson(rate))):
                asked = round(tokens(rng, told, "input") * self.longer)
                self.ask(Request(asked, tokens(rng, told, "output"), asked=at))
        for name in ("prompt_tokens", "generation_tokens", "iterations", "finished", "arrived", "preempted"):
            self.count(name, 0.0)
        computed = 0.0 if self.wedged else self.compute()
        self.busy += (computed - self.busy) * 0.5

    def ask(self, request: Request) -> None:
        self.count("arrived", 1)
        request.left = request.input_tokens
        self.waiting.append(request)

    def compute(self) -> float:
        budget = PREFILL_PER_S * self.slower
        whole = budget
        while self.waiting and budget > 0 and len(self.running) < BATCH and self.fits(self.waiting[0]):
            first = self.waiting[0]
            part = min(first.left, budget)
            first.left -= part
            budget -= part
            if first.left > 0:
                return 1.0
            self.waiting.pop(0)
            self.running.append(first)
            first.begun = first.begun or self.now
            self.count("prompt_tokens", first.input_tokens)
            self.count("iterations", 1)
        share = budget / whole
        for request in list(self.running):
            made = min(DECODE_PER_S * self.slower * share, request.output_tokens - request.made)
            request.made += made
            self.count("generation_tokens", made)
            self.count("iterations", made)
            if request.made >= request.output_tokens:
                self.running.remove(request)
                request.ended = self.now
                self.done.append(request)
                self.count("finished", 1)
        while self.held > self.kv_tokens and len(self.running) > 1:
            out = self.running.pop()
            out.left = out.input_tokens
            self.waiting.insert(0, out)
            self.count("preempted", 1)
        return max(1 - share, min(1.0, 0.35 + 0.05 * len(self.running)) if self.running else 0.0)

    def fits(self, request: Request) -> bool:
        return not self.running or self.held + request.input_tokens <= self.kv_tokens

    @property
    def held(self) -> float:
        return sum(r.input_tokens + r.made for r in self.running)

    @property
    def kv(self) -> float:
        return min(1.0, self.held / self.kv_tokens)


def tokens(rng: np.random.Generator, told: dict[str, float], which: str) -> int:
    """A number of tokens, log-normal through the median and the 99 % quantile that were measured."""
    middle, high = told[f"{which}_tokens_p50"], told[f"{which}_tokens_p99"]
    sigma = math.log(max(high / middle, 1.001)) / Z99
    return max(1, round(middle * math.exp(sigma * rng.standard_normal())))


class House:
    """Engine and correlation over one server and its GPU; the clock is the log's."""

    def __init__(self, packs, server: Server | None = None, *, gpu=True, gateway=True, config: Config | None = None):
        self.packs, self.gpu, self.gateway = packs, gpu, gateway
        self.config = config or Config()
        self.server = server or Server()
        self.catalog = Catalog()
        self.now = START
        self.offset = 0
        self.findings, self.incidents = [], {}
        self.memory = 0.91
        self.muted: set[str] = set()
        self.others: set[str] = set()  # sources that are fed beside the pages
        self.extra: list[tuple[str, Signal, dict[str, str], float]] = []
        self.begin()

    def begin(self):
        self.pipeline = Pipeline(self.catalog)
        spec = self.config.engine_spec(self.packs)
        self.reducer = Reducer(spec, grader())
        self.feed(spec.control())

    def feed(self, entry):
        self.offset += 1
        output = self.pipeline.fold(LogRecord(self.offset, entry))
        if output is None:
            return
        for frame in output.frames:
            if frame.kind is FrameKind.FINDINGS:
                self.findings += [row | {"received": self.now} for row in frame.rows()]
        for step in self.reducer.fold(output, self.catalog):
            self.incidents[step.incident.id] = step.incident

    def ref(self, signal, labels):
        return self.catalog.intern(Series.of("main", signal, labels))

    def live(self, seconds, every=BEAT):
        until = self.now + seconds * S
        while self.now < until:
            for _ in range(every // S):
                self.now += S
                self.server.second(self.now)
            self.beat()

    def beat(self):
        marks = {("main", source): self.now for source in self.others}
        for source, rows in self.pages().items():
            if source in self.muted or not rows:
                continue
            refs = np.array([self.ref(signal, labels) for signal, labels, _ in rows], "i4")
            values = np.array([value for *_, value in rows])
            self.feed(points_frame("main", source, refs, np.full(len(refs), self.now), values))
            marks["main", source] = self.now
        self.feed(Tick(self.now + S // 2, marks))

    def pages(self):
        s, rng = self.server, np.random.default_rng([self.server.seed, self.now // S, 5])
        lying = s.wedged and s.gauges_lie
        vllm = [
            gauge("vllm:num_requests_running", VLLM, 0 if lying else len(s.running)),
            gauge("vllm:num_requests_waiting", VLLM, 0 if lying else len(s.waiting)),
            gauge("vllm:kv_cache_usage_perc", VLLM, s.kv),
            counter("vllm:prompt_tokens_total", VLLM, s.totals["prompt_tokens"]),
            counter("vllm:generation_tokens_total", VLLM, s.totals["generation_tokens"]),
            counter("vllm:request_success_total", VLLM | {"finished_reason": "stop"}, s.totals["finished"]),
            counter("vllm:num_preemptions_total", VLLM, s.totals["preempted"]),
            gauge("up", {"instance": VLLM["instance"], "job": "vllm"}, 1),
        ]
        pages = {"vllm": [*vllm, *((sig, lab, val) for src, sig, lab, val in self.extra if src == "vllm")]}
        if self.gateway:
            labels = {"model_name": "llama", "target_model_name": "llama", "instance": "10.0.0.2:9090"}
            pages["gateway"] = [counter("inference_objective_request_total", labels, s.totals["arrived"])]
        if self.gpu:
            watt = IDLE_W + (BUSY_W - IDLE_W) * s.busy + rng.normal(0, 3)
            used = 81_559 * self.memory + rng.normal(0, 2)
            pages["dcgm"] = [
                gauge("DCGM_FI_DEV_FB_USED", GPU, round(used)),
                gauge("DCGM_FI_DEV_FB_FREE", GPU, round(81_559 - used)),
                gauge("DCGM_FI_DEV_GPU_UTIL", GPU, round(100 * s.busy)),
                gauge("DCGM_FI_DEV_POWER_USAGE", GPU, round(watt, 1)),
                gauge("DCGM_FI_DEV_GPU_TEMP", GPU, round(34 + 0.11 * watt)),
                gauge("DCGM_FI_DEV_XID_ERRORS", GPU, 0),
                gauge("up", {"instance": GPU["instance"], "job": "dcgm"}, 1),
            ]
        return pages

    def freeze(self):
        return pack(self.pipeline.snapshot()), self.reducer.snapshot()

    def alike(self):
        """A new house of the same kind."""
        return House(self.packs, gpu=self.gpu, gateway=self.gateway, config=self.config)

    def after(self, frozen):
        """A house that goes on from a frozen one by itself."""
        other = self.alike()
        s = self.server
        other.server = Server(s.seed, s.clients, s.traffic, kv_tokens=s.kv_tokens)
        other.server.totals, other.server.busy = dict(s.totals), s.busy
        other.server.running = [Request(**vars(r)) for r in s.running]
        other.server.waiting = [Request(**vars(r)) for r in s.waiting]
        other.catalog, other.now = self.catalog, self.now
        other.begin()
        other.pipeline.restore(unpack(frozen[0]))
        other.reducer.restore(frozen[1])
        other.offset = self.offset
        return other

    def of(self, monitor, phase="open"):
        """Findings of a monitor in a phase, oldest first."""
        return [row for row in self.findings if row["monitor"] == monitor and row["phase"] == phase]


ENGINES = {
    "vllm": {},
    "sglang": {
        "vllm:num_requests_running": "sglang:num_running_reqs",
        "vllm:num_requests_waiting": "sglang:num_queue_reqs",
        "vllm:kv_cache_usage_perc": "sglang:token_usage",
        "vllm:prompt_tokens_total": "sglang:prompt_tokens_total",
        "vllm:generation_tokens_total": "sglang:generation_tokens_total",
        "vllm:request_success_total": "sglang:num_requests_total",
        "vllm:num_preemptions_total": "sglang:num_retractions_total",
    },
    "tgi": {
        "vllm:num_requests_running": "tgi_batch_current_size",
        "vllm:num_requests_waiting": "tgi_queue_size",
        "vllm:kv_cache_usage_perc": "",
        "vllm:prompt_tokens_total": "tgi_request_input_length_sum",
        "vllm:generation_tokens_total": "tgi_request_generated_tokens_sum",
        "vllm:request_success_total": "tgi_request_success",
        "vllm:num_preemptions_total": "",
    },
}
"""By engine: what it calls the readings that vLLM's page has; "" for what it lacks."""


class NamedHouse(House):
    """A house whose server speaks by the names of another engine."""

    def __init__(self, packs, server=None, *, engine, **of):
        self.engine = engine
        super().__init__(packs, server, **of)

    def pages(self):
        names, found = ENGINES[self.engine], super().pages()
        found["vllm"] = [
            (Signal(told, signal.unit, signal.kind, signal.monotonic, signal.cumulative), labels, value)
            for signal, labels, value in found["vllm"]
            if (told := names.get(signal.name, signal.name))
        ]
        return found

    def alike(self):
        return NamedHouse(self.packs, engine=self.engine, gpu=self.gpu, gateway=self.gateway, config=self.config)


@contextmanager
def door(server: Server):
    """The address of an HTTP server that answers as vLLM's does: `/health` says 200 as long as the process lives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            lying = server.wedged and server.gauges_lie
            running = 0 if lying else len(server.running)
            texts = {"/health": "", "/metrics": f"vllm:num_requests_running {running}\n"}
            self.send_response(200 if self.path in texts else 404)
            self.end_headers()
            self.wfile.write(texts.get(self.path, "").encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def gauge(name, labels, value):
    return Signal(name, ""), labels, float(value)


def counter(name, labels, value):
    return Signal(name, "", Kind.SUM, monotonic=True, cumulative=True), labels, float(value)
