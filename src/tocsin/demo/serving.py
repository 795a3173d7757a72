"""A model server with one GPU: admission by KV blocks, prefill, decoding in a batch, memory that is given back or not.

Times are seconds of event time. A request's pace is set when it is admitted, from what the server holds then; that
is coarse, and enough for queues, preemptions and latencies to follow from load.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from tocsin.demo import histogram as h
from tocsin.demo.conditions import Conditions
from tocsin.demo.histogram import Cumulative

BLOCK_TOKENS = 16
_KV_TOKENS = 16_384
_MAX_BATCH = 16
_PREFILL_PER_S = 2_600.0
_DECODE_S = 0.0115
_PATIENCE_S = 30.0
_LONG_PROMPT_TOKENS = 2_048  # beyond one chunk, attention takes its workspace outside the preallocated pool
_WORKSPACE_MIB = 5.0
_LOST_BLOCKS = 3.0  # of a long prompt, when its chunks are freed
_LOSABLE = 0.6  # share of the pool that can be lost before the allocator compacts
_TOTAL_MIB = 24_564.0
_RESERVED_MIB = 21_180.0
_SPARE_MIB = 190.0
_BUSY_S = 45.0


@dataclass(slots=True)
class Call:
    """A call of the model, from the client's side; `first_s` and `end_s` are known when it is done."""

    at_s: float
    input_tokens: int
    output_tokens: int
    index: int
    admitted_s: float = math.nan
    first_s: float = math.nan
    end_s: float = math.nan
    timed_out: bool = False
    note: object = None
    by: ModelServer | None = None
    """Whose answer it is."""


@dataclass(slots=True)
class Totals:
    """Counters since the server started."""

    prompt_tokens: float = 0.0
    generation_tokens: float = 0.0
    preemptions: float = 0.0
    finished: float = 0.0
    aborted: float = 0.0
    energy_mj: float = 0.0


class Answered:
    """Histograms of the calls that were answered, since the server started."""

    def __init__(self) -> None:
        self.first_token = Cumulative(h.VLLM_FIRST_TOKEN)
        self.seconds = Cumulative(h.VLLM_SECONDS)
        self.prompt_tokens = Cumulative(h.VLLM_TOKENS)

    def record(self, call: Call) -> None:
        """Count one call."""
        self.first_token.record(call.first_s - call.at_s)
        self.seconds.record(call.end_s - call.at_s)
        self.prompt_tokens.record(call.input_tokens)


@dataclass(slots=True)
class _Gpu:
    busy: float = 0.5
    temperature: float = 55.0
    lost_mib: float = 0.0
    at_s: float = math.nan
    watt: float = 150.0


