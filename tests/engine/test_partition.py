"""A partition's fold: what its shards say is what one machine says; repeats, restarts and controls change nothing."""

import pytest

from engine.worlds import any_series, fold_all, records, said, spiking
from tocsin.engine.partition import REPEATED, Partition, divided
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import Control
from tocsin.model.place import Place
from tocsin.model.routed import GROWN, Routed
from tocsin.model.series import Catalog

SPEC = any_series().control()


def routed(entries, shard=3, edge="e", places=()):
    found = []
    for offset, entry in enumerate(entries):
        place = Place("bus", "t", 0, offset) if places and isinstance(entry, Frame) else None
        found.append(Routed(offset, entry, shard if isinstance(entry, Frame) else -1, edge, place))
    return found


def told(partition, rows):
    return [output for row in rows if (output := partition.fold(row)) is not None]


@pytest.fixture
def catalog():
    return Catalog()


def test_a_shard_says_what_one_machine_says(catalog):
    entries = [SPEC, *spiking(catalog)]
    alone = said(fold_all(Pipeline(catalog), records(entries)), catalog)
    assert said(told(Partition(catalog), routed(entries)), catalog) == alone
    assert any(kind == "findings" for kind, *_ in alone)


def test_shards_of_one_partition_do_not_hear_of_each_other(catalog):
    tenants = {tenant: spiking(catalog, tenant=tenant, seed=seed) for seed, tenant in enumerate(["a", "b"])}
    mixed = [Routed(0, SPEC)]
    for pair in zip(*(tenants[name] for name in tenants), strict=True):
        for number, entry in enumerate(pair):
            if isinstance(entry, Frame):
                mixed.append(Routed(len(mixed), entry, number))
        if not isinstance(pair[0], Frame):
            both = {key: mark for each in pair for key, mark in each.watermarks.items()}
            mixed.append(Routed(len(mixed), type(pair[0])(pair[0].received, both), edge="e"))
    rows = said(told(Partition(catalog), mixed), catalog, kinds=(FrameKind.FINDINGS, FrameKind.PANES))
    for tenant, entries in tenants.items():
        alone = said(
            fold_all(Pipeline(catalog), records([SPEC, *entries])), catalog, kinds=(FrameKind.FINDINGS, FrameKind.PANES)
        )
        assert [row for row in rows if row[1] == tenant] == alone


def test_what_comes_twice_by_its_place_is_left_out_and_counted(catalog):
    rows = routed([SPEC, *spiking(catalog)], places=True)
    once = said(told(Partition(catalog), rows), catalog)
    before = REPEATED._value.get()
    again, at = [], 0
    for number, row in enumerate(rows):
        again.append(row._replace(offset=at))
        at += 1
        if number and number % 50 == 0:  # a member that was relieved sends its last messages once more
            repeated = [each for each in rows[number - 20 : number] if each.place is not None]
            again += [each._replace(offset=at + n) for n, each in enumerate(repeated)]
            at += len(repeated)
    assert said(told(Partition(catalog), again), catalog) == once
    assert REPEATED._value.get() - before == len(again) - len(rows) > 0


@pytest.mark.parametrize("cut", [1, 400, 1201, 1290])
def test_a_partition_that_moves_to_another_worker_relearns_nothing(catalog, cut):
    rows = routed([SPEC, *spiking(catalog)], places=True)
    whole = said(told(Partition(catalog), rows), catalog)
    first = Partition(catalog)
    head = said(told(first, rows[:cut]), catalog)
    elsewhere = Catalog()
    elsewhere.intern(catalog[0])
    second = Partition(catalog)
    second.restore(unpack(pack(first.snapshot())))
    assert head + said(told(second, rows[cut:]), catalog) == whole


@pytest.mark.parametrize(("cut", "wanted"), [(300, 4), pytest.param(1251, 2, marks=pytest.mark.soak), (1290, 6)])
def test_a_partition_that_is_divided_goes_on_as_if_it_were_one(catalog, cut, wanted):
    """Shards 0 to 4 of one partition of one; afterwards each is folded where its number says, with what came twice."""
    parts = {shard: spiking(catalog, tenant=f"t{shard}", seed=shard) for shard in range(5)}
    rows = [Routed(0, SPEC)]
    for at in range(0, len(parts[0]), 2):
        for shard, entries in parts.items():
            rows.append(Routed(len(rows), entries[at], shard, place=Place("bus", "t", 0, at, shard)))
        marks = {key: mark for entries in parts.values() for key, mark in entries[at + 1].watermarks.items()}
        rows.append(Routed(len(rows), type(parts[0][1])(parts[0][at + 1].received, marks), edge="e"))
    kinds = (FrameKind.FINDINGS, FrameKind.PANES)
    whole = sorted(said(told(Partition(catalog), rows), catalog, kinds))
    cut *= 3
    first = Partition(catalog)
    found = said(told(first, rows[:cut]), catalog, kinds)
    states = divided(unpack(pack(first.snapshot())), 0, 1, wanted)
    assert sorted(states) == list(range(wanted))
    again = [row for row in rows[cut - 40 : cut] if row.place is not None]
    for number, state in states.items():
        partition = Partition(catalog)
        partition.restore(unpack(pack(state)))
        mine = [row for row in [*again, *rows[cut:]] if row.shard % wanted == number or row.shard < 0]
        found += said(told(partition, [Routed(0, Control.of(GROWN, b"{}")), *mine]), catalog, kinds)
    assert sorted(found) == whole


def test_a_spec_that_holds_already_changes_nothing(catalog):
    entries = [SPEC, *spiking(catalog)]
    often = [each for entry in entries for each in ([entry, SPEC] if isinstance(entry, Frame) else [entry])]
    rows = said(told(Partition(catalog), routed(often)), catalog)
    assert rows == said(told(Partition(catalog), routed(entries)), catalog)


def test_a_shard_that_begins_late_is_ruled_by_what_holds(catalog):
    partition = Partition(catalog)
    partition.fold(Routed(0, SPEC))
    partition.fold(Routed(1, Control.of("feedback", b'{"asks": []}')))
    told(partition, routed(spiking(catalog, seconds=5, spike_at=9)))
    (pipeline,) = partition.shards.values()
    assert pipeline.control.sha256 == SPEC.sha256
