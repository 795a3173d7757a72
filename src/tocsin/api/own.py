"""Tocsin's own health, read from its own metrics: what was dropped or refused and why, and what lags."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from prometheus_client.parser import text_string_to_metric_families

from tocsin.model.series import MAIN_TENANT

_LOSS_WORDS = ("dropped", "lost", "discarded", "dead_letter", "overflow", "shed")
_REFUSAL_WORDS = ("refused", "rejected", "invalid", "late", "errors", "failed", "failures")
_BAD = re.compile(r"\bstatus=([45]\d\d|(?!OK)[A-Z_]+)\b")
"""A request that was refused whole."""
_LAG_WORDS = ("lag", "queue", "backlog", "pending")


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """One of Tocsin's own numbers: process, metric, its labels on one line, value."""

    process: str
    name: str
    labels: str
    value: float

    @property
    def words(self) -> str:
        """What is counted, as people read it.

        >>> OwnNumber("hot", "tocsin_correlate_support_dropped_total", "reason=limit", 3.0).words
        'correlate support dropped (reason=limit)'
        """
        plain = self.name.removeprefix("tocsin_").removesuffix("_total").replace("_", " ")
        return f"{plain} ({self.labels})" if self.labels else plain


@dataclass(frozen=True, slots=True)
class OwnHealth:
    """What went wrong or lags in Tocsin itself, and what came in; counters at zero are left out."""

    drops: tuple[OwnNumber, ...]
    refusals: tuple[OwnNumber, ...]
    lags: tuple[OwnNumber, ...]
    received: tuple[OwnNumber, ...]
    processes: tuple[OwnNumber, ...]

    def document(self) -> dict[str, object]:
        """The JSON of it."""
        return asdict(self)


def _numbers(process: str, text: str, tenant: str) -> Iterator[tuple[str, OwnNumber]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            plain = sample.name in (family.name, family.name + "_total")
            theirs = sample.labels.get("tenant", tenant) != tenant
            if plain and not theirs and math.isfinite(sample.value):
                labels = ", ".join(f"{key}={value}" for key, value in sorted(sample.labels.items()) if key != "tenant")
                yield family.type, OwnNumber(process, sample.name, labels, sample.value)


def _has(name: str, words: tuple[str, ...]) -> bool:
    padded = f"_{name}_"
    return any(f"_{word}_" in padded for word in words)


def own_health(expositions: Mapping[str, str], tenant: str = MAIN_TENANT) -> OwnHealth:
    r"""Sort the numbers of each process's Prometheus text by what their names say, without those of other tenants.

    >>> text = '# TYPE tocsin_x_dropped_total counter\ntocsin_x_dropped_total{reason="full"} 2.0\n'
    >>> own_health({"hot": text}).drops[0].labels
    'reason=full'
    """
    drops: list[OwnNumber] = []
    refusals: list[OwnNumber] = []
    lags: list[OwnNumber] = []
    received: list[OwnNumber] = []
    processes: list[OwnNumber] = []
    for process, text in sorted(expositions.items()):
        for kind, number in _numbers(process, text, tenant):
            if number.name in ("process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"):
                processes.append(number)
            elif not number.name.startswith("tocsin_"):
                continue
            elif kind == "counter" and number.value > 0 and _has(number.name, _LOSS_WORDS):
                drops.append(number)
            elif (
                kind == "counter"
                and number.value > 0
                and (_has(number.name, _REFUSAL_WORDS) or _BAD.search(number.labels))
            ):
                refusals.append(number)
            elif kind == "gauge" and _has(number.name, _LAG_WORDS):
                lags.append(number)
            elif kind == "counter" and number.value > 0 and number.name.startswith("tocsin_ingest_"):
                received.append(number)
    return OwnHealth(tuple(drops), tuple(refusals), tuple(lags), tuple(received), tuple(processes))
