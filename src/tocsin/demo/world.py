"""`python -m tocsin.demo.world`: plays the demo world against a server, history first, then live."""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tocsin.demo.bot import Turn, World
from tocsin.demo.conditions import FAULTS
from tocsin.demo.delivery import Delivery, Page
from tocsin.demo.engine_page import RemoteWrite, exposition, families
from tocsin.demo.meters import ServiceMeters
from tocsin.demo.spans import SECOND_NS, BotSpans
from tocsin.demo.story import Story
from tocsin.model.clock import Clock
from tocsin.model.errors import TocsinError
from tocsin.selfmon.clock import PendingClock, ScaledClock, SystemClock

HISTORY_STEP_S = 60.0
_CHUNK_STEPS = 10
_SPANS_EVERY_S = 5.0
_DAY_S = 86_400.0
_INSTANCE = {"support-bot": "support-bot-5d8f7", "api-gateway": "api-gateway-77c4d", "billing": "billing-6b9c8"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the world was told."""

    otlp: str
    api: str
    key: str
    seed: int
    fault: str | None
    history_days: float
    interval_s: float
    push: bool
    port: int
    json: bool


class Teller:
    """Says what happens: JSON lines on stdout for a program, words on stderr for people."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self.console = Console(stderr=True)

    def say(self, event: str, text: str = "", **more: object) -> None:
        """One piece of news."""
        if self._json:
            sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
            sys.stdout.flush()
        elif text:
            self.console.print(text, highlight=False)


class Stage:
    """The world with everything that observes it."""

    def __init__(self, options: Options, origin_s: float, page: Page, delivery: Delivery) -> None:
        start_s = origin_s - round(options.history_days * _DAY_S / HISTORY_STEP_S) * HISTORY_STEP_S
        self.world = World(options.seed, start_s)
        resources = {
            name: Resource(
                {"service.name": name, "service.instance.id": instance, "deployment.environment.name": "demo"}
            )
            for name, instance in _INSTANCE.items()
        }
        self._spans = BotSpans(resources["support-bot"], options.seed)
        self._meters = ServiceMeters(resources)
        self._write = RemoteWrite(f"127.0.0.1:{page.port}")
        self._page = page
        self._delivery = delivery
        self._turns: list[Turn] = []

    def advance(self, until_s: float) -> None:
        """Let the world go on."""
        self._turns += self.world.advance(until_s)

    def sample(self, passed_s: float, *, live: bool, write: bool) -> None:
        """Read all meters now; the model server's go to its page (`live`), to remote write (`write`), or both."""
        self._meters.sample(self.world, passed_s)
        found = families(self.world)
        if live:
            self._page.body = exposition(found)
        if write:
            self._write.add(found, round(self.world.now_s * 1000))

    def send(self) -> None:
        """Deliver what has gathered."""
        turns, self._turns = self._turns, []
        self._delivery.send(
            self._meters.export(), self._spans.spans(turns), self._spans.logs(turns), self._write.take()
        )


def history(stage: Stage, origin_s: float, stop: threading.Event, teller: Teller, quiet: bool) -> None:
    """Replay the past, in event time and as fast as it is taken, a chunk at a time."""
    steps = round((origin_s - stage.world.start_s) / HISTORY_STEP_S)
    columns = (TextColumn("replaying history"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=teller.console, transient=True, disable=quiet) as bar:
        task = bar.add_task("history", total=steps)
        for step in range(1, steps + 1):
            # the last sample of the past is a step before live time begins, which samples at its start
            stage.advance(stage.world.start_s + step * HISTORY_STEP_S)
            if step < steps:
                stage.sample(HISTORY_STEP_S, live=False, write=True)
            if step % _CHUNK_STEPS == 0 or step == steps:
                stage.send()
                bar.update(task, completed=step)
                if step % (_CHUNK_STEPS * 36) == 0:
                    teller.say("history", done=round(step / steps, 3))
            if stop.is_set():
                return


class Live:
    """Live time: the clock says how far the world is, the story what happens in it."""

    def __init__(self, stage: Stage, options: Options, story: Story, delivery: Delivery, teller: Teller) -> None:
        self._stage, self._options, self._story = stage, options, story
        self._delivery, self._teller = delivery, teller
        self._origin_s = stage.world.now_s
        self._late_s = 0.0  # how long history took longer than the clock gave it: the story waits for it
        self._told: set[str] = set()

    def run(self, clock: Clock, stop: threading.Event, speed: float) -> None:
        """Play until told to stop."""
        self._late_s = max(0.0, clock.now() / SECOND_NS - self._origin_s)
        step = 0
        while not stop.is_set():
            at_s = step * _SPANS_EVERY_S
            behind_s = clock.now() / SECOND_NS - (self._origin_s + at_s)
            if behind_s < 0:
                stop.wait(min(1.0, -behind_s / speed))
                continue
            self.step(at_s)
            step += 1

    def step(self, since_s: float) -> None:
        """Go on to `since_s` after the start of live time; samples are due at multiples of the interval."""
        self._story.affect(self._stage.world.conditions, since_s - self._late_s)
        self._announce(since_s - self._late_s)
        self._stage.advance(self._origin_s + since_s)
        if since_s % self._options.interval_s == 0:
            self._stage.sample(self._options.interval_s, live=True, write=self._options.push)
        self._stage.send()

    def _announce(self, since_s: float) -> None:
        for decoy in self._story.decoys:
            if since_s >= decoy.at_s and self._first(decoy.what):
                at_s = self._origin_s + self._late_s + decoy.at_s
                self._delivery.event(decoy.kind, decoy.entity, decoy.what, at_s)
                self._teller.say(
                    "decoy", f"announced: {decoy.kind} of {decoy.entity}", kind=decoy.kind, since_s=since_s
                )
        if self._story.fault and since_s >= self._story.fault_at_s and self._first("fault"):
            self._teller.say(
                "fault", name=self._story.fault, time_s=self._origin_s + self._late_s + self._story.fault_at_s
            )
        if since_s >= self._story.over_at_s and self._first("over"):
            self._teller.say("over", since_s=since_s)

    def _first(self, what: str) -> bool:
        if what in self._told:
            return False
        self._told.add(what)
        return True


def play(
    options: Options,
    clock: Clock | None,
    origin_ns: int | None,
    speed: float,
    port_file: Path | None,
    started: Path | None = None,
) -> None:
    """Play history and live time; returns on SIGTERM or SIGINT.

    `started` is the file by which everybody who goes by the world's clock learns that it goes now.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    teller = Teller(options.json)
    page = Page(options.port)
    if port_file is not None:
        port_file.write_text(f"{page.port}\n")
    teller.say("listening", port=page.port)
    delivery = Delivery(options.otlp, options.api, options.key)
    if origin_ns is None:
        origin_ns = SystemClock().now()
    origin_s = origin_ns // SECOND_NS
    stage = Stage(options, float(origin_s), page, delivery)
    try:
        history(stage, float(origin_s), stop, teller, options.json)
        if started is not None:
            aside = started.with_suffix(".new")
            aside.write_text(str(SystemClock().now()))
            aside.replace(started)
            clock = PendingClock(origin_ns, speed, started)
        clock = clock or ScaledClock(origin_s * SECOND_NS, SystemClock().now(), speed)
        story = Story.of(options.seed, options.fault)
        teller.say("live", "history is replayed, the world is live", origin_s=origin_s, fault_at_s=story.fault_at_s)
        Live(stage, options, story, delivery, teller).run(clock, stop, speed)
    finally:
        delivery.close()
        page.close()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parsed = argparse.ArgumentParser(prog="python -m tocsin.demo.world", description=__doc__)
    add = parsed.add_argument
    add("--otlp", default="http://127.0.0.1:4318", help="where OTLP/HTTP is taken")
    add("--api", default="http://127.0.0.1:8642", help="main port: remote write and change events")
    add("--key", default="", help="key with scope ingest")
    add("--port", type=int, default=0, help="port of the model server's metrics; 0 takes a free one")
    add("--port-file", type=Path, help="file to write that port to")
    add("--seed", type=int, default=1)
    add("--fault", choices=sorted(FAULTS), default="prompt")
    add("--no-fault", action="store_true", help="the announced changes only")
    add("--history-days", type=float, default=3.0)
    add("--interval", type=float, default=15.0, help="seconds of event time between samples when live")
    add(
        "--push",
        action="store_true",
        help="when live, remote-write the model server's metrics instead of being scraped",
    )
    add("--speed", type=float, default=1.0, help="event time per wall time when live")
    add("--clock-origin-ns", type=int, help="event time at which live time begins")
    add("--clock-wall-ns", type=int, help="wall time at which event time was the origin")
    add("--clock-started", type=Path, help="file to write when live time begins; the clock stands until then")
    add("--clock-speed", type=float, help="as --speed")
    add("--with-parent", action="store_true", help="end when stdin ends")
    add("--json", action="store_true", help="say what happens in JSON lines on stdout")
    return parsed


def end_with_parent() -> None:
    """Watch stdin from now on: when whoever holds its other end is gone, by whatever death, so is this process."""

    def watch() -> None:
        ended = select.poll()
        ended.register(0, select.POLLIN | select.POLLHUP)
        while ended.poll() and os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the world; 3 if the server can't be reached."""
    told = parser().parse_args(arguments)
    if told.with_parent:
        end_with_parent()
    fault = None if told.no_fault else told.fault
    options = Options(
        told.otlp,
        told.api,
        told.key,
        told.seed,
        fault,
        told.history_days,
        told.interval,
        told.push,
        told.port,
        told.json,
    )
    speed = told.clock_speed or told.speed
    clock = None
    if told.clock_origin_ns is not None and told.clock_wall_ns is not None:
        clock = ScaledClock(told.clock_origin_ns, told.clock_wall_ns, speed)
    try:
        play(options, clock, told.clock_origin_ns, speed, told.port_file, told.clock_started)
    except TocsinError as e:
        sys.stderr.write(f"the demo world stops: {e}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
