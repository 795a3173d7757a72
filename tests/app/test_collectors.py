"""Sources are read by loops that follow the configuration and disturb no other."""

from __future__ import annotations

import asyncio

import pytest

from tocsin.app import collectors
from tocsin.app.collectors import Collectors
from tocsin.app.settings import ServeSettings
from tocsin.model.clock import ManualClock
from tocsin.spec.load import parse_config


def config(**paths):
    lines = [f"  - {{name: {name}, type: jsonl, path: {path}}}" for name, path in paths.items()]
    return parse_config("\n".join(["sources:", *lines]) if lines else "", "t.yaml", {}).config


class Loops:
    """Plays the loops of sources: says which run, and lets one fail."""

    def __init__(self):
        self.begun = []
        self.ended = []
        self.moved = asyncio.Event()
        self.failing = set()

    async def __call__(self, source):
        self.begun.append(source.path)
        self.moved.set()
        if source.path in self.failing:
            self.failing.remove(source.path)
            raise RuntimeError("a bug")
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(source.path)
            self.moved.set()

    async def until(self, begun, ended=()):
        while (self.begun, self.ended) != (list(begun), list(ended)):
            self.moved.clear()
            await asyncio.wait_for(self.moved.wait(), 20)


@pytest.fixture
def made(tmp_path, monkeypatch):
    def make(found, *, host_metrics=False):
        settings = ServeSettings(data_dir=tmp_path, run_dir=tmp_path, host_metrics=host_metrics)
        return Collectors(settings, found, None, ManualClock(1), (), None)

    monkeypatch.setattr(collectors, "RETRY_S", 0.01)
    return make


def played(story, monkeypatch):
    async def run():
        loops = Loops()
        monkeypatch.setattr(collectors, "_collector", lambda source, *_: loops(source))
        await asyncio.wait_for(story(loops), 30)

    asyncio.run(run())


def test_a_changed_configuration_starts_and_ends_what_it_changes(made, monkeypatch):
    async def story(loops):
        held = made(config(a="/a", b="/b"))
        running = asyncio.create_task(held.run())
        await loops.until(["/a", "/b"])
        await asyncio.to_thread(held.adopt, config(a="/a", b="/c", d="/d"))
        await loops.until(["/a", "/b", "/c", "/d"], ["/b"])
        assert held.names == ["a", "b", "d"]
        await asyncio.to_thread(held.adopt, config())
        await loops.until(["/a", "/b", "/c", "/d"], ["/b", "/a", "/c", "/d"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    played(story, monkeypatch)


def test_a_loop_that_fails_is_started_again_and_the_others_go_on(made, monkeypatch):
    async def story(loops):
        loops.failing.add("/a")
        held = made(config(a="/a", b="/b"))
        running = asyncio.create_task(held.run())
        await loops.until(["/a", "/b", "/a"])
        assert loops.ended == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert sorted(loops.ended) == ["/a", "/b"]

    played(story, monkeypatch)


def test_this_machine_is_read_unless_it_is_turned_off_or_configured(made):
    assert list(made(config(), host_metrics=True)._wanted) == ["", collectors.GPUS]
    configured = parse_config("sources: [{name: box, type: host, interval: 30s}]", "t.yaml", {}).config
    assert list(made(configured, host_metrics=True)._wanted) == ["box", collectors.GPUS]
    assert list(made(config())._wanted) == []
