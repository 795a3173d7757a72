"""What logs say, folded: found when it changes, silent when it does not, the same however it was batched."""

import copy
import json

import numpy as np
import pytest

from log_world import ERROR, INFO, SECOND, START, Log, LogWorld
from tocsin.engine import log_lines, log_service
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.frame import FrameKind
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

PACKS = [pack for pack in load_packs() if pack.name in ("logs", "families")]
CALM_MIN = 100


def begun(*worlds):
    log = Log(Pipeline(Catalog()), list(worlds))
    log.put(EngineSpec(packs=PACKS).control())
    return log


@pytest.fixture(scope="module")
def calm():
    """A hundred quiet minutes of a service, as a snapshot with its world."""
    log = begun(LogWorld(3, per_s=0.5))
    log.run(CALM_MIN)
    assert log.opened() == []
    return log, pack(log.pipeline.snapshot())


def after(calm, change, minutes=12):
    """What comes of a change after the quiet time: (monitor, evidence) of findings that opened, in order."""
    before, snapshot = calm
    log = Log(Pipeline(Catalog()), copy.deepcopy(before.worlds))
    log.pipeline.restore(unpack(snapshot))
    log.now_s, log.offset = before.now_s, before.offset
    change(log.worlds[0])
    log.run(minutes)
    return [(row["monitor"], json.loads(row["evidence"])) for row in log.findings if row["phase"] == "open"]


def more_errors(world):
    """The share of errors rises; how much is written stays as it was."""
    world.shares = world.shares.copy()
    world.shares[6] += 0.15
    world.shares[0] -= 0.15


def new_error(world):
    world.extra = [("payment provider {n} refused: certificate of {ip} expired", ERROR, 10)]


def gone(world):
    world.shares = world.shares.copy()
    world.shares[0] += world.shares[2]
    world.shares[2] = 0


def broken(world):
    world.broken_share = 0.5


def quiet(world):
    world.load = 0.05


def test_without_a_change_nothing_is_found(calm):
    assert after(calm, lambda _: None, 30) == []


def test_more_errors_are_found_at_the_same_volume(calm):
    found = dict(after(calm, more_errors))
    assert "log-errors" in found
    assert "log-volume" not in found
    told = found["log-errors"]
    assert told["template.1"] == "could not parse reply of <*>: unexpected end of input"
    assert told["sample.1"].startswith("could not parse reply of 10.")
    assert told["template.1.records"] > 3 * told["template.1.usual"]
    assert "templates" in told["chosen"]
    assert told["detector"] == "baseline"


def test_an_error_that_was_never_seen_is_found_with_a_line(calm):
    (monitor, told), *_ = after(calm, new_error)
    assert monitor == "log-new-errors"
    assert told["template.1"] == "payment provider <*> refused: certificate of <*> expired"
    assert told["sample.1"].startswith("payment provider ")


def test_a_message_that_has_gone_is_found_and_named(calm):
    found = dict(after(calm, gone))
    told = found["log-vanished-messages"]
    assert told["template.1"] == '{"level":"info","msg":"user signed in","user":"<*>","ms":<*>}'
    assert told["template.1.records"] == 0


def new_message(world):
    world.extra = [("feature flags reloaded from {ip}", INFO, 30)]


def swapped(world):
    """Two messages change places in how often they come; how much is written stays as it was."""
    world.shares = world.shares.copy()
    world.shares[[0, 2]] = world.shares[[2, 0]]


def more_of_all(world):
    world.load = 5


def test_one_error_that_comes_in_bursts_is_found_by_its_own_rate_and_shifts_the_mix(calm):
    found = dict(after(calm, more_errors, 15))
    for monitor in ("log-message-burst", "log-mix"):
        told = found[monitor]
        assert told["template.1"] == "could not parse reply of <*>: unexpected end of input"
        assert told["template.1.records"] > 3 * told["template.1.usual"]


