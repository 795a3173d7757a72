"""Points as senders of other systems push them: named, labelled and timed one by one, then framed by source."""

from __future__ import annotations

import math
from typing import Any

from tocsin.ingest.decoded import Decoded, Refusals, Unusable, decoded
from tocsin.ingest.edge import Edge
from tocsin.ingest.identify import Pairs
from tocsin.ingest.metric_columns import PointColumns
from tocsin.ingest.otlp_metrics import NAME_BYTES
from tocsin.ingest.times import check_time
from tocsin.model.series import Signal


class PushedPoints:
    """The points of one request; what can't be taken is refused one by one."""

    def __init__(self, edge: Edge, tenant: str) -> None:
        self.received = edge.received()
        self.refusals = Refusals()
        self._edge = edge
        self._tenant = tenant
        self._columns: dict[str, PointColumns] = {}

    def source(self, wire: str, name: str) -> str:
        """Name of the source that a sender is."""
        return self._edge.source_name(self._tenant, wire, name)

    def ref(self, source: str, signal: Signal, labels: Pairs) -> int:
        """Number of a series.

        Raises
        ------
        Unusable
            Its name or labels are missing, too long or no text.
        """
        if not signal.name:
            raise Unusable("no_name")
        try:
            name_bytes = len(signal.name.encode())
            label_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in labels)
        except UnicodeEncodeError as bad:  # half of a surrogate pair, which JSON can spell
            raise Unusable("not_utf8") from bad
        if name_bytes > NAME_BYTES or len(signal.unit) > NAME_BYTES:
            raise Unusable("name_too_long")
        if label_bytes > self._edge.limits.label_bytes:
            raise Unusable("labels_too_large")
        return self._edge.identifier.ref(self._tenant, source, signal, (), labels)

    def add(self, source: str, ref: int, time: int, value: float) -> None:
        """Take one point; `time` in nanoseconds.

        Raises
        ------
        Unusable
            Its time can't be.
        """
        check_time(time, self.received, self._edge.limits.ahead_ns)
        self._columns.setdefault(source, PointColumns()).add((ref, time, value, 0, 0))

    def decoded(self) -> Decoded:
        """The frames of all that was taken."""
        frames = [columns.frame(self._tenant, source) for source, columns in self._columns.items()]
        return decoded(frames, self.refusals)


def number(value: Any) -> float:
    """A number of JSON.

    Raises
    ------
    Unusable
        It is none, or none that a float can hold.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("no_number")
    try:
        found = float(value)
    except OverflowError as bad:
        raise Unusable("no_number") from bad
    if not math.isfinite(found):
        raise Unusable("no_number")
    return found


def seconds_ns(value: Any) -> int:
    """Nanoseconds of epoch seconds.

    Raises
    ------
    Unusable
        It is no number of seconds.

    >>> seconds_ns(1.5)
    1500000000
    """
    found = number(value)
    if abs(found) >= 2**33:
        raise Unusable("bad_time")
    return round(found * 10**9)
