from __future__ import annotations

import errno
import json

import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from store.world import SECOND, T0, World, spans_frame
from tocsin.model.codec import findings_frame
from tocsin.model.errors import Corrupt, DiskFull
from tocsin.model.finding import Finding, Phase
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import Control, Output, Tick
from tocsin.store.database import QueryFailed

DAY = 86_400 * SECOND


def finding(world: World, phase: Phase, value: float) -> Finding:
    series = world.catalog[world.ref(host_name="a")]
    return Finding(
        b"f" * 16,
        phase,
        "main",
        "m",
        series,
        T0,
        T0 + SECOND,
        T0,
        value,
        (0.0, 1.0),
        -9.0,
        100.0,
        -5.0,
        "up",
        {"z": 4.0},
    )


def test_every_point_is_stored_whatever_the_batches(world):
    a, b = world.ref(host_name="a"), world.ref(host_name="b")
    for at in range(7):
        world.input.append([world.points([a, b], [T0 + at, T0 + at], [at, -at]), Tick(T0), Control.of("spec", b"{}")])
        if at % 3 == 0:
            world.writer.step()
    assert world.writer.offset("input") == 21
    assert world.writer.step() == 0
    found = [(row["labels"]["host.name"], row["value"]) for row in world.rows("points")]
    assert sorted(found) == sorted([("a", float(v)) for v in range(7)] + [("b", -float(v)) for v in range(7)])


def test_points_of_many_days_in_one_batch_are_all_stored(world):
    ref = world.ref()
    days = np.arange(150)
    world.input.append([world.points([ref] * 150, T0 - days * DAY, days)])
    world.writer.drain()
    assert world.scalar("SELECT count() FROM tocsin.points") == 150
    assert world.scalar("SELECT uniqExact(_partition_id) FROM tocsin.points") == 150


def test_rows_far_older_than_their_retention_do_not_vanish_at_insert(world):
    world.input.append([world.points([world.ref()], [1_000_000_000 * SECOND], [1.0])])
    world.writer.drain()
    world.store.db.command("OPTIMIZE TABLE tocsin.points FINAL")
    assert world.scalar("SELECT count() FROM tocsin.points") == 1


def test_a_batch_is_cut_by_rows(tmp_path):
    world = World(tmp_path / "store", max_rows=10)
    try:
        ref = world.ref()
        for at in range(6):
            world.input.append([world.points([ref] * 4, [T0 + at * 10 + i for i in range(4)], [0.0] * 4)])
        assert [world.writer.step() for _ in range(3)] == [3, 3, 0]
    finally:
        world.close()


@pytest.mark.parametrize("crash_after", ["pending", "first_insert", "all_inserts", "ledger"])
def test_a_batch_cut_short_anywhere_is_finished_once(world, monkeypatch, crash_after):
    ref = world.ref(host_name="a")
    world.input.append([world.points([ref] * 4, [T0 + at * DAY for at in range(4)], [1.0, 2.0, 3.0, 4.0])])
    world.input.append([spans_frame([{}])])
    world.writer.drain()
    world.input.append([world.points([ref] * 4, [T0 + at * DAY + 1 for at in range(4)], [5.0, 6.0, 7.0, 8.0])])
    world.input.append([spans_frame([{"span_id": b"u" * 8}])])

    class Crash(BaseException):
        pass

    store, inserted = world.store, []
    insert, record = store.insert, store.record

    def crashing_insert(table, rows, token):
        if crash_after == "pending":
            raise Crash
        insert(table, rows, token)
        inserted.append(table)
        if crash_after == "first_insert" and table == "points":
            raise Crash

    def crashing_record(*arguments):
        if crash_after == "ledger":
            record(*arguments)
        raise Crash

    monkeypatch.setattr(store, "insert", crashing_insert)
    monkeypatch.setattr(store, "record", crashing_record)
    with pytest.raises(Crash):
        world.writer.step()
    monkeypatch.undo()

    world.reopen()
    world.writer.drain()
    assert sorted(row["value"] for row in world.rows("points")) == [float(v) for v in range(1, 9)]
    assert len(world.rows("spans")) == 2
    assert world.writer.offset("input") == 4


def test_an_engine_that_takes_a_lost_part_for_stored_is_seen_through(world):
    """The engine logs a token before the part is visible; a crash between the two must not lose the rows."""
    ref = world.ref()
    world.input.append([world.points([ref], [T0], [1.0])])
    world.writer.drain()
    cut = json.loads((world.path / "pending.json").read_text())
    # as if the part had never become visible: the rows go, the token and the note of the batch stay
    world.store.db.command("TRUNCATE TABLE tocsin.points")
    world.store.db.command("TRUNCATE TABLE tocsin.ledger")
    assert cut["first"] == 0
    world.reopen()
    world.writer.drain()
    assert [row["value"] for row in world.rows("points")] == [1.0]