@dataclass(slots=True)
class ModelServer:
    """The server's state; `advance` moves it on and gives the calls that ended."""

    conditions: Conditions
    rng: np.random.Generator
    totals: Totals = field(default_factory=Totals)
    answered: Answered = field(default_factory=Answered)
    lost_tokens: float = 0.0
    held_tokens: int = 0
    _running: list[tuple[float, int, Call]] = field(default_factory=list)
    _waiting: deque[Call] = field(default_factory=deque)
    _done: list[Call] = field(default_factory=list)
    _gpu: _Gpu = field(default_factory=_Gpu)

    @property
    def running(self) -> int:
        """Requests in the batch."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests that are not admitted yet."""
        return len(self._waiting)

    @property
    def kv_ratio(self) -> float:
        """Share of the KV cache that is not free."""
        return min(1.0, (self.held_tokens + self.lost_tokens) / _KV_TOKENS)

    def submit(self, call: Call, at_s: float | None = None) -> None:
        """A call comes in, at `at_s` if another server turned it away before; calls come in the order of their time."""
        at_s = call.at_s if at_s is None else at_s
        self.advance(at_s)
        self._waiting.append(call)
        self._admit(at_s)

    def turned_away(self) -> list[Call]:
        """Calls that wait and are to be served elsewhere."""
        found = list(self._waiting)
        self._waiting.clear()
        return found

    def advance(self, until_s: float) -> None:
        """Let everything happen that ends before `until_s`."""
        while self._running and self._running[0][0] <= until_s:
            at_s, _, call = heapq.heappop(self._running)
            self._settle_gpu(at_s)
            self._finish(call)
            self._admit(at_s)
        while self._waiting and until_s - self._waiting[0].at_s > _PATIENCE_S:
            self._give_up(self._waiting.popleft())
        self._settle_gpu(until_s)

    def done(self) -> list[Call]:
        """Calls that ended since the last time, in the order of their end."""
        found, self._done = self._done, []
        return found

    def gpu(self) -> dict[str, float]:
        """What the GPU's own sensors say, by DCGM's short names (W, MiB, percent, degrees, MHz, mJ)."""
        used_mib = min(_TOTAL_MIB - _SPARE_MIB, _RESERVED_MIB + self._gpu.lost_mib + self.rng.normal(0, 3))
        clock = 1_740 - 3.0 * max(0.0, self._gpu.temperature - 62) + self.rng.normal(0, 6)
        return {
            "GPU_UTIL": round(min(100.0, max(0.0, 100 * self._gpu.busy + self.rng.normal(0, 2)))),
            "FB_USED": round(used_mib),
            "FB_FREE": round(_TOTAL_MIB - used_mib),
            "GPU_TEMP": round(self._gpu.temperature + self.rng.normal(0, 0.4)),
            "MEMORY_TEMP": round(self._gpu.temperature + 6 + self.rng.normal(0, 0.4)),
            "POWER_USAGE": round(self._gpu.watt + self.rng.normal(0, 4), 3),
            "SM_CLOCK": round(clock / 15) * 15,
            "MEM_CLOCK": 6_251,
            "XID_ERRORS": 0,
            "TOTAL_ENERGY_CONSUMPTION": round(self.totals.energy_mj),
        }

    def _admit(self, at_s: float) -> None:
        while self._waiting and len(self._running) < _MAX_BATCH:
            call = self._waiting[0]
            need = call.input_tokens + call.output_tokens
            room = _KV_TOKENS - self.held_tokens - self.lost_tokens
            if need > room and self._running:
                return
            self._waiting.popleft()
            if at_s - call.at_s > _PATIENCE_S:
                self._give_up(call)
                continue
            self._start(call, at_s, need)

    def _start(self, call: Call, at_s: float, need: int) -> None:
        self.held_tokens += need
        call.by = self
        batch, full = len(self._running) + 1, self.kv_ratio
        slow = self.conditions.decode_slowdown
        prefill_s = call.input_tokens / _PREFILL_PER_S * (1 + 0.1 * batch) * slow * self.rng.lognormal(0, 0.05)
        token_s = _DECODE_S * (1 + 0.04 * batch + 0.5 * full * full) * slow * self.rng.lognormal(0, 0.03)
        if self.rng.random() < 0.6 * max(0.0, full - 0.8) / 0.2:  # thrown out once, and computed again
            self.totals.preemptions += 1
            prefill_s *= 2
        call.admitted_s, call.first_s = at_s, at_s + 0.02 + prefill_s
        call.end_s = call.first_s + token_s * call.output_tokens
        heapq.heappush(self._running, (call.end_s, call.index, call))

    def _finish(self, call: Call) -> None:
        self.held_tokens -= call.input_tokens + call.output_tokens
        blocks, mib = self.conditions.leaked_blocks_per_request, self.conditions.leaked_mib_per_request
        if call.input_tokens > _LONG_PROMPT_TOKENS:
            blocks, mib = blocks + _LOST_BLOCKS, mib + _WORKSPACE_MIB
        if blocks or mib:
            lost = float(self.rng.poisson(blocks)) * BLOCK_TOKENS
            self.lost_tokens = min(_LOSABLE * _KV_TOKENS, self.lost_tokens + lost)
            self._gpu.lost_mib += float(self.rng.exponential(mib))
        self.totals.finished += 1
        self.totals.prompt_tokens += call.input_tokens
        self.totals.generation_tokens += call.output_tokens
        self._done.append(call)

    def _give_up(self, call: Call) -> None:
        call.timed_out, call.end_s = True, call.at_s + _PATIENCE_S
        call.output_tokens = 0
        self.totals.aborted += 1
        self._done.append(call)

    def _settle_gpu(self, at_s: float) -> None:
        """Utilisation follows the batch; blocks that can't be had stall it. Heat follows power."""
        gpu = self._gpu
        passed_s = 0.0 if math.isnan(gpu.at_s) else at_s - gpu.at_s
        gpu.at_s = at_s
        if passed_s <= 0:
            return
        stall = 0.7 * max(0.0, self.kv_ratio - 0.75) / 0.25
        target = (1 - math.exp(-0.8 * len(self._running))) * (1 - stall)
        gpu.busy += (target - gpu.busy) * -math.expm1(-passed_s / _BUSY_S)
        gpu.watt = 65 + 230 * gpu.busy
        gpu.temperature += (36 + 0.11 * gpu.watt - gpu.temperature) * -math.expm1(-passed_s / 240.0)
        self.totals.energy_mj += gpu.watt * passed_s * 1000
