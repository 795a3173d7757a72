"""From the command line of `tocsin replica` to one process that answers until a signal."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import structlog

from tocsin.api.app import control_app
from tocsin.app.child import die_with_any_thread
from tocsin.app.keys import KeyRing
from tocsin.app.lean import without_pandas
from tocsin.app.listener import Listener
from tocsin.app.passing import passing_dir
from tocsin.app.ports import bind
from tocsin.app.reload import ConfigFile
from tocsin.app.replica.front import ReplicaFront
from tocsin.app.replica.onward import Onward
from tocsin.app.replica.reading import Reading
from tocsin.app.selfcheck import SelfCheck, looks_of_stores, told
from tocsin.app.settings import ServeSettings, is_loopback
from tocsin.model.clock import Clock
from tocsin.model.errors import BadConfig, TocsinError
from tocsin.spec.cluster import is_server
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs

_log = structlog.get_logger(__name__)
NO_CONTROL: Final = "a replica hands on to control what only control can do: say where it is with --control URL"
NOT_MADE: Final = "the tables of telemetry are not made yet: the process that stores makes them at its start"


def control_address(said: str, config: Config) -> str:
    """Where control is: what was said, else what the configuration says.

    Raises
    ------
    BadConfig
        Nobody says, or it is no address of a server.
    """
    address = (said or (config.cluster.control if config.cluster is not None else "")).rstrip("/")
    if not address:
        raise BadConfig(NO_CONTROL)
    if not is_server(address):
        raise BadConfig("what was said is no address of control; write it like http://control:8642")
    return address


def need_a_key(settings: ServeSettings, clock: Clock) -> None:
    """See to it that a bind that others can reach has a key; none is made here, as control would not know it.

    Raises
    ------
    BadConfig
        There is none.
    """
    if settings.insecure and not is_loopback(settings.host):
        _log.warning("--insecure: everybody who reaches this address may read everything", host=settings.host)
    elif not settings.open_access and not KeyRing(settings.keys_path, clock).list():
        raise BadConfig(
            f"{settings.host} is reached by others and {settings.keys_path} has no key: put control's keys.json there,"
            " which `tocsin key create --data DIR` makes"
        )


class _Ready:
    """Whether the telemetry store has tables to be read; once it has, it is asked no more."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._made = False

    def __call__(self) -> Sequence[str]:
        """What is waited for."""
        if not self._made:
            try:
                self._made = self._reading.telemetry.made()
            except TocsinError as error:
                return [str(error)]
        return [] if self._made else [NOT_MADE]


def run_replica(
    wanted: ServeSettings, control: str, env: Mapping[str, str], clock: Clock, *, say: Callable[[str], None] = print
) -> int:
    """Answer until a signal; gives the exit code. `wanted.run_dir` is replaced by a fresh private one.

    Raises
    ------
    BadConfig
        The port is taken, there is no key, or the configuration names no stores that are shared.
    Unreachable, Corrupt
        A store can't be read.
    """
    die_with_any_thread()
    without_pandas()
    with ExitStack() as stack:
        listener = stack.enter_context(bind(wanted.host, wanted.port, "--port"))
        run_dir, _ = stack.enter_context(passing_dir(""))
        packs = load_packs()
        settings = wanted.model_copy(update={"run_dir": run_dir, "main_fd": listener.fileno()})
        file = stack.enter_context(closing(ConfigFile(settings, env, packs)))
        config = file.start()
        if config.cluster is not None:
            settings = settings.model_copy(update={"shared_dir": Path(config.cluster.shared_dir)})
        need_a_key(settings, clock)
        address = control_address(control, config)
        reading = stack.enter_context(closing(Reading(settings, file, packs, env, clock)))
        return asyncio.run(_serve(reading, address, say))


async def _serve(reading: Reading, control: str, say: Callable[[str], None]) -> int:
    settings, stop = reading.settings, threading.Event()
    looks = {**looks_of_stores(reading.telemetry, reading.state), "control": reading.heard.away}
    health = SelfCheck(looks, lambda: reading.file.config.health_check_interval, stop)
    deps = reading.deps()
    app = control_app(deps)
    front = ReplicaFront(
        app,
        Onward(app, control),
        allowed_hosts=deps.allowed_hosts,
        waiting=_Ready(reading),
        health=lambda: told(health.found),
    )
    server = Listener(front, fd=settings.main_fd)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, reading.file.poke)
    looking = threading.Thread(target=health.run, name="health")
    looking.start()
    reading.file.watch(reading.adopt)
    running = asyncio.create_task(server.run())
    await server.listening()
    say(f"ready: {settings.url}")
    await asyncio.wait({asyncio.create_task(ended.wait()), running}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    app.state.places.end()
    server.stop()
    await running
    await asyncio.to_thread(looking.join)
    return 0
