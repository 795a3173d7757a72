"""Decompression under a limit, and the budget of bytes in flight."""

import gzip
import tracemalloc
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.ingest.limits import Budget, Limits, decompress
from tocsin.model.errors import BadInput, Overloaded, TooLarge, Unsupported

PACK = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": lambda raw: pa.compress(raw, codec="zstd", asbytes=True),
    "identity": bytes,
    "": bytes,
}


@given(st.binary(max_size=2000), st.sampled_from(sorted(PACK)))
def test_what_was_packed_comes_out(raw, encoding):
    assert decompress(PACK[encoding](raw), encoding, 2000) == raw
    if raw:
        with pytest.raises(TooLarge):
            decompress(PACK[encoding](raw), encoding, len(raw) - 1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_having_used_little_memory(encoding):
    bomb = PACK[encoding](bytes(40 * 2**20))
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decompress(bomb, encoding, 2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
    assert pa.total_allocated_bytes() - before < 8 * 2**20


def test_members_of_a_gzip_body_are_joined_and_counted_together():
    two = gzip.compress(b"a" * 600) + gzip.compress(b"b" * 600)
    assert decompress(two, "gzip", 1200) == b"a" * 600 + b"b" * 600
    with pytest.raises(TooLarge):
        decompress(two, "gzip", 1199)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize(
    "spoil", [lambda raw: b"", lambda raw: raw[:-5], lambda raw: b"\x00" + raw, lambda raw: raw[:12]]
)
def test_bodies_that_are_not_what_they_say_are_refused(encoding, spoil):
    with pytest.raises(BadInput):
        decompress(spoil(PACK[encoding](b"some text " * 50)), encoding, 10_000)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "snappy", "x" * 500])
def test_other_encodings_are_not_spoken(encoding):
    with pytest.raises(Unsupported, match="use one of gzip"):
        decompress(b"x", encoding, 10)


def test_the_budget_is_shared_and_given_back():
    budget = Budget(100)
    with budget.reservation() as one, budget.reservation() as two:
        one.take(60)
        one.take(60)  # alone, it always fits
        with pytest.raises(Overloaded, match="in flight"):
            two.take(1)
        assert budget.used_bytes == 120
    assert budget.used_bytes == 0


def test_the_longest_prefix_says_the_lateness():
    limits = Limits(lateness_ns={"otlp": 5, "otlp/api": 7, "": 1})
    assert [limits.lateness_of(source) for source in ("otlp/api-2", "otlp/x", "host")] == [7, 5, 1]
