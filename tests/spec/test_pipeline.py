"""The pipeline file loads unchanged."""

from __future__ import annotations

import pytest

from pipeline_file import PIPELINE
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

S = 10**9


def read(text):
    return parse_config(text, "p.yaml", {})


def test_it_becomes_a_configuration():
    loaded = read(PIPELINE)
    config = loaded.config
    (monitor,) = config.monitors
    assert (monitor.window.size, monitor.window.step, monitor.window.min_samples) == (60 * S, 10 * S, 15)
    assert (monitor.signal, monitor.detect.name) == ("*", "onnx")
    assert (monitor.detect.onnx.path, monitor.detect.onnx.fallback) == ("/models/temporal_autoencoder.onnx", "baseline")
    assert (config.sources[0].type, config.sources[0].topics, config.sources[0].concurrency) == (
        "kafka", ["telemetry.metrics"], 4,
    )  # fmt: skip
    assert (config.destinations[0].type, config.routes[0].cooldown, config.dry_run) == ("slack", 300 * S, True)
    assert (config.severity.warning, config.severity.critical) == (1.5, 2.5)
    assert (monitor.detect.onnx.drift_test, monitor.detect.onnx.drift_threshold) == ("psi", 0.2)
    (warning,) = map(str, loaded.warnings)
    assert warning.startswith(
        "p.yaml:2:23: warning: no broker is named, so nothing is read: add `brokers: [HOST:PORT]`"
    )


def test_without_a_model_there_is_no_input_to_watch():
    text = "pipeline:\n  ingestion: {source: kafka, topic: t}\n  monitoring: {drift_test: ks}\n"
    (_, warning) = read(text).warnings
    assert "only what a model is given is watched for drift" in str(warning)


def test_how_often_the_server_looks_at_itself_is_taken_over():
    text = "pipeline:\n  ingestion: {source: kafka, topic: t}\n  monitoring: {health_check_interval: 45s}\n"
    loaded = read(text)
    assert loaded.config.health_check_interval == 45 * S
    assert not [each for each in loaded.warnings if "drift" in str(each)]
    assert read(PIPELINE).config.health_check_interval == 10 * S


def test_for_redis_only_the_source_changes():
    config = read(PIPELINE.replace("source: kafka", "source: redis")).config
    assert (config.sources[0].type, config.sources[0].streams) == ("redis", ["telemetry.metrics"])


def test_a_webhook_that_is_not_slack():
    config = read(PIPELINE.replace("hooks.slack.com", "example.org")).config
    assert config.destinations[0].type == "webhook"


def test_brokers_may_stand_beside():
    assert read(PIPELINE + "brokers: a:9092\n").config.sources[0].brokers == ["a:9092"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("step_ms: 10000", "step_ms: 7000", "p.yaml:3:40: `size_ms` must be a whole multiple of `step_ms`"),
        ("source: kafka", "source: kafak", "p.yaml:2:23: `kafak` is not known here; did you mean `kafka`?"),
        ("1000_points", "1000", "p.yaml:4:66: text is needed here, found 1000; put it in quotes"),
        ("1000_points", "often", "p.yaml:4:66: 'often' is not a frequency; write it like 1000_points"),
        ("cooldown_ms", "cooldwn_ms", "p.yaml:7:5: unknown key `cooldwn_ms`; did you mean `cooldown_ms`?"),
        ("topic: telemetry.metrics, ", "", "p.yaml:2:14: the key `topic` is missing here"),
    ],
)  # fmt: skip
def test_faults(old, new, message):
    with pytest.raises(BadSpec) as caught:
        read(PIPELINE.replace(old, new))
    assert str(caught.value) == message


def test_no_model_is_no_fault():
    text = "pipeline:\n  ingestion: {source: kafka, topic: t}\n"
    assert read(text).config.monitors[0].detect.name == "baseline"
