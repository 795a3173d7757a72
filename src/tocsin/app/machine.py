"""What a hot process stands on: the logs of one machine, or its part of a cluster."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Protocol

from tocsin.app.logs import open_logs
from tocsin.app.settings import ServeSettings
from tocsin.model.clock import Clock
from tocsin.model.errors import BadConfig
from tocsin.model.log import Entry, Log, Sink
from tocsin.model.series import Catalog
from tocsin.spec.config import Config

if TYPE_CHECKING:  # engines compile kernels: they are imported once the cache directory is set
    from tocsin.app.engines import Engine, LocalEngine

RECOVER_RECORDS = 5_000


class Machine(Protocol):
    """Where the edge appends, and what engine there is."""

    @property
    def sink(self) -> Sink:
        """What the edge appends to."""

    def tail(self) -> list[Entry]:
        """Last entries of the log: what an edge that comes back must know."""

    def engine(self) -> Engine:
        """What folds; asked for once."""

    def trouble(self) -> str:
        """Why findings wait, if they do."""

    def leave(self) -> None:
        """Hear that the edge appends nothing more."""

    def close(self) -> None:
        """Flush and close."""


class Alone:
    """One machine with its two logs."""

    def __init__(
        self, settings: ServeSettings, config: Config, catalog: Catalog, clock: Clock, stop: threading.Event
    ) -> None:
        self._settings, self._catalog, self._stop = settings, catalog, stop
        self._input, self._output = open_logs(settings.data_dir, catalog, clock, config.limits, _fatal)
        self._engine: LocalEngine | None = None

    @property
    def sink(self) -> Log:
        """The input log."""
        return self._input

    def tail(self) -> list[Entry]:
        """Last entries of the input log."""
        start = max(self._input.first(), self._input.end() - RECOVER_RECORDS)
        found: list[Entry] = []
        while records := self._input.read(start, 1024):
            found += [record.entry for record in records]
            start = records[-1].offset + 1
        return found

    def engine(self) -> LocalEngine:
        """The engine of this machine."""
        from tocsin.app.engines import LocalEngine  # noqa: PLC0415 - see above

        self._engine = LocalEngine(self._settings.data_dir, self._input, self._output, self._catalog, self._stop)
        return self._engine

    def trouble(self) -> str:
        """Why findings wait, if they do."""
        return self._engine.written.trouble if self._engine is not None else ""

    def leave(self) -> None:
        """Nobody waits for the only edge."""

    def close(self) -> None:
        """Flush and close both logs."""
        self._input.close()
        self._output.close()


def machine_of(
    settings: ServeSettings, config: Config, catalog: Catalog, clock: Clock, stop: threading.Event
) -> Machine:
    """What a process stands on, by its role and its configuration.

    Raises
    ------
    BadConfig
        The role asks for a cluster and none is configured, or the other way round.
    Unreachable
        No broker answers.
    """
    if config.cluster is None:
        if settings.role != "serve":
            raise BadConfig(f"`tocsin {settings.role}` is for a cluster: add `cluster:` to the configuration")
        return Alone(settings, config, catalog, clock, stop)
    if settings.role == "serve":
        raise BadConfig(
            "the configuration has a `cluster:`; start `tocsin worker` and `tocsin control`, or take it out"
        )
    try:
        from tocsin.app.cluster.member import Control, Worker  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as missing:
        raise BadConfig(
            f"a cluster needs the client of Kafka ({missing.name}): pip install 'tocsin[kafka]'"
        ) from missing
    if settings.role == "control":
        return Control(settings, config, catalog, clock, stop, _fatal)
    return Worker(settings, config.cluster, catalog, stop)


def _fatal(error: BaseException) -> None:
    """A log that can't be trusted ends the process: nothing may be acknowledged any more."""
    sys.stderr.write(f"the log can't be written: {error}; ending\n")
    sys.stderr.flush()
    os._exit(70)
