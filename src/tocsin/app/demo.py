"""`tocsin demo`: a server, a world beside it that goes wrong, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2
import yaml

from tocsin.app.passing import passing_dir
from tocsin.app.serve import serve
from tocsin.app.settings import ClockSettings, ServeSettings, environment
from tocsin.model.errors import Unreachable
from tocsin.model.times import time_to_json
from tocsin.selfmon.clock import SystemClock
from tocsin.selfmon.logs import set_up
from tocsin.spec.load import Loaded, load_config
from tocsin.spec.packs import load_packs

SPEED = 20.0
HEADLESS_SPEED = 40.0
"""Nobody watches: only the answer counts."""
STORY_NS = 19 * 60 * 10**9
"""Event time from the start of live time to the end of the longest story."""
LOOK_S = 1.0
CALM_LOOKS = 2
BEHIND_S = 300.0
"""However slow the machine: what has not been looked at by then is not waited for."""
LITTLE_RECORDS = 32.0
"""Records that may wait in a log that goes on growing."""
GRACE_S = 5.0
_LAGS = 4
"""Of the engine, of the store in both logs, and of incidents."""


def run_demo(
    *,
    seed: int,
    fault: str | None,
    headless: bool,
    as_json: bool,
    speed: float | None,
    history_days: float,
    port: int,
    data_dir: Path | None,
    say: Callable[[str], None],
) -> int:
    """Run the demo; gives the exit code.

    The world's clock starts in the past, so far that it has caught up with the wall clock when the story is told:
    no event is ever stamped in the future, and afterwards the world goes on as it is, live.
    """
    set_up("demo")
    pace = (HEADLESS_SPEED if headless else SPEED) if speed is None else speed
    with ExitStack() as stack:
        if data_dir is None:
            data_dir, _ = stack.enter_context(passing_dir("demo-"))
        data_dir.mkdir(parents=True, exist_ok=True)
        metrics_port = _free_port()
        lead_ns = round(STORY_NS * max(0.0, 1 - 1 / pace))
        clock = ClockSettings(
            origin_ns=SystemClock().now() - lead_ns, started=data_dir / "world-started", speed=max(pace, 1e-3)
        )
        clock.started.unlink(missing_ok=True)
        config = _config_file(data_dir, metrics_port)
        settings = ServeSettings(
            data_dir=data_dir,
            run_dir=Path("/"),
            port=_free_port() if headless else port,
            otlp_http_port=0,
            otlp_grpc_port=0,
            config_path=config.path,
            host_metrics=not headless,
            page=not headless,
            clock=clock,
        )
        world = _World(seed, fault, metrics_port, clock, history_days, say, quiet=as_json)
        return serve(
            settings,
            config.loaded,
            SystemClock(),
            say=lambda line: None if headless else _line(line),
            beside=lambda ready: world.play(ready, headless=headless, as_json=as_json),
        )


class _Written:
    """The demo's configuration as a file, and as loaded."""

    def __init__(self, path: Path, loaded: Loaded) -> None:
        self.path = path
        self.loaded = loaded


