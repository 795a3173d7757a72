import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journal_entries import entries, numbered, numbers, plain
from tocsin.journal import LogFailed, SegmentLog, SegmentReader
from tocsin.model.clock import ManualClock
from tocsin.model.errors import Overloaded
from tocsin.model.frame import points_frame
from tocsin.model.log import Control, Output, Tick
from tocsin.model.series import Catalog, Series, Signal


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_what_is_written_is_read_in_this_and_another_process(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("log")
    catalog, other = Catalog(), Catalog()
    other.intern(Series.of("main", Signal("elsewhere"), {}))  # so that numbers differ between the two
    units = data.draw(st.lists(st.lists(entries(catalog), min_size=1, max_size=3), min_size=1, max_size=4))
    log = SegmentLog(path, catalog, ManualClock(1), segment_bytes=data.draw(st.sampled_from([1, 3000, 1 << 20])))
    expected = []
    for unit in units:
        expected += [plain(entry, catalog) for entry in unit]
        assert log.append(unit).result(10) == len(expected) - 1
    reader = SegmentReader(path, other)
    tail = [plain(record.entry, catalog) for record in log.read(0)]
    log.close()
    found = reader.read(0)
    reader.close()
    assert [record.offset for record in found] == list(range(len(expected)))
    assert [plain(record.entry, other) for record in found] == expected
    assert tail == expected


def test_arrays_of_a_read_frame_are_aligned_and_read_only(opened, tmp_path):
    catalog = Catalog()
    rng = np.random.default_rng(1)
    refs = np.array([catalog.intern(Series.of("main", Signal("s"), {"i": str(i)})) for i in range(7)], "i4")
    log = opened(catalog)
    for size in (1, 7):  # small ones are stored as they are, and read in place
        noise = rng.integers(-(2**62), 2**62, size)
        log.append([points_frame("main", "x", refs[:size], noise, rng.random(size), noise)]).result(10)
    for record in SegmentReader(tmp_path / "log", Catalog()).read(0):
        for array in (record.entry.i4("series"), record.entry.i8("time"), record.entry.f8("value")):
            assert array.flags.aligned
            assert not array.flags.writeable


def test_offsets_go_on_after_reopening(opened, tmp_path):
    catalog = Catalog()
    log = opened(catalog)
    log.append(numbered(catalog, 5)).result(10)
    log.close()
    fresh = Catalog()
    log = opened(fresh)
    assert (log.first(), log.end()) == (0, 5)
    assert log.append(numbered(fresh, 3, first=5)).result(10) == 7
    assert numbers(log.read(0)) == [(i, i) for i in range(8)]
    assert numbers(SegmentReader(tmp_path / "log", Catalog()).read(3, 4)) == [(i, i) for i in range(3, 7)]


def test_reading_anywhere_gives_the_same_as_reading_through(opened, tmp_path):
    catalog = Catalog()
    log = opened(catalog, segment_bytes=200_000, cache_bytes=0)
    for i in range(0, 3000, 10):
        log.append(numbered(catalog, 10, first=i))
    log.append([]).result(10)
    reader = SegmentReader(tmp_path / "log", Catalog())
    for offset in (2999, 0, 1500, 1499, 2400, 7, 2990, 3000):
        assert numbers(reader.read(offset, 20)) == [(i, i) for i in range(offset, min(offset + 20, 3000))]
        assert numbers(log.read(offset, 20)) == numbers(reader.read(offset, 20))
    assert numbers(reader.read(0, 10_000)) == [(i, i) for i in range(3000)]


def test_a_reader_follows_a_writer(opened, tmp_path):
    catalog = Catalog()
    log = opened(catalog, segment_bytes=4000)
    reader = SegmentReader(tmp_path / "log", Catalog())
    seen, own = [], []
    done = threading.Event()

    def follow():
        for record in reader.follow(0):
            seen.append((record.offset, record.entry.f8("value")[0]))
            if len(seen) == 400:
                done.set()

    threads = [
        threading.Thread(daemon=True, target=follow),
        threading.Thread(target=lambda: own.extend(numbers(log.follow(0)))),
    ]
    for thread in threads:
        thread.start()
    for i in range(400):
        log.append(numbered(catalog, 1, first=i))
    assert done.wait(20)
    reader.close()
    log.close()
    for thread in threads:
        thread.join(10)
    assert seen == own == [(i, i) for i in range(400)]


def test_units_of_many_threads_stay_together(opened):
    catalog = Catalog()
    log = opened(catalog)
    frames = numbered(catalog, 200)

    def load(mine):
        for i in mine:
            log.append([frames[i], Tick(i)])

    threads = [threading.Thread(daemon=True, target=load, args=(range(k, 200, 4),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.append([]).result(10) == 399
    records = log.read(0)
    assert sorted(record.entry.received for record in records[1::2]) == list(range(200))
    assert all(a.entry.f8("value")[0] == b.entry.received for a, b in zip(records[::2], records[1::2], strict=True))


def test_a_full_queue_refuses_and_takes_again(opened, stuck_files):
    catalog = Catalog()
    log = opened(catalog, queue_bytes=2000, files=stuck_files)
    first = log.append(numbered(catalog, 5))
    with pytest.raises(Overloaded) as refused:
        log.append(numbered(catalog, 5))
    assert refused.value.retry_after_s > 0
    assert not first.done()
    assert log.read(0) == []  # not durable, so not to be seen
    stuck_files.go.set()
    assert first.result(10) == 4
    assert log.append(numbered(catalog, 5)).result(10) == 9


def test_a_full_disk_refuses_and_takes_again(opened, tight_files, monkeypatch, tmp_path):
    catalog = Catalog()
    log = opened(catalog, files=tight_files, cache_bytes=0)
    log.append(numbered(catalog, 5)).result(10)
    tight_files.room_bytes = 100
    late = log.append([*numbered(catalog, 5, first=5), Control.of("x", b"")])
    with pytest.raises(Overloaded):
        late.result(10)
    with pytest.raises(Overloaded, match="disk_full"):
        log.append([Tick(1)])
    tight_files.room_bytes = 1 << 20
    monkeypatch.setattr(log, "_full_until_s", time.monotonic())
    assert log.append(numbered(catalog, 2, first=5)).result(10) == 6
    assert numbers(log.read(0)) == [(i, i) for i in range(7)]
    log.close()
    assert numbers(SegmentReader(tmp_path / "log", Catalog()).read(0)) == [(i, i) for i in range(7)]


def test_a_failed_sync_ends_the_log(opened, failing_files):
    catalog, heard = Catalog(), []
    log = opened(catalog, files=failing_files, on_fatal=heard.append)
    log.append(numbered(catalog, 1)).result(10)
    failing_files.broken = True
    with pytest.raises(LogFailed):
        log.append(numbered(catalog, 1)).result(10)
    with pytest.raises(LogFailed):
        log.append([Tick(1)])
    assert [str(e) for e in heard] == ["the disk is gone"]
    assert log.end() == 1


def test_retention_waits_for_those_who_still_need_it(opened, clock, tmp_path):
    catalog = Catalog()
    log = opened(catalog, segment_bytes=1, retention_ns=100)
    for i in range(6):
        log.append(numbered(catalog, 1, first=i)).result(10)
        clock.advance(60)
    assert log.first() == 0
    log.retain_from(3)
    log.append(numbered(catalog, 1, first=6)).result(10)
    log.append([]).result(10)
    assert log.first() == 3
    log.retain_from(7)
    log.append([Tick(0)]).result(10)
    log.append([]).result(10)
    assert log.first() == 4  # the younger ones stay
    reader = SegmentReader(tmp_path / "log", Catalog())
    assert reader.first() == 4
    assert reader.read(0)[0].offset == 4


def test_at_the_disk_budget_old_segments_go_or_new_records_are_refused(opened):
    catalog = Catalog()
    log = opened(catalog, segment_bytes=1, disk_budget_bytes=6000)

    def fill():
        for i in range(100):
            log.append(numbered(catalog, 1, first=i)).result(10)

    with pytest.raises(Overloaded, match="disk_budget"):
        fill()
    log.retain_from(log.end())
    for _ in range(500):  # the writer's thread removes them when it is asked for room
        try:
            log.append([Tick(1)]).result(10)
            break
        except Overloaded:
            time.sleep(0.01)
    else:
        pytest.fail("no room was made")
    assert log.first() > 0


def test_a_closed_log_refuses(opened):
    log = opened()
    queued = log.append([Tick(1)])
    log.close()
    assert queued.result(0) == 0
    with pytest.raises(LogFailed, match="closed"):
        log.append([Tick(1)])


def test_a_frame_of_another_layout_is_refused_before_it_is_queued(opened):
    catalog = Catalog()
    log = opened(catalog)
    frame = numbered(catalog, 1)[0]
    bad = type(frame)(frame.kind, "main", "x", frame.batch.drop_columns(["flags"]))
    for entry in (bad, Output(0, 0, False, (bad,))):
        with pytest.raises(ValueError, match="columns of a points frame"):
            log.append([entry])
    assert log.append([frame]).result(10) == 0
