"""The one property: the same log gives the same findings, however it is batched, permuted or interrupted."""

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.worlds import T0, S, any_series, fold_all, records, said, span_frame, spiking
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.runner import Runner
from tocsin.engine.snapshot import SNAPSHOT_FAILURES, Snapshots, pack, unpack
from tocsin.journal.directory import Directory
from tocsin.model.codec import findings_of
from tocsin.model.finding import Phase
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import Tick
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec
from tocsin.spec.packs import load_packs
from tocsin.testing.memory_log import MemoryLog

SPEC = any_series()


def world(catalog):
    return [SPEC.control(), *spiking(catalog)]


def run(entries, catalog):
    return said(fold_all(Pipeline(catalog), records(entries)), catalog)


def findings(outputs, catalog):
    frames = [f for out in outputs for f in out.frames if f.kind is FrameKind.FINDINGS]
    return [finding for frame in frames for finding in findings_of(frame, catalog)]


def test_the_same_log_gives_the_same_bits():
    one, two = Catalog(), Catalog()
    assert run(world(one), one) == run(world(two), two)


def test_any_split_of_the_frames_gives_the_same_bits():
    catalog = Catalog()
    whole = world(catalog)
    split = []
    for entry in whole:
        if isinstance(entry, Frame):
            parts = [entry.batch.slice(i, 1) for i in range(entry.batch.num_rows)]
            split += [Frame(entry.kind, entry.tenant, entry.source, part) for part in parts]
        else:
            split.append(entry)
    assert run(split, catalog) == run(whole, catalog)


def test_frames_joined_between_ticks_give_the_same_bits():
    catalog = Catalog()
    whole = world(catalog)
    joined, batches = [], []
    for i, entry in enumerate(whole):
        if isinstance(entry, Frame):
            batches.append(entry.batch)
        elif isinstance(entry, Tick) and i % 10 and i < len(whole) - 12:
            continue  # fewer ticks: windows close later, but with the same content
        else:
            if batches:
                table = pa.Table.from_batches(batches).combine_chunks()
                joined.append(Frame(FrameKind.POINTS, "main", "otlp/w", table.to_batches()[0]))
                batches = []
            joined.append(entry)

    def panes(entries):
        return [row for row in run(entries, catalog) if row[0] == "panes"]

    assert panes(joined) == panes(whole)


@pytest.mark.parametrize("seed", range(3))
def test_arrival_permuted_within_the_watermark_gives_the_same_verdicts(seed):
    catalog = Catalog()
    rng = np.random.default_rng(seed)
    whole = world(catalog)
    permuted = [whole[0]]
    frames, rest = [], []
    for entry in whole[1:]:
        (frames if isinstance(entry, Frame) else rest).append(entry)
    for start in range(0, len(rest), 10):  # ticks every ten seconds, each after all that it covers
        chunk = frames[start : start + 10]
        permuted += [chunk[i] for i in rng.permutation(len(chunk))]
        permuted.append(rest[min(start + 9, len(rest) - 1)])
    sparse = [whole[0]]
    for start in range(0, len(rest), 10):
        sparse += [*frames[start : start + 10], rest[min(start + 9, len(rest) - 1)]]
    assert run(permuted, catalog) == run(sparse, catalog)


def test_repeated_delivery_changes_nothing():
    catalog = Catalog()
    whole = world(catalog)
    twice = [e for entry in whole for e in ([entry, entry] if isinstance(entry, Frame) else [entry])]
    assert run(twice, catalog) == run(whole, catalog)


def test_other_series_and_their_order_change_no_verdict():
    catalog, crowded = Catalog(), Catalog()
    for i in range(5):  # other numbers for the same series
        spiking(crowded, seconds=1, series=i + 1, tenant="elsewhere")
    mine = findings(fold_all(Pipeline(catalog), records(world(catalog))), catalog)
    theirs = findings(fold_all(Pipeline(crowded), records(world(crowded))), crowded)
    assert sorted(f.id for f in mine) == sorted(f.id for f in theirs)
    assert mine


@pytest.mark.parametrize("cut", [1, 40, 700, 1215])
def test_a_restart_from_a_snapshot_is_no_restart(cut):
    catalog = Catalog()
    recs = records(world(catalog))
    whole = said(fold_all(Pipeline(catalog), recs), catalog)
    first = Pipeline(catalog)
    before = said(fold_all(first, recs[:cut]), catalog)
    elsewhere = Catalog()  # another process numbers series otherwise
    spiking(elsewhere, seconds=1, series=7, tenant="x")
    second = Pipeline(elsewhere)
    second.restore(unpack(pack(first.snapshot())))
    replay = records(world(elsewhere))
    after = said(fold_all(second, replay[cut:]), elsewhere)
    assert before + after == whole


def test_a_snapshot_is_a_copy():
    catalog = Catalog()
    recs = records(world(catalog))
    pipeline = Pipeline(catalog)
    fold_all(pipeline, recs[:600])
    state = pipeline.snapshot()
    raw = pack(state)
    fold_all(pipeline, recs[600:])
    assert pack(state) == raw


def _let_go() -> None:
    for thread in threading.enumerate():
        if thread.name == "snapshot":
            thread.join(60)


