"""From the command line of `tocsin serve` to two running processes: checks first, then ports, then supervision."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import structlog

from tocsin.app.datadir import lock_data_dir
from tocsin.app.keys import KeyRing
from tocsin.app.passing import passing_dir, sweep
from tocsin.app.ports import bind, holder
from tocsin.app.settings import ServeSettings, is_loopback
from tocsin.app.supervise import MODULES, PACE, Pace, Supervisor, make_secret
from tocsin.model.access import Scope
from tocsin.model.clock import Clock
from tocsin.model.errors import BadConfig

if TYPE_CHECKING:
    from tocsin.spec.load import Loaded

_log = structlog.get_logger(__name__)

Beside: TypeAlias = Callable[[ServeSettings], Coroutine[object, object, int]]
"""What runs beside a server that is ready; gives an exit code."""


def serve(
    wanted: ServeSettings,
    loaded: Loaded | None,
    clock: Clock,
    *,
    say: Callable[[str], None] = print,
    commands: Mapping[str, Sequence[str]] = MODULES,
    pace: Pace = PACE,
    duration_s: float | None = None,
    beside: Beside | None = None,
) -> int:
    """Run the server until a signal; gives the exit code. `wanted.run_dir` is replaced by a fresh private one.

    With `duration_s` it ends by itself, so long after it was ready. `beside` runs from the moment when it is ready;
    when it returns, the server ends, and its exit code is that of both.

    `say` takes the lines that scripts read: `key: KEY` when a first key had to be made, and `ready: URL`.

    Raises
    ------
    BadConfig
        The main port is taken, the data directory is in use or can't be written, or an open bind has no key.
    """
    with ExitStack() as stack:
        lock = lock_data_dir(wanted.data_dir)
        stack.callback(os.close, lock)
        listeners = _listen(wanted, stack)
        if loaded is not None and loaded.config.cluster is not None:
            from tocsin.app.logs import share_redaction_key  # noqa: PLC0415 - heavy, and most have no cluster

            shared = Path(loaded.config.cluster.shared_dir)
            share_redaction_key(wanted.data_dir, shared)
            wanted = wanted.model_copy(update={"shared_dir": shared})
        ready_key(wanted, clock, say)  # not for a server that can't start: the key is shown once
        sweep()
        run_dir, run_lock = stack.enter_context(passing_dir(""))
        settings = wanted.model_copy(
            update={"run_dir": run_dir, "internal_secret": make_secret(), **_descriptors(listeners)}
        )
        settings.write()
        if loaded is not None:
            from tocsin.app.reload import remember  # noqa: PLC0415 - heavy; a supervisor without a file is small

            remember(settings, loaded)
        supervisor = Supervisor(
            settings,
            commands=commands,
            pass_fds=[lock, run_lock, *(listener.fileno() for listener in listeners.values())],
            pace=pace,
            on_ready=lambda: say(f"ready: {settings.url if settings.port else 'the main port is off'}"),
            on_drain=lambda: _close(listeners),
            duration_s=duration_s,
        )
        if beside is None:
            return asyncio.run(supervisor.run())
        return asyncio.run(_run_beside(supervisor, beside(settings)))


async def _run_beside(supervisor: Supervisor, companion: Coroutine[object, object, int]) -> int:
    """Supervise until a signal or until the companion, which starts when the server is ready, has ended."""
    serving = asyncio.create_task(supervisor.run())
    ready = asyncio.create_task(supervisor.ready.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    if not supervisor.ready.is_set():
        companion.close()
        ready.cancel()
        return await serving
    accompanying = asyncio.create_task(companion)
    stopping = asyncio.create_task(supervisor.stopping.wait())
    await asyncio.wait({accompanying, stopping}, return_when=asyncio.FIRST_COMPLETED)
    ended = accompanying.done()
    if ended:
        supervisor.stop()
    else:
        accompanying.cancel()
        await asyncio.gather(accompanying, return_exceptions=True)
    stopping.cancel()
    served = await serving  # in good order, also where the companion failed
    code = accompanying.result() if ended else 0
    return served or code


def ready_key(settings: ServeSettings, clock: Clock, say: Callable[[str], None]) -> None:
    """See to it that a bind that others can reach has a key; the first is made here and shown once."""
    if settings.insecure and not is_loopback(settings.host):
        _log.warning("--insecure: everybody who reaches this address may do everything", host=settings.host)
        return
    keys = KeyRing(settings.keys_path, clock)
    if settings.open_access or keys.list():
        return
    try:
        key = keys.create(Scope.ADMIN)
    except OSError as error:
        raise BadConfig(
            f"{settings.keys_path} is not there and can't be made ({(error.strerror or str(error)).lower()}), and others"
            " reach this address: `tocsin key create --scope admin --data keys` makes keys/keys.json, to be put there"
        ) from error
    _log.warning("a first key was made because others can reach this address; it is not shown again")
    say(f"key: {key}")


def _listen(settings: ServeSettings, stack: ExitStack) -> dict[str, socket.socket]:
    """Bind the HTTP ports: the main one must be had, the others are done without."""
    listeners: dict[str, socket.socket] = {}
    if settings.port:
        listeners["main_fd"] = stack.enter_context(bind(settings.host, settings.port, "--port"))
    if settings.otlp_http_port:
        try:
            listener = bind(settings.host, settings.otlp_http_port, "--otlp-http-port")
        except BadConfig as error:
            _log.warning("no OTLP/HTTP on its own port; the main port takes it as well", reason=str(error))
        else:
            listeners["otlp_http_fd"] = stack.enter_context(listener)
    if not listeners and not settings.otlp_grpc_port:
        raise BadConfig("all ports are off, so nothing could ever arrive; give --port, --otlp-http-port or others")
    return listeners


def _descriptors(listeners: Mapping[str, socket.socket]) -> dict[str, int]:
    return {name: listener.fileno() for name, listener in listeners.items()}


def _close(listeners: Mapping[str, socket.socket]) -> None:
    for listener in listeners.values():
        listener.close()


def grpc_taken(settings: ServeSettings) -> str:
    """Why OTLP/gRPC can't have its port, for the warning of the process that failed to bind it."""
    who = holder(settings.otlp_grpc_port)
    return f"port {settings.otlp_grpc_port} is taken{f' by {who}' if who else ''}; OTLP/gRPC is off"


def print_line(text: str) -> None:
    """Write a line that scripts wait for, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
