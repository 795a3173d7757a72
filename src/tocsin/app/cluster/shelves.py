"""Where the workers of a cluster keep snapshots: a directory that all of them see, a bucket, or a topic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.app.settings import plain_uploads
from tocsin.engine.snapshot import Snapshots
from tocsin.journal.directory import Directory
from tocsin.model.errors import BadConfig
from tocsin.model.shelf import Shelf
from tocsin.spec.cluster import S3, TOPIC, ClusterSpec

if TYPE_CHECKING:
    from tocsin.journal.kafka.topics import Topics

GROWTH: Final = "growth.json"
"""What is there while shards are moved to more partitions."""


class Shelves:
    """Snapshots by partition; `at` gives the shelf below the prefix of a cluster, and those below that."""

    def __init__(self, at: Callable[..., Shelf]) -> None:
        self._at = at

    def of(self, partition: int) -> Snapshots:
        """Snapshots of a partition."""
        return Snapshots(self.shelf(partition))

    def shelf(self, partition: int) -> Shelf:
        """The shelf of a partition."""
        return self._at(str(partition))

    def common(self) -> Shelf:
        """The shelf of all partitions together."""
        return self._at()

    def check(self) -> None:
        """See that workers may fold from here.

        Raises
        ------
        BadConfig
            Shards are on their way to other partitions.
        """
        if GROWTH in self.common().names():
            raise BadConfig(
                "shards are on their way to more partitions: `tocsin repartition` was begun and has not come to its end;"
                " run it once more"
            )


def shelves_of(spec: ClusterSpec) -> Shelves:
    """Snapshots at the place that a configuration names.

    Raises
    ------
    BadConfig
        There is no such bucket, or the file of credentials is not one.
    Unreachable
        The store does not answer, or refuses.
    """
    if spec.snapshots == TOPIC:
        topics = _topics_of(spec)
        topics.make_snapshots()
        return _in_topic(topics)
    if not spec.snapshots.startswith(S3):
        home = Path(spec.snapshots) / spec.prefix
        return Shelves(lambda *names: Directory(home.joinpath(*names)))
    from tocsin.journal.bucket import BucketShelf, open_store  # noqa: PLC0415 - a client that most need not

    if spec.s3.endpoint:
        plain_uploads()
    store = open_store(spec.s3.region, spec.s3.endpoint, spec.s3.credentials_file, spec.s3.ca_file)
    shelf = BucketShelf(store, spec.snapshots.removeprefix(S3))
    shelf.check()
    return Shelves(lambda *names: shelf.at(spec.prefix, *names))


def _topics_of(spec: ClusterSpec) -> Topics:
    from tocsin.app.cluster.links import topics_of  # noqa: PLC0415 - a client that one who keeps files need not have

    return topics_of(spec)


def _in_topic(topics: Topics) -> Shelves:
    from tocsin.journal.kafka.shelf import FileTopic, TopicShelf  # noqa: PLC0415 - as above

    return Shelves(TopicShelf(FileTopic(topics.settings, topics.snapshots)).at)


def look_at_snapshots(spec: ClusterSpec) -> str:
    """Whether the bucket or topic of a configuration answers, in words; makes nothing.

    Raises
    ------
    BadConfig, Unreachable
        It does not; see `shelves_of`.
    """
    if spec.snapshots != TOPIC:
        shelves_of(spec).common().names()
        return f"{spec.snapshots} answers"
    topics = _topics_of(spec)
    if topics.snapshots not in topics.counts():
        return f"brokers answer; the first worker makes topic {topics.snapshots}"
    policy = topics.cleanup(topics.snapshots)
    if policy is not None and "compact" not in policy.split(","):
        raise BadConfig(
            f"topic {topics.snapshots} has cleanup.policy={policy} and never forgets what is written anew in time: set it"
            " to compact"
        )
    _in_topic(topics).common().names()
    return f"topic {topics.snapshots} answers"
