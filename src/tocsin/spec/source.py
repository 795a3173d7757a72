"""Where telemetry is fetched from: the kinds of `sources:` (what is pushed to a port needs none)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.text import HttpUrl, pattern_with_value
from tocsin.spec.wire import ChangeRuleSpec, SignatureSpec


class SourceBase(Spec):
    """What all sources share; `lateness` is 0 for a source that delivers in order."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    resource: dict[str, str] = {}
    lateness: DurationNs | None = None


class PrometheusSource(SourceBase):
    """Scrapes Prometheus or OpenMetrics text from `targets` every `interval`."""

    type: Literal["prometheus"]
    targets: list[HttpUrl] = Field(min_length=1)
    interval: DurationNs = Field(default=15 * SECOND, ge=SECOND // 10)
    timeout: DurationNs | None = None  # None: the interval, at most 10 s
    headers: dict[str, str] = {}

    @property
    def timeout_ns(self) -> int:
        """How long one scrape may take."""
        return self.timeout if self.timeout is not None else min(self.interval, 10 * SECOND)


class LineRule(Spec):
    """Turns lines that match `pattern` (RE2) into points; without a group `value` each line counts 1."""

    signal: str = Field(min_length=1)
    pattern: Annotated[str, AfterValidator(pattern_with_value)]
    unit: str = "1"


class FileSource(SourceBase):
    """Follows a text file as logs; `rules` make points from its lines."""

    type: Literal["file"]
    path: str = Field(min_length=1)
    rules: list[LineRule] = []


class JsonlSource(SourceBase):
    """Follows a file of JSON lines, one point each."""

    type: Literal["jsonl"]
    path: str = Field(min_length=1)


class HostSource(SourceBase):
    """The metrics of the machine this runs on."""

    type: Literal["host"]
    interval: DurationNs = Field(default=10 * SECOND, ge=SECOND)


class NvmlSource(SourceBase):
    """The NVIDIA GPUs of the machine this runs on; with `optional` nothing is said while there never was a driver."""

    type: Literal["nvml"]
    optional: bool = False
    interval: DurationNs = Field(default=10 * SECOND, ge=SECOND)


class TlsSpec(Spec):
    """Encryption of a connection: files of the authorities to trust, and of one's own certificate and key."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


class SaslSpec(Spec):
    """A login at a Kafka cluster."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    username: str
    password: str = Field(repr=False)


class BrokerSource(SourceBase):
    """What sources at brokers share; `format` is told from a topic's name (`otlp_metrics`, ...) unless it is given."""

    group_id: str = Field(default="tocsin", min_length=1)
    concurrency: int = Field(default=1, ge=1, le=256)
    format: Literal["auto", "points", "metrics", "traces", "logs"] = "auto"


class KafkaAccess(Spec):
    """How a Kafka cluster is reached; without `brokers`, TOCSIN_KAFKA_BOOTSTRAP says."""

    brokers: list[str] = []
    tls: TlsSpec | None = None
    sasl: SaslSpec | None = None


class KafkaSource(KafkaAccess, BrokerSource):
    """Topics of a Kafka cluster; messages that can't be read go to `dead_letter`."""

    type: Literal["kafka"]
    topics: list[str] = Field(min_length=1)
    dead_letter: str = ""


class RedisSource(BrokerSource):
    """Streams of a Redis server; `url` (redis:// or rediss://) or TOCSIN_REDIS_URL."""

    type: Literal["redis"]
    streams: list[str] = Field(min_length=1)
    url: str = Field(default="", repr=False)


class WebhookSource(SourceBase):
    """Change events that a system posts to `/api/events/FORMAT`, signed with `secret` where there is one.

    `entities` names what a sender calls otherwise: its name of a repository or project to that of the service.
    `changes` are rules for payloads that no pack knows, tried before those of packs; `signature` says how they are signed.
    """

    type: Literal["webhook"]
    format: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)
    secret: str = Field(default="", repr=False)
    entities: dict[str, str] = {}
    changes: list[ChangeRuleSpec] = []
    signature: SignatureSpec | None = None


SourceSpec: TypeAlias = Annotated[
    PrometheusSource | FileSource | JsonlSource | HostSource | NvmlSource | KafkaSource | RedisSource | WebhookSource,
    Field(discriminator="type"),
]
"""Any source, told apart by its `type`."""
