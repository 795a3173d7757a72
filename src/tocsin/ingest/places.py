"""How far a broker's messages are in the input log, as the log itself says: what came is never taken twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from tocsin.model.log import PLACE, Control, Entry


def offsets_place(source: str, offsets: Mapping[tuple[str, int], int]) -> Control:
    """That all below these offsets, by topic and partition, is in the log."""
    found = [[topic, partition, offset] for (topic, partition), offset in sorted(offsets.items())]
    return Control.of(PLACE, json.dumps({"source": source, "offsets": found}).encode())


def ids_place(source: str, ids: Mapping[str, Sequence[str]]) -> Control:
    """That these entries, by stream, are in the log."""
    return Control.of(PLACE, json.dumps({"source": source, "ids": ids}, sort_keys=True).encode())


class Places:
    """What a log says of brokers' messages; from its tail after a start, since what was acknowledged needs no proof.

    >>> places = Places([offsets_place("bus", {("otlp_metrics", 0): 7})])
    >>> places.offset("bus", "otlp_metrics", 0), places.offset("bus", "otlp_metrics", 1)
    (7, 0)
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._offsets: dict[tuple[str, str, int], int] = {}
        self._ids: dict[tuple[str, str], set[str]] = {}
        for entry in entries:
            if isinstance(entry, Control) and entry.kind == PLACE:
                self.note(entry)

    def note(self, place: Control) -> None:
        """Learn what the log has now."""
        found: Mapping[str, object] = json.loads(place.body)
        source = str(found["source"])
        offsets, ids = found.get("offsets"), found.get("ids")
        if isinstance(offsets, list):
            for topic, partition, offset in offsets:
                key = (source, str(topic), int(partition))
                self._offsets[key] = max(self._offsets.get(key, 0), int(offset))
        if isinstance(ids, dict):
            for stream, entries in ids.items():
                self._ids.setdefault((source, str(stream)), set()).update(map(str, entries))

    def offset(self, source: str, topic: str, partition: int) -> int:
        """The first offset of a partition that is not known to be in the log; 0 when nothing is known."""
        return self._offsets.get((source, topic, partition), 0)

    def forget(self, source: str, ids: Mapping[str, Sequence[str]]) -> None:
        """These entries were acknowledged: nobody will deliver them again."""
        for stream, entries in ids.items():
            self._ids.get((source, stream), set()).difference_update(entries)

    def has(self, source: str, stream: str, entry: str) -> bool:
        """Whether an entry of a stream is in the log."""
        return entry in self._ids.get((source, stream), ())
