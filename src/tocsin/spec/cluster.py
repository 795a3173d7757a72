"""`cluster:` - the shared log that several machines write and read."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.source import KafkaAccess

Attribute = Annotated[str, Field(min_length=1, max_length=200)]
S3: Final = "s3://"
TOPIC: Final = "topic"
"""What `snapshots` says for the topic `PREFIX.snapshots`; a directory of that name is `./topic`."""
TRIES: Final = 3
"""So often an entry of a log is folded before it is passed over; on one machine as well."""
PASSED_OVER: Final = 100
"""So many entries of what a log keeps are passed over; more, and the fault is not theirs."""
_BUCKET: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/=-]*)?")


def _place(text: str) -> str:
    if text.startswith(S3) and not _BUCKET.fullmatch(text):
        raise ValueError("not a place in a bucket; write it like s3://bucket/prefix, and credentials never into it")
    return text


def is_server(address: str) -> bool:
    """Whether a text is the address of a server, without a path or a user.

    >>> [is_server(each) for each in ("http://control:8642", "https://c.example.org/", "control:8642", "http://a:b@c")]
    [True, True, False, False]
    """
    parts = urlsplit(address)
    bare = not (parts.username or parts.query or parts.fragment) and parts.path in ("", "/")
    return parts.scheme in ("http", "https") and bool(parts.hostname) and bare


def _endpoint(text: str) -> str:
    if text and not is_server(text):
        raise ValueError("not the address of a store; write it like https://minio.example.org:9000")
    return text


def _control(text: str) -> str:
    if text and not is_server(text):
        raise ValueError("not the address of control; write it like http://control:8642")
    return text.rstrip("/")


class BucketSpec(Spec):
    """How the store is reached that `snapshots: s3://...` names; all of it may be left out for Amazon's own.

    Credentials are those that Amazon's clients find: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, the
    machine's role; or those of `credentials_file`, a mounted secret with a section `[default]` as such a profile has.
    """

    region: str = Field(default="", pattern=r"^[a-z0-9-]*$")
    endpoint: Annotated[str, AfterValidator(_endpoint)] = ""
    credentials_file: str = ""
    ca_file: str = ""


class ClusterSpec(KafkaAccess):
    """Topics `PREFIX.log`, `PREFIX.findings` and `PREFIX.dead`, and where all workers keep snapshots.

    `snapshots` is a directory, `s3://BUCKET/PREFIX`, or the word `topic`: the topic `PREFIX.snapshots`. `shared` is a directory with what all machines must agree on
    besides: `redaction.key` and `keys.json`. Without it, that is the directory of snapshots.

    An entry of the log that can't be folded is tried `tries` times and then passed over and kept in `PREFIX.dead`; more
    than `passed_over` of what a partition keeps stop the worker.

    `control` is the address of control, which replicas hand on to what they can't do.

    A tenant is one shard, unless `shard_by` names attributes of resources: then each value of the first one that a
    resource has is a shard, and nothing is judged across them.
    """

    prefix: str = Field(default="tocsin", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", max_length=100)
    group: str = Field(default="tocsin-engine", min_length=1, max_length=200)
    partitions: int = Field(default=8, ge=1, le=1024)
    replication: int = Field(default=1, ge=1, le=9)
    shards: int = Field(default=64, ge=1, le=4096)
    shard_by: Annotated[list[Attribute], Field(max_length=5)] = []
    snapshots: Annotated[str, Field(min_length=1), AfterValidator(_place)]
    s3: BucketSpec = BucketSpec()
    shared: str = ""
    control: Annotated[str, AfterValidator(_control)] = ""
    session: DurationNs = Field(default=30 * SECOND, ge=6 * SECOND, le=1800 * SECOND)
    retention: DurationNs = Field(default=7 * 86_400 * SECOND, ge=3600 * SECOND)

    tries: int = Field(default=TRIES, ge=1, le=100)
    passed_over: int = Field(default=PASSED_OVER, ge=0, le=100_000)

    @property
    def shared_dir(self) -> str:
        """The directory with the key of redaction and the keys of callers."""
        return self.shared or self.snapshots

    @model_validator(mode="after")
    def _whole(self) -> ClusterSpec:
        if self.s3 != BucketSpec() and not self.snapshots.startswith(S3):
            raise ValueError("`s3` says how a bucket is reached, and `snapshots` names none; write s3://bucket/prefix")
        if (self.snapshots == TOPIC or self.snapshots.startswith(S3)) and not self.shared:
            place = "a topic" if self.snapshots == TOPIC else "a bucket"
            raise ValueError(
                f"with snapshots in {place}, say where all machines find the key of redaction: `shared: DIR`, a directory"
                " that all of them see, or a mounted secret with the redaction.key that `tocsin key redaction` makes"
            )
        return self