def test_a_message_that_was_never_seen_supports_and_is_named(calm):
    ((monitor, told),) = after(calm, new_message, 15)
    assert monitor == "log-new-messages"
    assert told["template.1"] == "feature flags reloaded from <*>"


def test_messages_that_come_more_often_than_usual_are_found_each_by_its_own_rate(calm):
    found = after(calm, swapped, 15)
    assert {monitor for monitor, _ in found} <= {"log-message-rate", "log-mix"}
    rates = [told["template.1.records"] / told["template.1.usual"] for monitor, told in found if monitor != "log-mix"]
    assert max(rates) > 1.5
    assert all(rate > 1.5 or rate < 0.6 for rate in rates), "what comes less often may be found as well"


def test_a_log_that_is_written_to_five_times_as_much_is_found_as_volume(calm):
    found = after(calm, more_of_all, 15)
    assert "log-volume" in dict(found)
    assert "log-mix" not in dict(found), "all came more often, so the mix is what it was"


def test_requests_that_break_off_are_found_with_what_is_missing(calm):
    told = dict(after(calm, broken))["log-sequence-breaks"]
    assert told["missing.1"] == "`charged <*> cents to card <*>` after `loaded cart of <*> with <*> items`"


def test_a_log_that_falls_quiet_is_found(calm):
    assert "log-volume" in dict(after(calm, quiet, 20))


def test_a_new_service_is_learned_and_not_found(calm):
    def join(world):
        world.extra = []

    before, snapshot = calm
    log = Log(Pipeline(Catalog()), [copy.deepcopy(before.worlds[0]), LogWorld(8, "fresh", per_s=0.3)])
    log.pipeline.restore(unpack(snapshot))
    log.now_s, log.offset = before.now_s, before.offset
    log.run(25)
    join(log.worlds[1])
    assert log.opened() == []


# -- the fold -----------------------------------------------------------------------------------------------------


MINUTES = 44


def records(seed=5, minutes=MINUTES, services=2):
    """Rows of some services, with a new error at the end."""
    worlds = [LogWorld(seed + k, f"svc-{k}", per_s=0.15) for k in range(services)]
    rows = []
    for k, world in enumerate(worlds):
        for start in range(0, minutes * 60, 30):
            if k == 0 and start >= (minutes - 8) * 60:
                new_error(world)
            rows += [(world, row) for row in world.lines(start, start + 30)]
    return worlds, rows


def told(frames_by_tick, worlds, minutes=MINUTES, cut=None):
    """Findings, templates and panes of frames given at each tick; `cut` is a tick at which it is restarted."""
    catalog = Catalog()
    pipeline, said, offset = Pipeline(catalog), [], 0
    pipeline.fold(LogRecord(0, EngineSpec(packs=PACKS).control()))
    for number in range(minutes * 2):
        if number == cut:
            state = unpack(pack(pipeline.snapshot()))
            catalog = Catalog()
            pipeline = Pipeline(catalog)
            pipeline.restore(state)
        now = START + (number + 1) * 30 * SECOND
        entries = [*frames_by_tick[number], Tick(now, {world.source(): now - 5 * SECOND for world in worlds})]
        for entry in entries:
            offset += 1
            output = pipeline.fold(LogRecord(offset, entry))
            for frame in output.frames if output else ():
                for row in frame.rows():
                    if "series" in row:
                        row["series"] = catalog[row["series"]].id
                    said.append((number, frame.kind, sorted(row.items(), key=lambda item: item[0])))
    return [repr(each) for each in said], pipeline


