"""What the hot process of a cluster's machine stands on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.app.cluster.links import Links
from tocsin.app.cluster.shelves import shelves_of
from tocsin.app.logs import open_logs
from tocsin.app.settings import ServeSettings
from tocsin.model.clock import Clock
from tocsin.model.log import Entry, Sink
from tocsin.model.series import Catalog
from tocsin.spec.cluster import ClusterSpec
from tocsin.spec.config import Config

if TYPE_CHECKING:  # engines compile kernels: they are imported once the cache directory is set
    from tocsin.app.engines import Engine


class Worker:
    """An edge, and a share of the engine unless it is turned off."""

    def __init__(self, settings: ServeSettings, spec: ClusterSpec, catalog: Catalog, stop: threading.Event) -> None:
        self._shelves = shelves_of(spec) if settings.engine else None
        if self._shelves is not None:
            self._shelves.check()
        self._links = Links(spec, catalog, stop)

    @property
    def sink(self) -> Sink:
        """The shared log."""
        return self._links.log

    def tail(self) -> list[Entry]:
        """Nothing: an edge that comes back is a new one."""
        return []

    def engine(self) -> Engine:
        """The worker's share, or nothing."""
        from tocsin.app.cluster.engines import EdgeOnly, WorkerEngine  # noqa: PLC0415 - see above

        return EdgeOnly(self._links) if self._shelves is None else WorkerEngine(self._links, self._shelves.of)

    def trouble(self) -> str:
        """Why findings wait, if they do."""
        return ""

    def leave(self) -> None:
        """Say goodbye: the others' time waits no longer for this edge."""
        self._links.leave()

    def close(self) -> None:
        """Flush what is queued."""
        self._links.close()


class Control:
    """An edge, and a mirror of the whole in the logs of this machine."""

    def __init__(
        self,
        settings: ServeSettings,
        config: Config,
        catalog: Catalog,
        clock: Clock,
        stop: threading.Event,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        assert config.cluster is not None
        self._settings = settings
        self._mirrored = Catalog()
        self._links = Links(config.cluster, catalog, stop)
        self._input, self._output = open_logs(settings.data_dir, self._mirrored, clock, config.limits, on_fatal)

    @property
    def sink(self) -> Sink:
        """The shared log."""
        return self._links.log

    def tail(self) -> list[Entry]:
        """Nothing: an edge that comes back is a new one."""
        return []

    def engine(self) -> Engine:
        """The mirror."""
        from tocsin.app.cluster.engines import MirrorEngine  # noqa: PLC0415 - see above

        return MirrorEngine(self._links, self._settings.data_dir, self._input, self._output, self._mirrored)

    def trouble(self) -> str:
        """Why findings wait, if they do."""
        return ""

    def leave(self) -> None:
        """Say goodbye: the others' time waits no longer for this edge."""
        self._links.leave()

    def close(self) -> None:
        """Flush and close."""
        self._links.close()
        self._input.close()
        self._output.close()
