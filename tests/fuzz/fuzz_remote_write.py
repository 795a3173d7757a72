"""Feeds arbitrary bytes to remote write, both versions, raw and under snappy (atheris: `make soak`)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["tocsin.ingest"]):
    from prometheus_wire import V1, V2, Bench, Request2, blob, sample, series_1, snappy
    from tocsin.ingest.remote_write import write_request

BENCH = Bench()
LOOP = asyncio.new_event_loop()
TRIES = 2_000


def seeds() -> list[bytes]:
    """Good requests to begin from."""
    request = Request2()
    request.add({"__name__": "up", "job": "x"}, blob(2, sample(1.5)), kind=2)
    return [series_1({"__name__": "up", "job": "x"}, sample(1.5)), request.raw()]


def one(data: bytes) -> None:
    """One input: its first byte chooses version and compression."""
    global BENCH, TRIES  # noqa: PLW0603 - atheris calls a plain function
    choice, body = data[:1] or b"\0", data[1:]
    TRIES -= 1
    if not TRIES:
        # what is appended stays in memory: begin anew before it is much
        BENCH, TRIES = Bench(), 2_000
    headers = V2 if choice[0] & 1 else V1
    response = LOOP.run_until_complete(
        write_request(headers, snappy(body) if choice[0] & 2 else body, BENCH.edge, "main")
    )
    assert response.status in {204, 400, 413}, response


if __name__ == "__main__":
    corpus = Path(sys.argv[-1]) if len(sys.argv) > 1 and Path(sys.argv[-1]).is_dir() else None
    if corpus is not None:
        for number, seed in enumerate(seeds()):
            (corpus / f"seed-{number}").write_bytes(bytes([2 | number]) + seed)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
