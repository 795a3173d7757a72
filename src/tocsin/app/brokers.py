"""Sources at brokers, kept running: the clients of Kafka and Redis are extras."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any

import structlog

from tocsin.ingest.broker_messages import MessageReader
from tocsin.ingest.edge import Edge
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.places import Places
from tocsin.model.series import MAIN_TENANT
from tocsin.spec.source import KafkaAccess, KafkaSource, RedisSource

_log = structlog.get_logger(__name__)


class Brokers:
    """Starts the loops of sources at brokers; `places` says what of theirs the log has already."""

    def __init__(self, edge: Edge, receiver: OtlpReceiver, places: Places) -> None:
        self._edge = edge
        self._receiver = receiver
        self._places = places

    def loop(self, source: KafkaSource | RedisSource) -> Coroutine[Any, Any, None] | None:
        """The loop that reads a source; None, and said why, where it can't be read."""
        if not (source.brokers if isinstance(source, KafkaSource) else source.url):
            _log.warning("no broker is named; nothing is read", source=source.name)
            return None
        try:
            return self._kafka(source) if isinstance(source, KafkaSource) else self._redis(source)
        except ModuleNotFoundError as missing:
            hint = f"pip install 'tocsin[{source.type}]'"
            _log.error("the client of this broker is not installed", source=source.name, module=missing.name, do=hint)
            return None

    def _reader(self, source: KafkaSource | RedisSource) -> MessageReader:
        name = self._edge.source_name(MAIN_TENANT, source.type, source.name)
        return MessageReader(name, self._edge, self._receiver, form=source.format, resource=source.resource)

    def _kafka(self, source: KafkaSource) -> Coroutine[Any, Any, None]:
        from tocsin.ingest.kafka import Cluster, read_topics  # noqa: PLC0415 - an extra

        cluster = Cluster(tuple(source.topics), source.group_id, client_settings(source), source.dead_letter)
        return read_topics(cluster, self._reader(source), self._edge, self._places, concurrency=source.concurrency)

    def _redis(self, source: RedisSource) -> Coroutine[Any, Any, None]:
        from tocsin.ingest.redis_streams import Group, read_streams  # noqa: PLC0415 - an extra

        group = Group(source.url, tuple(source.streams), source.group_id, f"tocsin-{socket.gethostname()}")
        return read_streams(group, self._reader(source), self._edge, self._places, concurrency=source.concurrency)


def client_settings(source: KafkaAccess) -> dict[str, Any]:
    """How librdkafka is told to reach a cluster.

    >>> from tocsin.spec.source import TlsSpec
    >>> client_settings(KafkaSource(name="b", type="kafka", topics=["t"], brokers=["k:9093"], tls=TlsSpec(ca="ca.pem")))
    {'bootstrap.servers': 'k:9093', 'security.protocol': 'SSL', 'ssl.ca.location': 'ca.pem'}
    """
    found: dict[str, Any] = {"bootstrap.servers": ",".join(source.brokers)}
    tls, sasl = source.tls, source.sasl
    if tls is not None or sasl is not None:
        found["security.protocol"] = ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT")
    if tls is not None:
        files = {"ssl.ca.location": tls.ca, "ssl.certificate.location": tls.certificate, "ssl.key.location": tls.key}
        found |= {name: path for name, path in files.items() if path}
    if sasl is not None:
        found |= {"sasl.mechanism": sasl.mechanism, "sasl.username": sasl.username, "sasl.password": sasl.password}
    return found
