"""The model server's Prometheus side: one page that reads like vLLM and dcgm-exporter, scraped or remote-written.

History is remote-written with the very labels that a scrape adds (`job`, `instance`), so that both are one series.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tocsin.demo.bot import MODEL, World
from tocsin.demo.histogram import Cumulative

JOB = "model-server"
_VLLM = (("engine", "0"), ("model_name", MODEL))


def _gpu(replica: int) -> tuple[tuple[str, str], ...]:
    """Each replica has a machine with a GPU of its own."""
    return (
        ("DCGM_FI_DRIVER_VERSION", "580.95.05"),
        ("Hostname", f"gpu-node-{replica + 1}"),
        ("UUID", f"GPU-6f8a1c1e-2d0b-4a57-9b1e-0f3c7d9a5e{0x42 + replica:02x}"),
        ("device", "nvidia0"),
        ("gpu", "0"),
        ("modelName", "NVIDIA L4"),
        ("pci_bus_id", "00000000:00:04.0"),
    )


_TYPES = {"counter": 1, "gauge": 2, "histogram": 3}
_COUNTED_SENSORS = frozenset({"TOTAL_ENERGY_CONSUMPTION"})


class Family(NamedTuple):
    """A metric family: its samples carry the name's suffix and the labels beside the family's own."""

    name: str
    kind: str
    samples: list[tuple[str, tuple[tuple[str, str], ...], float]]


def families(world: World, replica: int = 0) -> list[Family]:
    """All families of one replica at the world's present time."""
    server = world.fleet.servers[replica]
    totals, answered = server.totals, server.answered
    found = [
        _one("vllm:num_requests_running", "gauge", server.running),
        _one("vllm:num_requests_waiting", "gauge", server.waiting),
        _one("vllm:kv_cache_usage_perc", "gauge", server.kv_ratio),
        _one("vllm:prompt_tokens_total", "counter", totals.prompt_tokens),
        _one("vllm:generation_tokens_total", "counter", totals.generation_tokens),
        _one("vllm:num_preemptions_total", "counter", totals.preemptions),
        Family(
            "vllm:request_success_total",
            "counter",
            [
                ("", (*_VLLM, ("finished_reason", "stop")), totals.finished),
                ("", (*_VLLM, ("finished_reason", "abort")), totals.aborted),
            ],
        ),
        _histogram("vllm:time_to_first_token_seconds", answered.first_token),
        _histogram("vllm:e2e_request_latency_seconds", answered.seconds),
        _histogram("vllm:request_prompt_tokens", answered.prompt_tokens),
    ]
    for short, value in server.gpu().items():
        kind = "counter" if short in _COUNTED_SENSORS else "gauge"
        found.append(Family(f"DCGM_FI_DEV_{short}", kind, [("", _gpu(replica), value)]))
    return found


def _one(name: str, kind: str, value: float) -> Family:
    return Family(name, kind, [("", _VLLM, value)])


def _histogram(name: str, values: Cumulative) -> Family:
    samples: list[tuple[str, tuple[tuple[str, str], ...], float]] = []
    so_far = 0
    for bound, count in zip((*values.bounds, float("inf")), values.counts, strict=True):
        so_far += count
        le = "+Inf" if bound == float("inf") else repr(bound)
        samples.append(("_bucket", (*_VLLM, ("le", le)), so_far))
    return Family(name, "histogram", [*samples, ("_sum", _VLLM, values.total), ("_count", _VLLM, so_far)])


def exposition(found: list[Family]) -> bytes:
    """The page in Prometheus text format."""
    lines: list[str] = []
    for name, kind, samples in found:
        lines.append(f"# TYPE {name} {kind}")
        for suffix, labels, value in samples:
            pairs = ",".join(f'{key}="{text}"' for key, text in labels)
            lines.append(f"{name}{suffix}{{{pairs}}} {float(value)!r}")
    return ("\n".join(lines) + "\n").encode()


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _part(number: int, raw: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


class RemoteWrite:
    """Gathers samples of many moments into one remote-write 1.0 request (prometheus.WriteRequest, before snappy)."""

    def __init__(self, instance: str) -> None:
        self._target = (("instance", instance), ("job", JOB))
        self._heads: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}
        self._samples: dict[bytes, list[bytes]] = {}
        self._kinds: dict[str, str] = {}

    def add(self, found: list[Family], at_ms: int) -> None:
        """Take in the families of one moment."""
        for name, kind, samples in found:
            self._kinds[name] = kind
            for suffix, labels, value in samples:
                head = self._head(name + suffix, labels)
                sample = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at_ms)
                self._samples.setdefault(head, []).append(_part(2, sample))

    def take(self) -> bytes:
        """The request with everything since the last time, empty if there is nothing."""
        raw = b"".join(_part(1, head + b"".join(samples)) for head, samples in self._samples.items())
        self._samples = {}
        return raw + b"".join(self._metadata()) if raw else b""

    def _metadata(self) -> Iterator[bytes]:
        for name, kind in self._kinds.items():
            family = name.removesuffix("_total") if kind == "counter" else name
            yield _part(3, b"\x08" + _varint(_TYPES[kind]) + _part(2, family.encode()))

    def _head(self, name: str, labels: tuple[tuple[str, str], ...]) -> bytes:
        head = self._heads.get((name, labels))
        if head is None:
            pairs = sorted((("__name__", name), *labels, *self._target))
            head = b"".join(_part(1, _part(1, key.encode()) + _part(2, text.encode())) for key, text in pairs)
            self._heads[name, labels] = head
        return head
