"""What the fold fails at is tried again, then passed over by everybody; what else is said is as if it had never come."""

import pytest

from cluster.fleet import spec_of_world
from engine.worlds import fold_all, records, said, spiking
from spoilt import spoilt_points, spoilt_spans
from tocsin.engine.passed import FAILED, PASSED, Passed, Stumbles, TooManyPassed
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.runner import Runner
from tocsin.engine.snapshot import Snapshots
from tocsin.journal.directory import Directory
from tocsin.journal.messages import unpack_message
from tocsin.model.errors import Unreachable
from tocsin.model.frame import FrameKind
from tocsin.model.log import Control, Tick
from tocsin.model.series import Catalog
from tocsin.spec.cluster import TRIES
from tocsin.spec.packs import load_packs
from tocsin.testing.memory_log import MemoryLog

FEW = 3
KINDS = (FrameKind.FINDINGS, FrameKind.PANES)


def spec():
    return spec_of_world().model_copy(update={"packs": load_packs()}).control()


def good(catalog):
    return [spec(), *spiking(catalog, seconds=200, spike_at=150, series=2)]


def run(log, path, catalog):
    """A process that folds all there is; what it wrote."""
    spoken = MemoryLog()
    runner = Runner(log, spoken, Snapshots(Directory(path)), catalog, stumbles=Stumbles(most=FEW))
    while runner.step():
        pass
    runner.close()
    return spoken


def log_of(entries):
    log = MemoryLog()
    log.append(entries)
    return log


def counts():
    return FAILED._value.get(), PASSED._value.get()


@pytest.mark.parametrize(
    ("place", "make"),
    [(181, spoilt_points), (11, spoilt_spans)],
)
def test_what_fails_is_tried_kept_and_passed_over_and_nothing_else_changes(tmp_path, place, make):
    catalog = Catalog()
    entries = good(catalog)
    steady = said(fold_all(Pipeline(catalog), records(entries)), catalog, KINDS)
    assert any(kind == "findings" for kind, *_ in steady)
    bad = make(catalog)
    # before the frame of a second, which is then the only other one that the tick after both may blame
    entries.insert(place + (1 if make is spoilt_points else 2), bad)
    if make is spoilt_spans:
        entries.insert(place + 3, Tick(entries[place + 1].received, entries[place + 1].watermarks))
    failed, passed = counts()
    spoken = run(log_of(entries), tmp_path, catalog)
    assert said(spoken.entries, catalog, KINDS) == steady
    assert [output.cause for output in spoken.entries] == sorted({output.cause for output in spoken.entries})
    assert counts() == (failed + TRIES, passed + 1)
    (dead,) = tmp_path.glob("*.dead")
    offset = int(dead.stem)
    assert entries[offset] is bad
    assert unpack_message(dead.read_bytes(), catalog).kind is bad.kind


def test_who_folds_it_later_leaves_out_the_same_though_it_could_be_folded(tmp_path):
    catalog = Catalog()
    entries = good(catalog)
    entries.insert(301, bad := spoilt_points(catalog))
    run(log_of(entries), tmp_path, catalog)
    assert 301 in Passed(Directory(tmp_path))
    for snapshot in tmp_path.glob("*.snap"):
        snapshot.unlink()
    mended = [
        entry if entry is not bad else entries[303] for entry in entries
    ]  # a release that reads it: points of later
    failed, passed = counts()
    spoken = run(log_of(mended), tmp_path, catalog)
    without = [entry for entry in entries if entry is not bad]
    assert said(spoken.entries, catalog, KINDS) == said(fold_all(Pipeline(catalog), records(without)), catalog, KINDS)
    assert counts() == (failed, passed)


@pytest.mark.parametrize("wrong", ["control", "many"])
def test_what_nobody_may_pass_over_ends_the_process(tmp_path, wrong):
    catalog = Catalog()
    entries = good(catalog)
    entries[5:5] = (
        [Control.of("feedback", b"{")] if wrong == "control" else [spoilt_points(catalog) for _ in range(FEW + 1)]
    )
    _, passed = counts()
    with pytest.raises(TooManyPassed, match=f"{0 if wrong == 'control' else FEW} are already"):
        run(log_of(entries), tmp_path, catalog)
    assert counts()[1] == passed + (0 if wrong == "control" else FEW)


def test_what_can_not_be_written_down_is_not_passed_over(tmp_path):
    passed, shelf = Passed(Directory(tmp_path)), Away()
    nothing = Passed(shelf)
    with pytest.raises(Unreachable):
        nothing.add([3], "why")
    assert 3 not in nothing
    passed.add([3, 9], "why")
    assert [3 in Passed(Directory(tmp_path)), 3 in Passed(Directory(tmp_path), first=5)] == [True, False]
    (tmp_path / "passed.json").write_text("{")
    assert len(Passed(Directory(tmp_path))) == 0
    assert (tmp_path / "passed.json.broken").exists()


class Away:
    def read(self, _):
        raise FileNotFoundError

    def write(self, *_):
        raise Unreachable("away")
