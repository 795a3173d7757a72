"""Which shard a row is of: all that is judged together is in one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.arrays import I8
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.rows import grown
from tocsin.model.series import Catalog

_COLUMN: Final = {FrameKind.SPANS: "resource", FrameKind.LOGS: "resource", FrameKind.RECORDS: "tags"}
_UNKNOWN: Final = -1


def shard_of(tenant: str, value: str, shards: int) -> int:
    """Shard of a tenant's resources that share a value ("" where they have none), in [0, shards).

    >>> shard_of("main", "", 64), shard_of("main", "payments", 64), shard_of("other", "", 64)
    (41, 36, 37)
    """
    digest = hashlib.blake2b(f"{tenant}\0{value}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


class ShardSplit:
    """Divides frames by shard.

    Parameters
    ----------
    catalog : numbers the series of frames
    shards : how many there are
    by : attributes, the first that a resource has tells its shard; none: a tenant is one shard
    """

    def __init__(self, catalog: Catalog, shards: int, by: Sequence[str] = ()) -> None:
        self._catalog = catalog
        self._shards = shards
        self._by = tuple(by)
        self._of_series: I8 = np.full(1024, _UNKNOWN, np.int64)

    def __call__(self, frame: Frame) -> list[tuple[int, Frame]]:
        """Parts of a frame with their shards, ascending; rows keep their order."""
        if not self._by:
            return [(shard_of(frame.tenant, "", self._shards), frame)]
        of_row = self._of_rows(frame)
        found = np.unique(of_row)
        if len(found) == 1:
            return [(int(found[0]), frame)]
        return [
            (int(shard), Frame(frame.kind, frame.tenant, frame.source, frame.batch.filter(pa.array(of_row == shard))))
            for shard in found
        ]

    def _of_rows(self, frame: Frame) -> I8:
        if frame.kind in (FrameKind.POINTS, FrameKind.DISTRIBUTIONS):
            return self._by_series(frame)
        column = _COLUMN.get(frame.kind)
        if column is None:
            return np.full(len(frame), shard_of(frame.tenant, "", self._shards))
        return self._by_pairs(frame.tenant, frame.batch.column(column))

    def _by_series(self, frame: Frame) -> I8:
        numbers = frame.i4("series")
        if not len(numbers):
            return np.zeros(0, np.int64)
        self._of_series = grown(self._of_series, int(numbers.max()) + 1, _UNKNOWN).astype(np.int64, copy=False)
        for number in np.unique(numbers[self._of_series[numbers] == _UNKNOWN]).tolist():
            series = self._catalog[number]
            value = next((label for label in map(series.label, self._by) if label), "")
            self._of_series[number] = shard_of(series.tenant, value, self._shards)
        found: I8 = self._of_series[numbers]
        return found

    def _by_pairs(self, tenant: str, column: pa.Array) -> I8:
        value = pa.nulls(len(column), pa.string())
        for key in self._by:
            value = pc.coalesce(value, pc.map_lookup(column, pa.scalar(key), "first"))
        coded = pc.fill_null(value, "").dictionary_encode()
        shards = np.array([shard_of(tenant, each, self._shards) for each in coded.dictionary.to_pylist()], np.int64)
        found: I8 = shards[coded.indices.to_numpy(zero_copy_only=False)]
        return found
