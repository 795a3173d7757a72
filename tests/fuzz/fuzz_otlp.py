"""Fuzz the OTLP decoders and decompression with atheris (`make soak`): python tests/fuzz/fuzz_otlp.py -max_total_time=60."""

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["tocsin"]):
    from tocsin.ingest.edge import Edge
    from tocsin.ingest.limits import ENCODINGS, Limits, decompress
    from tocsin.ingest.otlp import SIGNALS, OtlpReceiver
    from tocsin.ingest.records import decode_event, decode_records

from tocsin.model.clock import SECOND, ManualClock
from tocsin.model.errors import BadInput
from tocsin.model.series import Catalog
from tocsin.testing.memory_log import MemoryLog

NOW = 1_790_000_000 * SECOND
LIMITS = Limits(body_bytes=2**20)


class KeepAll:
    """A redactor that finds nothing."""

    def frames(self, frames):
        return list(frames)

    def labels(self, labels):
        return labels


LOG = MemoryLog()
EDGE = Edge(LOG, Catalog(), ManualClock(NOW), KeepAll(), LIMITS)
RECEIVER = OtlpReceiver(EDGE)


def one_input(data: bytes) -> None:
    """Only `BadInput` may be raised, and every row taken in must be within the bounds of time."""
    if not data:
        return
    choice, body = data[0], data[1:]
    with contextlib.suppress(BadInput):
        if choice >= 250:
            decompress(body, ENCODINGS[choice % len(ENCODINGS)], LIMITS.body_bytes)
        elif choice >= 240:
            decode_records(body, "main", NOW, LIMITS)
        elif choice >= 230:
            decode_event(body, "main", NOW, LIMITS)
        else:
            RECEIVER.take(SIGNALS[choice % 3], body, "main", as_json=choice % 2 == 1).reply(as_json=True)
    for frame in LOG.entries:
        frame.batch.validate(full=True)
        times = frame.i8("time")
        if not NOW - 2**60 < times.min() <= times.max() <= NOW + LIMITS.ahead_ns:
            raise AssertionError(f"a time out of bounds was taken in: {times}")
    LOG.entries.clear()


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