def framed(rows, worlds, rng, *, late_s=0.0):
    """Frames by tick; arrival is delayed by up to `late_s` seconds, the order of rows and frames is arbitrary."""
    ticks = 2 * MINUTES
    by_tick = [[] for _ in range(ticks + 1)]
    for world in worlds:
        mine = [row for owner, row in rows if owner is world]
        arrive = [min(int(((row[0] - START) / SECOND + rng.uniform(0, late_s)) // 30), ticks) for row in mine]
        for number in range(ticks + 1):
            of_tick = [row for row, at in zip(mine, arrive, strict=True) if at == number]
            of_tick = [of_tick[i] for i in rng.permutation(len(of_tick))]
            cuts = sorted(rng.integers(0, len(of_tick) + 1, 3).tolist())
            for start, stop in zip([0, *cuts], [*cuts, len(of_tick)], strict=True):
                if stop > start:
                    by_tick[number].append(world.frame(of_tick[start:stop]))
        for frames in by_tick:
            rng.shuffle(frames)
    return by_tick


@pytest.fixture(scope="module")
def whole():
    """Two services, as they are told without a restart."""
    worlds, rows = records()
    frames = framed(rows, worlds, np.random.default_rng(0))
    said, pipeline = told(frames, worlds)
    assert pipeline.late() == 0
    assert any("log-new-errors" in each for each in said)
    return worlds, rows, frames, said


def test_splits_order_and_arrival_within_the_watermark_change_nothing(whole):
    worlds, rows, _, said = whole
    again, _ = told(framed(rows, worlds, np.random.default_rng(1)), worlds)
    late, _ = told(framed(rows, worlds, np.random.default_rng(2), late_s=4.9), worlds)
    # rows of a tick come in the order of series, which is that of arrival
    assert sorted(again) == sorted(said)
    assert sorted(late) == sorted(said)


@pytest.mark.parametrize("cut", [1, 40, 76])
def test_a_restart_changes_nothing(whole, cut):
    worlds, _, frames, said = whole
    parts, _ = told(frames, worlds, cut=cut)
    assert parts == said


def test_lines_that_come_twice_count_once_and_late_ones_are_counted():
    world = LogWorld(1)
    rows = world.lines(0, 60)
    log = begun(world)
    for _ in range(2):
        log.put(world.frame(rows))
    log.put(Tick(START + 120 * SECOND, {world.source(): START + 120 * SECOND}))
    log.put(world.frame(rows[:3]))
    log.put(Tick(START + 121 * SECOND, {world.source(): START + 121 * SECOND}))
    service = log.pipeline.lines._services["main", "shop"]
    assert service.records == len(rows)
    assert log.pipeline.lines.late == 3


def test_templates_go_to_the_store_once_and_bounds_are_counted(monkeypatch):
    monkeypatch.setattr(log_lines, "MOST_SERVICES", 1)
    worlds = [LogWorld(1), LogWorld(2, "too-many")]
    log = begun(*worlds)
    log.run(3)
    rows = [
        row
        for out in log.outputs
        for frame in out.frames
        if frame.kind is FrameKind.LOG_TEMPLATES
        for row in frame.rows()
    ]
    assert {"cache hit for key item:<*>"} <= {row["text"] for row in rows}
    named = [(row["shape"], row["template"]) for row in rows]
    assert len(set(named)) == len(named)
    assert log.pipeline.lines.counted_out() > 0
    assert set(log.pipeline.lines._services) == {("main", "shop")}


def test_messages_of_a_service_are_bounded(monkeypatch):
    monkeypatch.setattr(log_service, "MOST_MESSAGES", 20)
    world = LogWorld(1, per_s=0.1)
    words = [f"{a}{b}" for a in ("ka", "lo", "mi", "nu") for b in ("ra", "so", "ti", "vu", "xa", "yo", "ze", "bi")]
    world.rare = [(f"{w} {w}x {w}y happened", INFO) for w in words for _ in range(300)]
    log = begun(world)
    log.run(10)
    assert len(log.pipeline.lines._services["main", "shop"].messages) <= 20


def test_hostile_texts_stay_texts():
    world = LogWorld(1)
    log = begun(world)
    world.extra = [("\x1b[31m<script>{{alert()}}</script> ${{jndi:x}} ' OR 1=1 --", ERROR, 60)]
    log.run(3)
    text = {template.text for template in log.pipeline.lines._services["main", "shop"].messages.values()}
    assert any(each.startswith("<script>{alert()}</script> ${jndi:x}") for each in text)
    assert not any("\x1b" in each for each in text)
