"""Where the brokers of a configuration are: named in the file, or by a variable of the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tocsin.spec.config import Config, Fault
from tocsin.spec.source import KafkaSource, RedisSource, SourceSpec
from tocsin.spec.tree import Loc

KAFKA_VARIABLE: Final = "TOCSIN_KAFKA_BOOTSTRAP"
REDIS_VARIABLE: Final = "TOCSIN_REDIS_URL"


def with_brokers(config: Config, env: Mapping[str, str]) -> Config:
    """The configuration with the environment's brokers where a source names none.

    >>> from tocsin.spec.source import KafkaSource
    >>> bus = KafkaSource(name="bus", type="kafka", topics=["otlp_metrics"])
    >>> with_brokers(Config(sources=[bus]), {"TOCSIN_KAFKA_BOOTSTRAP": "a:9092,b:9092"}).sources[0].brokers
    ['a:9092', 'b:9092']
    """
    if config.cluster is not None and not config.cluster.brokers:
        named = config.cluster.model_copy(update={"brokers": _brokers(env)})
        config = config.model_copy(update={"cluster": named})
    if not any(isinstance(source, (KafkaSource, RedisSource)) for source in config.sources):
        return config
    return config.model_copy(update={"sources": [_named(source, env) for source in config.sources]})


def brokerless(config: Config, pipeline: Loc = ()) -> Iterator[Fault]:
    """Sources of which nobody says where their broker is; `pipeline` is the place to blame in a pipeline file."""
    for number, source in enumerate(config.sources):
        if isinstance(source, KafkaSource) and not source.brokers:
            say = f"no broker is named, so nothing is read: add `brokers: [HOST:PORT]` or set {KAFKA_VARIABLE}"
            yield pipeline or ("sources", number, "type"), say
        if isinstance(source, RedisSource) and not source.url:
            key = "`brokers: [redis://HOST:PORT]`" if pipeline else "`url: redis://HOST:PORT`"
            yield (
                pipeline or ("sources", number, "type"),
                f"no server is named, so nothing is read: add {key} or set {REDIS_VARIABLE}",
            )


def _brokers(env: Mapping[str, str]) -> list[str]:
    given = [broker.strip() for broker in env.get(KAFKA_VARIABLE, "").split(",")]
    return [broker for broker in given if broker]


def _named(source: SourceSpec, env: Mapping[str, str]) -> SourceSpec:
    if isinstance(source, KafkaSource) and not source.brokers:
        return source.model_copy(update={"brokers": _brokers(env)})
    if isinstance(source, RedisSource) and not source.url:
        return source.model_copy(update={"url": env.get(REDIS_VARIABLE, "").strip()})
    return source