@pytest.mark.parametrize(
    "seed", [0, 1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)]
)
def test_a_runner_killed_at_any_place_says_everything_once(tmp_path: Path, seed):
    catalog = Catalog()
    rng = np.random.default_rng(seed)
    reference, spoken, log = MemoryLog(), MemoryLog(), MemoryLog()
    entries = world(catalog)
    log.append(entries)
    steady = Runner(log, reference, Snapshots(Directory(tmp_path / "a")), catalog)
    while steady.step():
        pass
    partial = MemoryLog()
    for until in [*sorted(rng.integers(1, len(entries), 5).tolist()), len(entries)]:
        partial.append(entries[partial.end() : until])
        runner = Runner(
            partial, spoken, Snapshots(Directory(tmp_path / "b")), catalog
        )  # a new process: nothing but files
        while runner.step():
            pass
        _let_go()  # the dead write nothing: their last snapshot is down or was never begun
    assert [o.cause for o in spoken.entries] == [o.cause for o in reference.entries]
    assert said(spoken.entries, catalog) == said(reference.entries, catalog)


def test_a_change_of_spec_keeps_what_unchanged_monitors_know():
    catalog = Catalog()
    more = EngineSpec(monitors=[*SPEC.monitors, MonitorSpec.model_validate({"name": "b", "signal": "nothing"})])
    whole = world(catalog)
    changed = [*whole[:900], more.control(), *whole[900:]]
    assert run(changed, catalog) == run(whole, catalog)


def test_a_spike_is_found_within_two_steps_and_calm_minutes_are_calm():
    catalog = Catalog()
    news = findings(fold_all(Pipeline(catalog), records(world(catalog))), catalog)
    opened = [f for f in news if f.phase is Phase.OPEN]
    assert len(opened) == 3
    assert all(0 < f.time - (T0 + 600 * S) <= 20 * S for f in opened)
    assert all(f.log10_p <= f.level < 0 and f.value > f.expected[1] for f in opened)


def test_a_new_prompt_version_on_spans_is_a_change_event():
    catalog = Catalog()
    spec = EngineSpec(packs=load_packs())
    entries = [spec.control()]
    for i in range(40):
        now = T0 + i * 10 * S
        version = "v1" if i < 20 else "v2"
        entries.append(span_frame([now], version=version, start_id=i))
        entries.append(Tick(now, {("main", "otlp/bot"): now}))
    outputs = fold_all(Pipeline(catalog), records(entries))
    events = [row for out in outputs for f in out.frames if f.kind is FrameKind.EVENTS for row in f.rows()]
    assert [(e["kind"], e["entity"], e["what"]) for e in events] == [("prompt", "bot", "prompt_version v1 -> v2")]
    assert events[0]["time"] == T0 + 199 * S  # when the first span of the new version began


def test_a_full_disk_costs_a_snapshot_and_nothing_else(tmp_path: Path, monkeypatch):
    catalog, spoken = Catalog(), MemoryLog()
    log = MemoryLog()
    log.append(world(catalog))
    snapshots = Snapshots(Directory(tmp_path))
    monkeypatch.setattr(snapshots, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    before = SNAPSHOT_FAILURES._value.get()
    runner = Runner(log, spoken, snapshots, catalog)
    while runner.step():
        pass
    runner.close()
    assert SNAPSHOT_FAILURES._value.get() > before
    assert said(spoken.entries, catalog) == said(fold_all(Pipeline(catalog), records(world(catalog))), catalog)


@pytest.mark.parametrize("told", [True, False])
def test_spans_of_several_sources_fold_the_same_however_they_are_split(told):
    catalog = Catalog()
    entries = [EngineSpec(packs=load_packs()).control()]
    for i in range(60):
        now = T0 + i * 10 * S
        for service in ("bot", "shop", "mail"):
            frame = span_frame([now - S, now - 2 * S], service=service, start_id=10 * i)
            if not told:  # spans of which no signal is made: parts of a request that nothing else is known of
                batch = frame.batch
                for name, values in (("attributes", [[]] * 2), ("parent_id", [bytes([7] * 8)] * 2)):
                    at = batch.schema.get_field_index(name)
                    batch = batch.set_column(at, batch.schema.field(at), pa.array(values, batch.schema.field(at).type))
                frame = Frame(frame.kind, frame.tenant, frame.source, batch)
            entries.append(frame)
        entries.append(Tick(now, {("main", f"otlp/{service}"): now for service in ("bot", "shop", "mail")}))
    split = []
    for entry in entries:
        parts = [entry.batch.slice(i, 1) for i in range(len(entry))] if isinstance(entry, Frame) else []
        split += [Frame(entry.kind, entry.tenant, entry.source, part) for part in parts] or [entry]
    whole = run(entries, catalog)
    assert run(split, catalog) == whole
    assert bool([row for row in whole if row[0] == "panes"]) == told
    recs = records(entries)
    first, second = Pipeline(catalog), Pipeline(Catalog())
    before = said(fold_all(first, recs[:102]), catalog)  # in the middle of what came between two ticks
    second.restore(unpack(pack(first.snapshot())))
    assert before + said(fold_all(second, recs[102:]), second.rows.catalog) == whole


def test_samples_behind_the_watermark_are_counted():
    catalog = Catalog()
    entries = world(catalog)
    frame = next(e for e in entries if isinstance(e, Frame))
    pipeline = Pipeline(catalog)
    fold_all(pipeline, records([*entries, frame]))
    assert pipeline.late() == len(frame)
