"""What is measured (`Signal`), on what (`Series`), and the 128-bit identity of both."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label pairs sorted by key, keys unique: the canonical form."""

MAIN_TENANT = "main"


class Kind(Enum):
    """What a number of a signal means."""

    GAUGE = "gauge"
    SUM = "sum"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Signal:
    """A measured quantity: its name as received, UCUM unit and kind.

    `cumulative` tells totals since a start (Prometheus counters, OTLP cumulative sums) from deltas.
    """

    name: str
    unit: str = ""
    kind: Kind = Kind.GAUGE
    monotonic: bool = False
    cumulative: bool = False


def canonical(labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Sort label pairs by key, the last of equal keys winning.

    >>> canonical([("b", "2"), ("a", "1"), ("b", "3")])
    (('a', '1'), ('b', '3'))
    """
    return tuple(sorted(dict(labels).items()))


def identity(tenant: str, name: str, labels: Labels) -> bytes:
    """Hash tenant, signal name and canonical labels into 16 bytes (BLAKE2b-128, length-prefixed).

    >>> identity("main", "cpu", (("host", "a"),)).hex()[:8]
    'bef4ea98'
    >>> identity("main", "cpu", ()) == identity("other", "cpu", ())
    False
    """
    parts = [text.encode("utf-8", "surrogatepass") for text in (tenant, name, *chain.from_iterable(labels))]
    return hashlib.blake2b(b"".join([len(raw).to_bytes(4, "little") + raw for raw in parts]), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Series:
    """One signal with one label set of one tenant."""

    id: bytes
    tenant: str
    signal: Signal
    labels: Labels

    @staticmethod
    def of(tenant: str, signal: Signal, labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> Series:
        """Make a series, its identity computed from tenant, name and canonical labels."""
        pairs = canonical(labels)
        return Series(identity(tenant, signal.name, pairs), tenant, signal, pairs)

    def label(self, key: str, default: str = "") -> str:
        """Value of one label, or `default`."""
        for name, value in self.labels:
            if name == key:
                return value
        return default


class Catalog:
    """Process-local numbering of series: `Frame` columns hold these numbers, logs hold identities.

    A number means nothing outside the process and must enter no identity, order or tie-break.

    >>> c = Catalog()
    >>> s = Series.of("main", Signal("cpu"), {"host": "a"})
    >>> c.intern(s), c.intern(s), len(c)
    (0, 0, 1)
    """

    def __init__(self) -> None:
        self._refs: dict[bytes, int] = {}
        self._series: list[Series] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._series)

    def intern(self, series: Series) -> int:
        """Number of a series, a new one if it was never seen."""
        ref = self._refs.get(series.id)
        if ref is not None:
            return ref
        with self._lock:  # the edge, collectors and the engine number series in threads of one process
            ref = self._refs.get(series.id)
            if ref is None:
                # list first: a reader in another thread that finds the number must find the series
                ref = len(self._series)
                self._series.append(series)
                self._refs[series.id] = ref
        return ref

    def find(self, series_id: bytes) -> int | None:
        """Number of an identity, or None if it was never seen here."""
        return self._refs.get(series_id)

    def __getitem__(self, ref: int) -> Series:
        return self._series[ref]

    def since(self, ref: int) -> Sequence[Series]:
        """Series numbered `ref` and above."""
        return self._series[ref:]