def _config_file(data_dir: Path, metrics_port: int) -> _Written:
    path = data_dir / "demo.yaml"
    target = f"http://127.0.0.1:{metrics_port}/metrics"
    source = {"name": "model-server", "type": "prometheus", "targets": [target], "interval": "15s"}
    path.write_text(yaml.safe_dump({"sources": [source]}))
    return _Written(path, load_config(path, environment(), load_packs()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _caught_up(client: httpx2.AsyncClient) -> None:
    """Wait until everything that was told is judged, stored and folded into incidents, some looks in a row.

    Raises
    ------
    Unreachable
        It takes longer than `BEHIND_S`.
    """
    calm = 0
    for _ in range(round(BEHIND_S / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        with contextlib.suppress(httpx2.HTTPError):  # a busy machine: the next look tells the same
            text = (await client.get("/metrics")).text
            lines = (line.rpartition(" ") for line in text.splitlines())
            lags = [float(value) for name, _, value in lines if "_lag_records" in name and not name.startswith("#")]
            calm = calm + 1 if len(lags) >= _LAGS and max(lags) <= LITTLE_RECORDS else 0
        if calm > CALM_LOOKS:
            return
    raise Unreachable(
        f"the machine is too slow for this pace: still behind after {BEHIND_S:g} s; give --speed a lower one"
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the world; it may be in the middle of insisting on a delivery."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


class _World:
    """The world's process, and what is told of it."""

    def __init__(
        self,
        seed: int,
        fault: str | None,
        metrics_port: int,
        clock: ClockSettings,
        history_days: float,
        say: Callable[[str], None],
        *,
        quiet: bool,
    ) -> None:
        self._arguments = ["--seed", str(seed), "--port", str(metrics_port), "--json"]
        self._arguments += ["--no-fault"] if fault is None else ["--fault", fault]
        self._arguments += ["--clock-origin-ns", str(clock.origin_ns), "--clock-speed", str(clock.speed)]
        self._arguments += ["--clock-started", str(clock.started), "--history-days", str(history_days)]
        self._origin = time_to_json(clock.origin_ns)
        self._say = say
        self._quiet = quiet
        self._shown: set[str] = set()

    async def play(self, server: ServeSettings, *, headless: bool, as_json: bool) -> int:
        """Play until the story is over (headless) or for ever; print what was found."""
        program = [
            sys.executable,
            "-m",
            "tocsin.demo.world",
            "--with-parent",
            "--otlp",
            server.url,
            "--api",
            server.url,
        ]
        program += self._arguments
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe)
        assert process.stdout is not None
        watchers: list[asyncio.Task[None]] = []
        try:
            async with httpx2.AsyncClient(base_url=server.url, timeout=120.0) as client:
                watchers.append(asyncio.create_task(self._watch(client)))
                if not await self._told(process.stdout, headless=headless):
                    code = await process.wait()
                    if code or headless:
                        raise Unreachable(f"the demo world ended with {code}; its messages are above")
                await _caught_up(client)  # the world goes on: one that ends is an incident of its own
                return await self._show(client, as_json=as_json)
        finally:
            for task in watchers:
                task.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            await _end(process)

    async def _told(self, lines: asyncio.StreamReader, *, headless: bool) -> bool:
        """Tell what happens until the story is over (headless) or the world ends; whether it was told whole."""
        async for line in lines:
            news = json.loads(line)
            self._tell(news)
            if headless and news.get("event") == "over":
                return True
        return False

    def _tell(self, news: dict[str, object]) -> None:
        if self._quiet:
            return
        event = news.get("event")
        if event == "history":
            self._say(f"replaying history: {float(str(news['done'])):.0%}")
        elif event == "live":
            self._say("history is replayed; the world is live")
        elif event == "decoy":
            self._say(f"announced: {news['kind']}")
        elif event == "over":
            self._say("the story is over")

    async def _watch(self, client: httpx2.AsyncClient) -> None:
        """Say when an incident appears."""
        while True:
            await asyncio.sleep(1.0)
            try:  # not exported: that would fill the record of who did what
                answer = await client.get("/api/incidents", params={"limit": 200})
                answer.raise_for_status()
                incidents = answer.json()["incidents"]
            except httpx2.HTTPError:
                continue  # a busy machine, or one that is just stopping: the next look tells the same
            for incident in incidents:
                if incident["id"] not in self._shown and not self._quiet:
                    self._shown.add(str(incident["id"]))
                    self._say(
                        f"incident: {incident['title']}\n          {str(client.base_url).rstrip('/')}/incidents/{incident['id']}"
                    )

    async def _incidents(self, client: httpx2.AsyncClient) -> list[dict[str, object]]:
        answer = await client.get("/api/export/incidents", params={"format": "jsonl"})
        answer.raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines() if line]

    async def _show(self, client: httpx2.AsyncClient, *, as_json: bool) -> int:
        # what was out of line in replayed history pages nobody and is no part of the story
        incidents = [found for found in await self._incidents(client) if str(found["opened_at"]) >= self._origin]
        if as_json:
            _line(json.dumps({"incidents": incidents}))
            return 0
        for incident in incidents:
            causes = incident["causes"]
            assert isinstance(causes, list)
            _line(f"{incident['severity']}: {incident['title']}")
            for cause in causes[:3]:
                _line(f"  {cause['score']:.2f} {cause['kind']} {cause['entity']}: {cause['what']}")
        if not incidents:
            _line("no incident")
        return 0
