import random
import shutil

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from journal_entries import entries, numbered, numbers, plain
from tocsin.journal import SegmentLog, SegmentReader
from tocsin.journal.recovery import _LOST
from tocsin.model.clock import ManualClock
from tocsin.model.errors import Corrupt
from tocsin.model.log import Tick
from tocsin.model.series import Catalog


def write(path, units, **options):
    """A log of units of two records each; gives the bytes of its one file."""
    catalog = Catalog()
    log = SegmentLog(path, catalog, ManualClock(1), **options)
    for i in range(units):
        log.append([*numbered(catalog, 1, first=i), Tick(i)]).result(10)
    log.close()
    return next(path.glob("*.seg"))


def reopened(path):
    log = SegmentLog(path, Catalog(), ManualClock(1))
    records = list(log.read(0))
    end = log.append([Tick(-1)]).result(10)
    log.close()
    return records, end


def units_of(records):
    """Check that these are whole units from the first on; gives how many."""
    assert len(records) % 2 == 0
    for i in range(len(records) // 2):
        assert numbers(records[2 * i : 2 * i + 1]) == [(2 * i, i)]
        assert records[2 * i + 1] == (2 * i + 1, Tick(i))
    return len(records) // 2


def test_a_tail_torn_at_any_byte_costs_only_the_unit_it_is_in(tmp_path):
    small = len(write(tmp_path / "two", 2).read_bytes())
    file = write(tmp_path / "whole", 3)
    raw = file.read_bytes()
    sizes = []
    for cut in [*range(0, small, 13), *range(small, len(raw))]:  # every byte of the last unit
        path = tmp_path / "torn"
        path.mkdir()
        (path / file.name).write_bytes(raw[:cut])
        records, end = reopened(path)
        sizes.append(units_of(records))
        assert end == len(records)
        again, end = reopened(path)  # and what came after the cut is whole
        assert end == len(records) + 1
        assert again[-1].entry == Tick(-1)
        shutil.rmtree(path)
    assert sizes == sorted(sizes)
    assert sizes[0] == 0
    assert sizes[-1] == 2


def test_garbage_behind_the_last_unit_is_cut(tmp_path):
    file = write(tmp_path / "log", 3)
    file.write_bytes(file.read_bytes() + random.Random(1).randbytes(5000))
    records, end = reopened(tmp_path / "log")
    assert units_of(records) == 3
    assert end == 6


@settings(max_examples=80, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_a_wrong_record(where, bit, tmp_path_factory):
    path = tmp_path_factory.mktemp("log")
    file = write(path, 4)
    raw = bytearray(file.read_bytes())
    raw[int(where * len(raw))] ^= 1 << bit
    file.write_bytes(raw)
    reader = SegmentReader(path, Catalog())
    found = []

    def read_all():
        while len(found) < 8:
            found.extend(reader.read(len(found)))

    told = ""
    try:
        read_all()
    except Corrupt as error:
        told = str(error)
    reader.close()
    if not told:
        assert units_of(found) == 4  # one of three bytes of padding: every record is right
        return
    assert "000.seg" in told  # names the file
    units_of(found[: len(found) // 2 * 2])
    lost = _LOST._value.get()
    records, end = reopened(path)
    assert units_of(records) < 4
    assert end == 8  # never below what readers may have seen
    assert _LOST._value.get() - lost == 8 - len(records)
    assert list(path.glob("*.cut"))  # what was cut is kept for a look
    reader = SegmentReader(path, Catalog())
    assert reader.read(len(records), 1) == [(8, Tick(-1))]  # over the gap
    reader.close()


def test_a_reader_never_sees_what_is_not_durable(tmp_path):
    file = write(tmp_path / "log", 2)
    mark = tmp_path / "log" / "durable"
    words = np.frombuffer(mark.read_bytes(), "u8")
    check = words[0] ^ words[1]
    mark.write_bytes(np.array([2, 2 ^ check], "u8").tobytes())
    reader = SegmentReader(tmp_path / "log", Catalog())
    assert file.stat().st_size > 0
    assert units_of(reader.read(0)) == 1
    mark.write_bytes(np.array([4, 2 ^ check], "u8").tobytes())  # in the middle of being changed
    assert reader.end() == 2
    reader.close()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_damage_of_any_entries_gives_a_prefix(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("log")
    catalog, other = Catalog(), Catalog()
    written = data.draw(st.lists(entries(catalog), min_size=1, max_size=5))
    log = SegmentLog(path, catalog, ManualClock(1))
    log.append(written).result(10)
    log.close()
    file = next(path.glob("*.seg"))
    raw = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    damage = data.draw(st.binary(max_size=30))
    raw[at : at + data.draw(st.integers(0, 30))] = damage
    file.write_bytes(raw)
    reader = SegmentReader(path, other)
    found = []
    try:
        while records := reader.read(len(found)):
            found.extend(records)
    except Corrupt:
        pass
    reader.close()
    assert [plain(record.entry, other) for record in found] == [plain(e, catalog) for e in written[: len(found)]]
