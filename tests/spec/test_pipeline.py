"""The pipeline file loads unchanged."""

from __future__ import annotations

import json

import pytest
import yaml

from pipeline_file import PIPELINE
from tocsin.calibrate.calibrator import Calibrator
from tocsin.detect.onnx_model import BATCH
from tocsin.spec.load import parse_config
from tocsin.spec.pipeline import PipelineSpec
from tocsin.spec.problem import BadSpec

S = 10**9
CHANGED = {
    "ingestion": {"source": "redis", "topic": "other", "group_id": "other", "concurrency": 2},
    "windowing": {"size_ms": 120_000, "step_ms": 20_000, "min_samples": 3},
    "normalization": {"strategy": "global", "update_frequency": "50_points"},
    "model": {
        "path": "other.onnx", "batch_size": 8, "calibration_window": 50, "std_multiplier": 30.0, "fallback_strategy": None,
    },
    "alerting": {
        "cooldown_ms": 1000, "severity_thresholds": {"warning": 1.1, "critical": 2.0}, "webhook": "https://example.org/x",
        "deduplication": "none", "dry_run": False,
    },
    "monitoring": {
        "drift_test": "ks", "drift_threshold": 0.4, "metrics_export": "none", "health_check_interval": "20s",
    },
}  # fmt: skip
"""Another value for every key."""
LEFT_OUT = [(), (("alerting", "webhook"),), (("model", "path"), ("model", "fallback_strategy"))]


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
    (_, warning) = map(str, read(text).warnings)
    assert warning.startswith("p.yaml:3:28: warning: `drift_test` has no effect: the baseline learns all along")


def test_another_value_is_given_for_every_key():
    parts = {name: field.annotation.model_fields for name, field in PipelineSpec.model_fields.items()}
    assert {name: set(given) for name, given in CHANGED.items()} == {name: set(keys) for name, keys in parts.items()}


@pytest.mark.parametrize("left_out", LEFT_OUT, ids=["whole", "no webhook", "no model"])
def test_no_key_changes_without_effect_or_word(left_out):
    config, _ = outcome(without(left_out))
    for part, keys in CHANGED.items():
        for key in keys.keys() - {key for _, key in left_out}:
            other, warnings = outcome(changed(part, key, left_out))
            assert other != config or any(each.startswith(f"`{key}") for each in warnings), (part, key)


def without(left_out):
    """The pipeline as a tree, less some keys."""
    tree = yaml.safe_load(PIPELINE)["pipeline"]
    for part, key in left_out:
        del tree[part][key]
    return tree


def changed(part, key, left_out):
    tree = without(left_out)
    tree[part][key] = CHANGED[part][key]
    return tree


def outcome(tree):
    """What a file becomes (or the faults that keep it from that), and what is said of its values."""
    try:
        loaded = read(json.dumps({"pipeline": tree}, indent=1))
    except BadSpec as error:
        return str(error), []
    return loaded.config, [each.message for each in loaded.warnings]


@pytest.mark.parametrize(
    ("old", "new", "place", "instead"),
    [
        ("1000_points", "50_points", "4:66", "every window that is judged moves the scale of its own series"),
        ("batch_size: 1,", "batch_size: 8,", "5:64", f"go to the model {BATCH} at a time"),
        ("window: 500", "window: 50", "5:87",
         f"among up to {Calibrator().memory:,} of their series' own past, from the {Calibrator().min_scores}th on"),
        ("multiplier: 3.0", "multiplier: 30.0", "5:108", "by the tail of its series' own past, than the alert budget"),
    ],
)  # fmt: skip
def test_a_value_that_moves_nothing_is_told_with_what_is_done_instead(old, new, place, instead):
    loaded = read(PIPELINE.replace(old, new))
    (_, warning) = map(str, loaded.warnings)
    assert loaded.config == read(PIPELINE).config
    assert warning.startswith(f"p.yaml:{place}: warning: `")
    assert "has no effect: " in warning
    assert instead in warning
    assert warning.endswith("(docs/brokers.md)")


def test_without_a_webhook_a_cooldown_has_no_effect():
    text = PIPELINE.replace("    webhook: https://hooks.slack.com/services/xxx\n", "")
    (_, warning) = map(str, read(text).warnings)
    assert warning == "p.yaml:7:18: warning: `cooldown_ms` has no effect: without `webhook` nobody is told"


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
        ("critical: 2.5", "critical: 1.5", "p.yaml:8:51: `critical` must be above `warning`"),
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
