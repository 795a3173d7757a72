"""What the way through the shared log costs: dividing by shard, packing, compressing, and reading again."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cramjam

from tocsin.ingest.shards import ShardSplit
from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.messages import pack_message, unpack_message
from tocsin.model.frame import Frame
from tocsin.model.log import Tick
from tocsin.model.series import Catalog

REPEATS: Final = 6


@dataclass(frozen=True, slots=True)
class Rekeying:
    """Per row of a log's frames.

    Parameters
    ----------
    write_s, read_s : CPU seconds a row, at the edge and at each reader
    message_bytes : of a message, per row, compressed as the producer does
    tick_bytes : a tick, which each edge writes into each partition every second
    rows_per_message : how many rows share a message
    """

    write_s: float
    read_s: float
    message_bytes: float
    tick_bytes: float
    rows_per_message: float


def rekeying(frames: Sequence[Frame], catalog: Catalog, shards: int, by: Sequence[str]) -> Rekeying:
    """Measure on frames as an edge has them, every series known already."""
    split, texts = ShardSplit(catalog, shards, by), SeriesTexts(catalog)
    rows = sum(len(frame) for frame in frames)
    reader = Catalog()
    packed: list[bytes] = []
    messages = 0
    write_s = read_s = math.inf
    for _ in range(REPEATS):  # the first time names every series; the quickest is the least disturbed
        began = time.process_time()
        parts = [pack_message(part, texts) for frame in frames for _, part in split(frame)]
        packed = [bytes(cramjam.lz4.compress(part)) for part in parts]
        written = time.process_time()
        for each in packed:
            unpack_message(bytes(cramjam.lz4.decompress(each)), reader)
        write_s, read_s = min(write_s, written - began), min(read_s, time.process_time() - written)
        messages = len(parts)
    latest = max(int(frame.i8("time").max()) for frame in frames)
    tick = pack_message(Tick(latest, {(frame.tenant, frame.source): latest for frame in frames}), texts)
    return Rekeying(write_s / rows, read_s / rows, sum(map(len, packed)) / rows, len(tick), rows / messages)
