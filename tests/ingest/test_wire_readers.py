"""The compiled readers say what upb says, whatever the bytes; longer with `make soak` (TOCSIN_WIRE_INPUTS)."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wire_fuzz
from ingest_world import NOW, World, gauge_request
from tocsin.ingest import wire

WORLDS = wire_fuzz.WORLDS
SHORT = 4_000


@pytest.mark.timeout(900)
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


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_nothing_is_read_or_written_out_of_bounds(tmp_path):
    """The same inputs with every index checked, which takes kernels of their own."""
    here = Path(__file__).parents[1]
    code = "import wire_fuzz as f\nf.check_bounds()\nfor make, decoder in f.WORLDS.values(): print(f.soak(11, 500, make, decoder))"
    environment = os.environ | {
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_OPT": "0",
        "PYTHONPATH": str(here),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=850
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(int(read) > 50 for read in done.stdout.split())


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("signal", WORLDS)
def test_compiled_readers_agree_with_upb_at_length(signal):
    inputs = int(os.environ.get("TOCSIN_WIRE_INPUTS", "1000000")) // len(WORLDS)
    began = time.monotonic()
    read = wire_fuzz.soak(int(os.environ.get("TOCSIN_SEED", "1")), inputs, *WORLDS[signal])
    told = {"signal": signal, "inputs": inputs, "read_by_kernels": read, "elapsed_s": round(time.monotonic() - began)}
    place = os.environ.get("TOCSIN_SOAK_RESULTS")
    if place:
        with Path(place).open("a") as file:
            file.write(json.dumps(told) + "\n")
    assert read > inputs // 8, told
