"""What a process of a cluster holds of Kafka: the topics, who writes to them, and the log as its edge sees it."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from tocsin.app.brokers import client_settings
from tocsin.ingest.shards import ShardSplit
from tocsin.journal.kafka.sharded import ShardedLog
from tocsin.journal.kafka.topics import Topics
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.model.errors import Overloaded
from tocsin.model.series import Catalog
from tocsin.spec.cluster import ClusterSpec

_MS_NS = 1_000_000


class Links:
    """Connections of one process; each start has a name of its own, for a process that comes back is another edge."""

    def __init__(self, spec: ClusterSpec, catalog: Catalog, stop: threading.Event) -> None:
        self.spec = spec
        self.stop = stop
        self.name = f"{socket.gethostname()[:60]}-{os.getpid()}-{os.urandom(4).hex()}"
        self.topics = topics_of(spec)
        self.topics.make()
        self.writer = TopicWriter(self.topics.settings)
        split = ShardSplit(catalog, spec.shards, spec.shard_by)
        self.log = ShardedLog(self.topics, self.writer, catalog, self.name, split)

    def leave(self) -> None:
        """Say goodbye in the log, once nothing more is appended; brokers that take nothing now will miss this edge."""
        with suppress(Overloaded):
            self.log.leave()

    def close(self) -> None:
        """Flush what is queued and stop."""
        self.writer.close()


def topics_of(spec: ClusterSpec) -> Topics:
    """The topics that a configuration names."""
    return Topics(
        client_settings(spec), spec.prefix, spec.partitions, spec.replication, max(1, spec.retention // _MS_NS)
    )
