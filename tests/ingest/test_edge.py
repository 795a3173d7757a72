"""The edge: order of records and ticks, watermarks, restart, overload, what is counted."""

import asyncio
import threading

import numpy as np
import pytest

from ingest_world import NOW, KeepAll, World, gauge_request, log_request
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.clock import SECOND
from tocsin.model.errors import Overloaded
from tocsin.model.frame import Frame, FrameKind, points_frame
from tocsin.model.log import Control, Tick
from tocsin.selfmon.metrics import REGISTRY

MINUTE = 60 * SECOND


def points(source, *times, tenant="main"):
    n = len(times)
    return points_frame(tenant, source, np.zeros(n, "i4"), np.array(times, "i8"), np.ones(n))


def mark(world, source="test/a"):
    return world.edge.tick().watermarks[("main", source)]


def send(world, *times, source="test/a"):
    world.edge.submit([points(source, *times)]).result()


def test_the_watermark_is_the_latest_event_less_the_lateness():
    world = World()
    send(world, NOW - 3, NOW - 9)
    send(world, NOW - 3, NOW - 9, source="otlp/api")
    assert mark(world) == NOW - 3
    assert mark(world, "otlp/api") == NOW - 3 - 5 * SECOND


def test_the_watermark_never_passes_the_clock_nor_goes_back():
    world = World()
    send(world, NOW + 300 * SECOND)
    assert mark(world) == NOW
    send(world, NOW - 100)
    assert mark(world) == NOW
    world.clock.advance(-50)
    assert world.edge.tick().received == NOW


def test_a_silent_source_is_complete_after_30_seconds():
    world = World()
    send(world, NOW - SECOND)
    world.clock.advance(30 * SECOND - 1)
    assert mark(world) == NOW - SECOND
    world.clock.advance(1)
    assert mark(world) == NOW + 30 * SECOND
    send(world, NOW + 10 * SECOND)
    assert mark(world) == NOW + 30 * SECOND


def test_a_source_that_replays_history_gets_five_minutes():
    world = World()
    send(world, NOW - 10 * MINUTE)
    world.clock.advance(5 * MINUTE - 1)
    assert mark(world) == NOW - 10 * MINUTE
    world.clock.advance(1)
    assert mark(world) == NOW + 5 * MINUTE


def test_a_restart_takes_up_clock_and_watermarks_and_gives_everybody_time_again():
    old = World()
    send(old, NOW - 7)
    old.edge.append_tick().result()
    send(old, NOW - 2)
    new = World(now=NOW - 1000)
    new.edge.recover(old.log.entries)
    assert mark(new) == NOW - 2
    assert new.edge.tick().received == NOW
    late = World(now=NOW + 60 * SECOND)
    late.edge.recover(old.log.entries)
    assert mark(late) == NOW - 2
    late.clock.advance(30 * SECOND)
    assert mark(late) == NOW + 90 * SECOND


def test_a_restart_from_ticks_alone():
    old = World()
    send(old, NOW - 7, source="otlp/a")
    tick = old.edge.tick()
    new = World()
    new.edge.recover([tick])
    assert new.edge.tick().watermarks == tick.watermarks


def test_a_watermark_enters_the_log_after_the_records_it_covers():
    world, stop = World(), threading.Event()

    def tick():
        while not stop.is_set():
            world.edge.append_tick().result()

    thread = threading.Thread(target=tick)
    thread.start()
    for n in range(300):
        send(world, NOW - 1000 + n)
    stop.set()
    thread.join()
    seen = 0
    for entry in world.log.entries:
        if isinstance(entry, Frame):
            seen = max(seen, entry.rows()[0]["time"])
        elif entry.watermarks:
            assert entry.watermarks["main", "test/a"] <= seen


def test_accept_returns_when_all_is_durable():
    world = World()
    world.log.hold = True

    async def scene():
        task = asyncio.create_task(world.edge.accept([points("test/a", NOW)]))
        await asyncio.sleep(0)
        assert not task.done()
        world.log.release()
        await task

    asyncio.run(scene())


def test_a_full_log_takes_nothing_and_moves_nothing():
    world = World()
    world.log.refuse = Overloaded("full", retry_after_s=7)
    with pytest.raises(Overloaded):
        send(world, NOW)
    assert world.edge.tick().watermarks == {}


def test_empty_frames_do_not_enter_the_log():
    world = World()
    world.edge.submit([points("test/a")]).result()
    assert not world.log.entries


def test_control_and_ticks_enter_the_log_in_order():
    world = World()
    world.edge.control(Control.of("spec", b"{}")).result()
    world.edge.append_tick().result()
    assert [type(entry) for entry in world.log.entries] == [Control, Tick]


def test_frames_are_redacted_before_the_log():
    class Blacken(KeepAll):
        def frames(self, frames):
            return [Frame(f.kind, f.tenant, f.source, f.batch.slice(int(f.kind is FrameKind.LOGS))) for f in frames]

        def labels(self, labels):
            return tuple((key, "token") for key, _ in labels)

    world = World(Blacken())
    receiver = OtlpReceiver(world.edge)
    receiver.take("logs", log_request("secret", "kept").SerializeToString(), "main")
    assert [row["body"] for row in world.rows(FrameKind.LOGS)] == ["kept"]
    assert world.frames()[0].source == "otlp/token"
    receiver.take("metrics", gauge_request([1.0]).SerializeToString(), "main")
    assert dict(world.catalog[0].labels) == {"n": "token", "service.name": "token"}


def test_what_is_taken_and_refused_is_counted_by_tenant_source_and_reason():
    def value(name, **labels):
        return REGISTRY.get_sample_value(name, labels) or 0.0

    world = World()
    request = gauge_request([1.0, float("inf")], service="counted")
    request.MergeFrom(gauge_request([1.0], service="counted", time=1))
    OtlpReceiver(world.edge).take("metrics", request.SerializeToString(), "counting")
    where = {"tenant": "counting", "source": "otlp/counted"}
    assert value("tocsin_ingest_accepted_rows_total", **where, kind="points") == 2
    assert value("tocsin_ingest_refused_rows_total", **where, reason="too_old") == 1
    assert value("tocsin_ingest_infinite_values_total", **where) == 1
    assert value("tocsin_ingest_lag_seconds", **where) == 0.0
