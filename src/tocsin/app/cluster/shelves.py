"""Where the workers of a cluster keep snapshots: a directory that all of them see, or a bucket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tocsin.app.settings import plain_uploads
from tocsin.engine.snapshot import Snapshots
from tocsin.journal.directory import Directory
from tocsin.spec.cluster import S3, ClusterSpec


def snapshots_of(spec: ClusterSpec) -> Callable[[int], Snapshots]:
    """Snapshots by partition, at the place that a configuration names.

    Raises
    ------
    BadConfig
        There is no such bucket, or the file of credentials is not one.
    Unreachable
        The store does not answer, or refuses.
    """
    if not spec.snapshots.startswith(S3):
        home = Path(spec.snapshots) / spec.prefix
        return lambda number: Snapshots(Directory(home / str(number)))
    from tocsin.journal.bucket import BucketShelf, open_store  # noqa: PLC0415 - a client that most need not

    if spec.s3.endpoint:
        plain_uploads()
    store = open_store(spec.s3.region, spec.s3.endpoint, spec.s3.credentials_file, spec.s3.ca_file)
    shelf = BucketShelf(store, spec.snapshots.removeprefix(S3))
    shelf.check()
    return lambda number: Snapshots(shelf.at(spec.prefix, str(number)))


def look_at_bucket(spec: ClusterSpec) -> str:
    """Whether the bucket of a configuration answers, in words.

    Raises
    ------
    BadConfig, Unreachable
        It does not; see `snapshots_of`.
    """
    snapshots_of(spec)(0).oldest()
    return f"{spec.snapshots} answers"
