"""What runs in the engine's place on a machine of a cluster: a worker's share, a mirror of the whole, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from tocsin.app.cluster.links import Links
from tocsin.app.cluster.mirror import Mirror
from tocsin.app.engines import IDLE_S, no_verdict
from tocsin.app.logs import INPUT, OUTPUT
from tocsin.app.progress import Progress
from tocsin.engine.group import Group
from tocsin.engine.passed import Stumbles
from tocsin.engine.snapshot import Snapshots
from tocsin.journal.kafka.feed import GroupFeed
from tocsin.journal.kafka.findings import FindingsTopic
from tocsin.journal.kafka.topics import asker, bounds
from tocsin.journal.log import SegmentLog
from tocsin.model.errors import DiskFull, Unreachable
from tocsin.model.log import Control
from tocsin.model.series import Catalog
from tocsin.selfmon.stopwatch import Stopwatch

RETRY_S = 1.0
_MS_NS = 1_000_000
_log = structlog.get_logger(__name__)


class EdgeOnly:
    """No engine: takes telemetry in and passes it on."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def catch_up(self) -> None:
        """There is nothing to fold here."""

    def run(self) -> None:
        """Wait until told to stop."""
        self._links.stop.wait()

    def knows(self, control: Control) -> bool:  # noqa: ARG002 - an engine's signature
        """The log is told what to watch by the control process."""
        return True

    def holds(self, sha256: str) -> bool:  # noqa: ARG002 - an engine's signature
        """Models come with what to watch."""
        return True

    def verdict(self, tenant: str, name: str) -> Mapping[str, Any]:
        """Nothing is known here of a run."""
        return no_verdict(tenant, name)

    def received(self) -> int:
        """No tick is folded here."""
        return 0

    def retain(self) -> None:
        """Topics have a retention of their own."""


class WorkerEngine(EdgeOnly):
    """Folds the partitions that the group gives this worker."""

    def __init__(self, links: Links, snapshots: Callable[[int], Snapshots]) -> None:
        super().__init__(links)
        spec, topics = links.spec, links.topics
        self._asker = asker(topics.settings, f"{spec.prefix}.bounds")
        feed = GroupFeed(topics, spec.group, spec.session // _MS_NS, links.writer, links.name)
        findings = FindingsTopic(topics, links.writer, links.stop)
        self._group = Group(
            feed,
            findings,
            snapshots,
            lambda number: bounds(self._asker, topics.log, number),
            Stopwatch(time.perf_counter),
            Stumbles(spec.tries, spec.passed_over),
        )

    def run(self) -> None:
        """Fold until told to stop, then hand over."""
        stop = self._links.stop
        while not stop.is_set():
            try:
                self._group.step()
            except Unreachable as away:
                _log.error("brokers or snapshots are away; folding goes on when they are back", reason=str(away))
                stop.wait(RETRY_S)
            except DiskFull:
                return
        self._group.close()
        self._asker.close()

    def received(self) -> int:
        """Time of the last tick of the partition that lies furthest behind; 0 while none is held."""
        folds = (self._group.shard(number) for number in self._group.partitions)
        return min((fold.received for fold in folds if fold is not None and fold.received), default=0)

    def verdict(self, tenant: str, name: str) -> Mapping[str, Any]:
        """What is known of a run, trace or session whose shard is folded here."""
        for number in self._group.partitions:
            fold = self._group.shard(number)
            for pipeline in list(fold.shards.values()) if fold is not None else ():
                found = pipeline.calls.verdict(tenant, name)
                if found.get("verdict") != "unknown":
                    return found
        return no_verdict(tenant, name)


class MirrorEngine(EdgeOnly):
    """Takes the log of the cluster, and what workers found in it, into the logs of this machine."""

    def __init__(
        self, links: Links, data_dir: Path, input_log: SegmentLog, output_log: SegmentLog, catalog: Catalog
    ) -> None:
        super().__init__(links)
        self._data_dir = data_dir
        self._logs = {INPUT: input_log, OUTPUT: output_log}
        self._mirror = Mirror(links.topics, input_log, output_log, catalog)
        self._told: set[str] = set()

    def catch_up(self) -> None:
        """What came meanwhile is taken over while all else runs already."""

    def run(self) -> None:
        """Take over until told to stop."""
        stop = self._links.stop
        while not stop.is_set():
            if not self._mirror.step():
                stop.wait(IDLE_S)
        self._mirror.close()

    def knows(self, control: Control) -> bool:
        """Whether this process told the log of a spec: at each start it does so once."""
        known = control.sha256 in self._told
        self._told = {control.sha256}
        return known

    def holds(self, sha256: str) -> bool:  # noqa: ARG002 - a worker that has the model passes it over
        """Models are told anew with each spec."""
        return False

    def retain(self) -> None:
        """Keep of the copies what the cold process still needs."""
        progress = Progress.read(self._data_dir)
        self._logs[INPUT].retain_from(progress.input)
        self._logs[OUTPUT].retain_from(progress.output)
