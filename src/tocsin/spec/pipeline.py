"""The `pipeline:` file: an older, smaller language that loads unchanged and becomes a `Config`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from tocsin.spec.config import Config, Fault
from tocsin.spec.destination import DestinationSpec, RouteSpec, SlackDestination, WebhookDestination
from tocsin.spec.loss import SeveritySpec
from tocsin.spec.monitor import DetectSpec, MonitorSpec, OnnxSpec, Spec, WindowSpec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.source import KafkaSource, RedisSource
from tocsin.spec.text import HttpUrl, Texts

MS = 1_000_000
NOT_MOVED: Final[Mapping[tuple[str, str], str]] = {
    ("normalization", "update_frequency"): (
        "every window that is judged moves the scale of its own series; a trained model has its scales in its file"
    ),
    ("model", "batch_size"): (
        "series whose windows end together go to the model 16 at a time, or as many as its file fixes"
    ),
    ("model", "calibration_window"): (
        "scores are ranked among up to 40,000 of their series' own past, from the 30th on: "
        "a few hundred don't tell how rare a page must be"
    ),
    ("model", "std_multiplier"): (
        "a score must be rarer, by the tail of its series' own past, than the alert budget allows, and 3 at least: "
        "mean and sd of skewed scores page all day; a budget is `false_pages_per_week` of `teams:` in tocsin.yaml"
    ),
}
"""What is done instead of what these keys say; nothing else follows from their values."""


def _count_of_points(value: str) -> str:
    number, _, unit = value.partition("_")
    if not number.isdigit() or unit != "points":
        raise ValueError(f"{value!r} is not a frequency; write it like 1000_points")
    return value


class IngestionSpec(Spec):
    """Where points come from."""

    source: Literal["kafka", "redis"]
    topic: str = Field(min_length=1)
    group_id: str = "tocsin"
    concurrency: int = Field(default=1, ge=1, le=256)


class WindowingSpec(Spec):
    """Sliding windows in event time."""

    size_ms: int = Field(default=60_000, ge=1)
    step_ms: int = Field(default=10_000, ge=1)
    min_samples: int = Field(default=15, ge=1)


class NormalizationSpec(Spec):
    """How values are brought to one scale."""

    strategy: Literal["per_metric_family"] = "per_metric_family"
    update_frequency: Annotated[str, AfterValidator(_count_of_points)] = "1000_points"


class ModelSpec(Spec):
    """A model file, its calibration, and what to do without it."""

    path: str | None = None
    batch_size: int = Field(default=1, ge=1)
    calibration_window: int = Field(default=500, ge=30)
    std_multiplier: float = Field(default=3.0, gt=0)
    fallback_strategy: Literal["statistical_baseline"] | None = None


class AlertingSpec(Spec):
    """Who is told, and how often."""

    cooldown_ms: int = Field(default=300_000, ge=0)
    severity_thresholds: SeveritySpec = SeveritySpec()
    webhook: HttpUrl | None = None
    deduplication: Literal["metric_id + severity"] = "metric_id + severity"
    dry_run: bool = False


class MonitoringSpec(Spec):
    """Own health and drift of the detector's input."""

    drift_test: Literal["psi", "ks"] = "psi"
    drift_threshold: float = Field(default=0.2, gt=0)
    metrics_export: Literal["prometheus"] = "prometheus"
    health_check_interval: DurationNs = Field(default=10_000 * MS, ge=1_000 * MS, le=3_600_000 * MS)


class PipelineSpec(Spec):
    """What stands under `pipeline:`."""

    ingestion: IngestionSpec
    windowing: WindowingSpec = WindowingSpec()
    normalization: NormalizationSpec = NormalizationSpec()
    model: ModelSpec = ModelSpec()
    alerting: AlertingSpec = AlertingSpec()
    monitoring: MonitoringSpec = MonitoringSpec()


class PipelineFile(Spec):
    """A pipeline file; `brokers` may stand beside the pipeline."""

    pipeline: PipelineSpec
    brokers: Texts = []


