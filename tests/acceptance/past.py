"""Some hours that a server saw: two series, a true outage in one, a bump nobody minds in the other; quickly made."""

import asyncio
from contextlib import contextmanager

import numpy as np

from acceptance.house import House
from acceptance.stack import SECOND, START
from tocsin.app.replays.captures import Captures
from tocsin.model.frame import points_frame
from tocsin.model.series import Series, Signal
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore

MINUTE = 60 * SECOND
MINUTES = 200
OUTAGE_AT, BUMP_AT = START + 120 * MINUTE, START + 165 * MINUTE
LASTS = 10 * MINUTE
CONFIG = """
monitors: [{name: latency, signal: app.latency, window: {size: 60s, step: 60s}}]
routes: [{match: {}, to: [hook]}]
destinations: [{name: hook, type: webhook, url: "http://127.0.0.1:9/hook"}]
dry_run: true
"""


def _level(zone, time):
    if zone == "a" and OUTAGE_AT <= time < OUTAGE_AT + LASTS:
        return 300.0
    return 130.0 if zone == "b" and BUMP_AT <= time < BUMP_AT + LASTS else 100.0


async def _lived(path):
    rng = np.random.default_rng(7)
    house = House(path, CONFIG)
    house.correlating._keep = Captures(path).keep
    zones = [
        house.catalog.intern(
            Series.of("main", Signal("app.latency", "ms"), {"service.name": f"web-{zone}", "zone": zone})
        )
        for zone in "ab"
    ]
    try:
        for minute in range(MINUTES):
            start = START + minute * MINUTE
            times = start + np.arange(1, 7) * 10 * SECOND
            values = np.array([[_level(zone, t) for t in times.tolist()] for zone in "ab"]).ravel()
            values += 4 * rng.standard_normal(12)
            house.edge.submit(
                [points_frame("main", "past", np.repeat(np.array(zones, "i4"), 6), np.tile(times, 2), values)]
            ).result()
            house.clock.advance(MINUTE)
            house.edge.append_tick().result()
            while house.runner.step():
                pass
            while house.correlating.step():
                pass
        house.writer.drain()
    finally:
        await house.close()


def lived(path):
    """The data directory of a stopped server that lived through it."""
    asyncio.run(_lived(path))
    return path


@contextmanager
def stores(path):
    """Both stores, to read."""
    telemetry, state = TelemetryStore(path / "store", read_only=True), StateStore(f"sqlite:///{path / 'state.db'}")
    try:
        yield telemetry, state
    finally:
        telemetry.close()
        state.close()
