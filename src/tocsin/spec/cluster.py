"""`cluster:` - the shared log that several machines write and read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tocsin.spec.monitor import SECOND
from tocsin.spec.quantity import DurationNs
from tocsin.spec.source import KafkaAccess

Attribute = Annotated[str, Field(min_length=1, max_length=200)]


class ClusterSpec(KafkaAccess):
    """Topics `PREFIX.log`, `PREFIX.findings` and `PREFIX.dead`, and the directory that all workers keep snapshots in.

    A tenant is one shard, unless `shard_by` names attributes of resources: then each value of the first one that a
    resource has is a shard, and nothing is judged across them.
    """

    prefix: str = Field(default="tocsin", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", max_length=100)
    group: str = Field(default="tocsin-engine", min_length=1, max_length=200)
    partitions: int = Field(default=8, ge=1, le=1024)
    replication: int = Field(default=1, ge=1, le=9)
    shards: int = Field(default=64, ge=1, le=4096)
    shard_by: Annotated[list[Attribute], Field(max_length=5)] = []
    snapshots: str = Field(min_length=1)
    session: DurationNs = Field(default=30 * SECOND, ge=6 * SECOND, le=1800 * SECOND)
    retention: DurationNs = Field(default=7 * 86_400 * SECOND, ge=3600 * SECOND)
