"""The compiled readers say what upb says, whatever the bytes; longer with `make soak` (TOCSIN_WIRE_INPUTS)."""

import pytest

import wire_fuzz
from ingest_world import NOW, World, gauge_request
from tocsin.ingest import wire

WORLDS = {
    "metrics": (wire_fuzz.random_metrics, wire_fuzz.metrics_decoder),
    "traces": (wire_fuzz.random_traces, wire_fuzz.traces_decoder),
    "logs": (wire_fuzz.random_logs, wire_fuzz.logs_decoder),
    "samples": (wire_fuzz.random_writes, wire_fuzz.samples_decoder),
}
SHORT = 4_000


@pytest.mark.timeout(240)
@pytest.mark.parametrize("signal", WORLDS)
def test_compiled_readers_agree_with_upb(signal):
    read = wire_fuzz.soak(5, SHORT, *WORLDS[signal])
    assert read > SHORT // 8, "a reader that leaves all to upb agrees with it, and shows nothing"


def test_until_the_readers_are_there_upb_reads(monkeypatch):
    monkeypatch.setattr(wire, "ready", lambda: False)
    world = World()
    decoder = wire_fuzz.metrics_decoder(world.edge)
    body = gauge_request([1.0, 2.0]).SerializeToString()
    by_upb = decoder.decode(body, "main", NOW)
    assert decoder._reader is None
    wire.compile_readers()
    monkeypatch.setattr(wire, "ready", lambda: True)
    wire_fuzz.assert_same(decoder.decode(body, "main", NOW), by_upb)
    assert decoder._reader is not None


def test_series_that_a_full_table_spills_keep_their_number():
    wire.compile_readers()
    world = World()
    decoder = wire_fuzz.metrics_decoder(world.edge)
    bodies = [gauge_request([1.0], attributes={"k": str(n)}).SerializeToString() for n in range(50)]
    first = [decoder.decode(body, "main", NOW).frames[0].i4("series")[0] for body in bodies]
    assert decoder._reader is not None
    # every slot taken by others: nothing can be found or added any more
    decoder._reader._known.series_table._slots[:] = 0
    again = [decoder.decode(body, "main", NOW).frames[0].i4("series")[0] for body in bodies]
    assert again == first
    assert len(set(first)) == 50
    assert decoder._reader._known.spilt


def test_a_new_day_forgets_what_was_known():
    wire.compile_readers()
    world = World()
    decoder = wire_fuzz.metrics_decoder(world.edge)
    body = gauge_request([1.0]).SerializeToString()
    before = decoder.decode(body, "main", NOW)
    world.edge.identifier.rotate()
    wire_fuzz.assert_same(decoder.decode(body, "main", NOW), before)
    assert decoder._reader._known.epoch == 1
