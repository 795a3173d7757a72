"""The pipeline file of the specification, as it stands there."""

PIPELINE = """pipeline:
  ingestion: {source: kafka, topic: telemetry.metrics, group_id: anomaly-detector-v1, concurrency: 4}
  windowing: {size_ms: 60000, step_ms: 10000, min_samples: 15}
  normalization: {strategy: per_metric_family, update_frequency: 1000_points}
  model: {path: /models/temporal_autoencoder.onnx, batch_size: 1, calibration_window: 500, std_multiplier: 3.0, fallback_strategy: statistical_baseline}
  alerting:
    cooldown_ms: 300000
    severity_thresholds: {warning: 1.5, critical: 2.5}
    webhook: https://hooks.slack.com/services/xxx
    deduplication: metric_id + severity
    dry_run: true
  monitoring: {drift_test: psi, drift_threshold: 0.2, metrics_export: prometheus, health_check_interval: 10s}
"""