def test_rows_refused_twice_go_to_a_dead_letter_and_the_rest_is_stored(world, monkeypatch):
    world.input.append([world.points([world.ref()], [T0], [1.0]), spans_frame([{}])])
    insert = world.store.insert

    def refusing(table, rows, token):
        if table == "spans":
            raise QueryFailed("no such column")
        insert(table, rows, token)

    monkeypatch.setattr(world.store, "insert", refusing)
    world.writer.drain()
    monkeypatch.undo()
    assert len(world.rows("points")) == 1
    assert world.store.counts()["log:input"] == {"next": 2, "dead_rows": 1}
    (letter,) = (world.path / "dead").iterdir()
    table = pa.ipc.open_file(letter).read_all()
    assert table.num_rows == 1
    assert table.schema.metadata[b"reason"] == b"no such column"


def test_what_a_full_disk_refuses_is_stored_once_when_there_is_room(world, monkeypatch):
    world.input.append([world.points([world.ref()], [T0], [1.0]), spans_frame([{}])])
    insert = world.store.insert

    def full(table, rows, token):
        if table == "spans":
            raise DiskFull("no room")
        insert(table, rows, token)

    monkeypatch.setattr(world.store, "insert", full)
    for _ in range(3):
        with pytest.raises(DiskFull):
            world.writer.step()
    monkeypatch.undo()
    world.input.append([world.points([world.ref()], [T0 + 1], [2.0])])  # the cut must stay as it was
    world.writer.drain()
    assert sorted(row["value"] for row in world.rows("points")) == [1.0, 2.0]
    assert len(world.rows("spans")) == 1
    assert not (world.path / "dead").exists()
    assert world.store.counts()["log:input"] == {"next": 3, "dead_rows": 0}


def test_what_the_disk_refuses_by_its_number_is_tried_again(world, monkeypatch):
    world.input.append([world.points([world.ref()], [T0], [1.0])])

    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tocsin.store.cuts.durable_write", no_room)
    with pytest.raises(DiskFull, match="no room on the disk"):
        world.writer.step()
    monkeypatch.undo()
    world.writer.drain()
    assert [row["value"] for row in world.rows("points")] == [1.0]


def test_the_engines_words_for_a_full_disk_are_understood(world, monkeypatch):
    def full(*_, **__):
        raise DatabaseError("Code: 243. DB::Exception: Cannot reserve 9.16 MiB, not enough space. (NOT_ENOUGH_SPACE)")

    monkeypatch.setattr(world.store.db._writer, "insert_arrow", full)
    with pytest.raises(DiskFull, match="Cannot reserve"):
        world.store.insert("points", pa.table({}), "token")


def test_of_a_finding_the_latest_news_is_kept(world):
    said = [finding(world, Phase.OPEN, 1.0), finding(world, Phase.UPDATE, 2.0), finding(world, Phase.CLOSE, 3.0)]
    for at, news in enumerate(said):
        world.output.append([Output(at, T0, True, (findings_frame([news], world.catalog),))])
        world.writer.step()
    (row,) = world.rows("findings")
    assert (row["phase"], row["value"], row["evidence"]) == ("close", 3.0, {"z": 4.0})


def test_outputs_carry_the_offset_of_their_cause(world):
    ref = world.ref()
    columns = {"series": [ref], "time": [T0], "state": ["live"], "since": [T0], "cadence": [10]}
    world.output.append([Output(42, T0, True, (frame_of(FrameKind.STATES, "main", "engine", columns),))])
    world.writer.drain()
    assert world.scalar("SELECT tick FROM tocsin.states") == 42


def test_a_damaged_note_of_a_batch_is_reported_with_its_path(world):
    (world.path / "pending.json").write_text("{}")
    with pytest.raises(Corrupt, match=r"pending\.json"):
        world.new_writer()


def test_the_rollup_gives_the_same_means_as_the_points(world):
    ref = world.ref()
    times = T0 + np.arange(4 * 3600) * SECOND
    world.input.append([world.points([ref] * len(times), times, np.sin(np.arange(len(times)) / 100))])
    world.writer.drain()
    wanted = {"max_points": 12, "start": T0, "end": T0 + 4 * 3600 * SECOND}
    (before,) = world.store.points("main", "cpu", **wanted)
    stamp = world.store.applied("input")[1]
    assert world.store.roll(stamp) >= 4
    assert world.store.roll(stamp) == 0
    (after,) = world.store.points("main", "cpu", **wanted)
    assert world.scalar("SELECT count() FROM tocsin.points_1m") > 200
    np.testing.assert_array_equal(before.time, after.time)
    np.testing.assert_allclose(before.mean, after.mean, rtol=1e-12)
    np.testing.assert_array_equal(before.samples, after.samples)
    # late data of an hour that was rolled comes in by the next roll
    world.clock.advance(60 * SECOND)
    world.input.append([world.points([ref], [T0 + 1], [100.0])])
    world.writer.drain()
    stamp = world.store.applied("input")[1]
    world.store.db.command("ALTER TABLE tocsin.ledger DELETE WHERE log = 'rollup' SETTINGS mutations_sync = 1")
    world.store.record("rollup", T0, 0, 0, stamp - 1)
    assert world.store.roll(stamp) == 1
    assert world.scalar("SELECT max(high) FROM tocsin.points_1m FINAL") == 100.0