def to_config(file: PipelineFile) -> tuple[Config, list[Fault], list[Fault]]:
    """The configuration that does what a pipeline file says, with warnings and errors about the rest."""
    pipeline = file.pipeline
    odd = list(_without_effect(pipeline))
    wrong: list[Fault] = []
    source = _source(file)
    windowing, alerting = pipeline.windowing, pipeline.alerting
    if windowing.size_ms % windowing.step_ms:
        wrong.append((("pipeline", "windowing", "step_ms"), "`size_ms` must be a whole multiple of `step_ms`"))
        windowing = WindowingSpec()
    if alerting.severity_thresholds.critical <= alerting.severity_thresholds.warning:
        wrong.append(
            (("pipeline", "alerting", "severity_thresholds", "critical"), "`critical` must be above `warning`")
        )
    monitor = MonitorSpec(
        name="pipeline",
        signal="*",
        aggregate="mean",
        window=_window(windowing),
        detect=_detect(pipeline.model, pipeline.monitoring),
        summary="from the pipeline file",
    )
    looks: dict[str, Any] = {"health_check_interval": f"{pipeline.monitoring.health_check_interval // MS}ms"}
    config = Config(
        sources=[source],
        monitors=[monitor],
        destinations=[_destination(alerting.webhook)] if alerting.webhook else [],
        routes=[_route(alerting.cooldown_ms)] if alerting.webhook else [],
        severity=alerting.severity_thresholds,
        dry_run=alerting.dry_run,
        **looks,
    )
    return config, odd, wrong


def _without_effect(pipeline: PipelineSpec) -> Iterator[Fault]:
    """Keys that ask for something that is not done, where they stand."""
    for (part, key), instead in NOT_MOVED.items():
        given = getattr(pipeline, part)
        if getattr(given, key) != type(given).model_fields[key].default:
            yield ("pipeline", part, key), f"`{key}: {getattr(given, key)}` has no effect: {instead} (docs/brokers.md)"
    if pipeline.model.path is None:
        for key in ("drift_test", "drift_threshold"):
            if key in pipeline.monitoring.model_fields_set:
                instead = "the baseline learns all along, and only what a model is given is watched for drift"
                yield ("pipeline", "monitoring", key), f"`{key}` has no effect: {instead}; name one by `model:`"
    if pipeline.alerting.webhook is None and "cooldown_ms" in pipeline.alerting.model_fields_set:
        yield ("pipeline", "alerting", "cooldown_ms"), "`cooldown_ms` has no effect: without `webhook` nobody is told"


def _detect(model: ModelSpec, monitoring: MonitoringSpec) -> DetectSpec:
    if model.path is None:
        return DetectSpec(baseline={})
    return DetectSpec(
        onnx=OnnxSpec(
            path=model.path,
            fallback=None if model.fallback_strategy is None else "baseline",
            drift_test=monitoring.drift_test,
            drift_threshold=monitoring.drift_threshold,
        )
    )


def _window(windowing: WindowingSpec) -> WindowSpec:
    # durations are given as people write them: the field reads a bare number as seconds
    sizes: dict[str, Any] = {"size": f"{windowing.size_ms}ms", "step": f"{windowing.step_ms}ms"}
    return WindowSpec(**sizes, min_samples=windowing.min_samples)


def _source(file: PipelineFile) -> KafkaSource | RedisSource:
    ingestion = file.pipeline.ingestion
    if ingestion.source == "redis":
        return RedisSource(
            name="pipeline",
            type="redis",
            streams=[ingestion.topic],
            group_id=ingestion.group_id,
            concurrency=ingestion.concurrency,
            url=file.brokers[0] if file.brokers else "",
        )
    return KafkaSource(
        name="pipeline",
        type="kafka",
        topics=[ingestion.topic],
        group_id=ingestion.group_id,
        concurrency=ingestion.concurrency,
        brokers=list(file.brokers),
    )


def _destination(url: str) -> DestinationSpec:
    if urlsplit(url).hostname == "hooks.slack.com":  # takes Slack's own message form only
        return SlackDestination(name="webhook", type="slack", url=url)
    return WebhookDestination(name="webhook", type="webhook", url=url)


def _route(cooldown_ms: int) -> RouteSpec:
    cooldown: dict[str, Any] = {"cooldown": f"{cooldown_ms}ms"}
    return RouteSpec(match={}, to=["webhook"], **cooldown)
