"""The rule file for Prometheus: valid, and it fires when it should; checked by the real promtool."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from tocsin.app.writeback.rules import rules_text
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs

CONFIG = """
monitors:
  - {name: queue, signal: jobs_waiting, by: [team], detect: {threshold: {above: 100}}, window: {size: 1m, step: 10s}, summary: jobs wait, runbook: "https://wiki/queue"}
  - {name: p95, signal: request_seconds, by: [service.name], aggregate: p95, window: {size: 5m, step: 30s}, where: {region: "eu-*"}, direction: up, summary: "slow {{ .Evil }}"}
  - {name: quiet, signal: x, role: support}
  - {name: memory, signal: heap_bytes, window: {size: 60s, step: 10s}}
teams:
  - {name: jobs, owns: {monitor: queue}}
scores: {remote_write: [{name: p, url: "http://127.0.0.1:9090/api/v1/write", labels: {cluster: a}}]}
"""
TESTS = """
rule_files: [rules.yml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {series: 'tocsin_anomaly_written_series', values: '3x40'}
      - {series: 'tocsin_anomaly_verdict{monitor="p95", signal="request_seconds", service_name="a"}', values: '0x4 1x10 0x20'}
      - {series: 'tocsin_anomaly_verdict{monitor="memory", signal="heap_bytes", job="b"}', values: '1x40'}
      - {series: 'tocsin_anomaly_severity_ratio{monitor="memory", signal="heap_bytes", job="b"}', values: '3x40'}
      - {series: 'tocsin_anomaly_verdict{monitor="queue", signal="jobs_waiting", team="c"}', values: '1x40'}
      - {series: 'tocsin_anomaly_verdict{monitor="quiet", signal="x"}', values: '1x40'}
      - {series: 'heap_bytes{job="b"}', values: '900x40'}
      - {series: 'tocsin_anomaly_upper{monitor="memory", signal="heap_bytes", job="b", cluster="a"}', values: '500x40'}
      - {series: 'tocsin_engine_budget_realised_pages{team="jobs", over="20w"}', values: '5x40'}
      - {series: 'tocsin_engine_budget_promised_pages{team="jobs"}', values: '3x40'}
    promql_expr_test:
      - {expr: 'tocsin:open_findings:count{monitor="memory"}', eval_time: 5m, exp_samples: [{labels: 'tocsin:open_findings:count{monitor="memory"}', value: 1}]}
    alert_rule_test:
      - eval_time: 1m
        alertname: TocsinAnomaly
        exp_alerts:
          - {exp_labels: {monitor: memory, signal: heap_bytes, job: b, severity: critical}, exp_annotations: {summary: "heap_bytes: memory", dashboard: "http://tocsin"}}
      - eval_time: 4m
        alertname: TocsinAnomaly
        exp_alerts:
          - {exp_labels: {monitor: memory, signal: heap_bytes, job: b, severity: critical}, exp_annotations: {summary: "heap_bytes: memory", dashboard: "http://tocsin"}}
          - {exp_labels: {monitor: p95, signal: request_seconds, service_name: a, severity: warning}, exp_annotations: {summary: "request_seconds: slow {{ .Evil }}", dashboard: "http://tocsin"}}
      - eval_time: 4m
        alertname: TocsinLimitBroken
        exp_alerts:
          - {exp_labels: {monitor: queue, signal: jobs_waiting, team: jobs, severity: critical}, exp_annotations: {summary: "jobs_waiting: jobs wait", runbook_url: "https://wiki/queue", dashboard: "http://tocsin"}}
      - {eval_time: 4m, alertname: TocsinScoresMissing, exp_alerts: []}
      - {eval_time: 10m, alertname: TocsinStandbyLimit, exp_alerts: []}
      - eval_time: 4m
        alertname: TocsinOverBudget
        exp_alerts: [{exp_labels: {team: jobs, severity: info}, exp_annotations: {summary: "findings opened a week are over the budget of jobs: review them", dashboard: "http://tocsin"}}]
  - interval: 30s   # Tocsin is gone after five minutes: the last limits hold
    input_series:
      - {series: 'tocsin_anomaly_written_series', values: '3x10 stale _x60'}
      - {series: 'tocsin_anomaly_upper{monitor="memory", signal="heap_bytes", job="b", cluster="a"}', values: '500x10 stale _x60'}
      - {series: 'heap_bytes{job="b"}', values: '400x20 900x60'}
      - {series: 'jobs_waiting{team="c"}', values: '200x80'}
    alert_rule_test:
      - {eval_time: 4m, alertname: TocsinStandbyLimit, exp_alerts: []}
      - eval_time: 20m
        alertname: TocsinStandbyLimit
        exp_alerts:
          - {exp_labels: {monitor: memory, limit: upper, severity: warning, job: b}, exp_annotations: {summary: "memory (a limit; Tocsin is not heard)"}}
          - {exp_labels: {monitor: queue, limit: upper, severity: warning, team: c}, exp_annotations: {summary: "jobs wait (a limit; Tocsin is not heard)"}}
      - eval_time: 20m
        alertname: TocsinScoresMissing
        exp_alerts: [{exp_labels: {severity: warning}, exp_annotations: {summary: "no scores come back from Tocsin: look at its status page and at its receivers", dashboard: "http://tocsin"}}]
"""


def promtool(*arguments, cwd):
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("promtool is not installed (apt install prometheus)")
    done = subprocess.run([binary, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packs():
    return load_packs()


@pytest.mark.system
def test_promtool_finds_nothing_wrong_with_the_rules_of_all_packs(tmp_path, packs):
    config = parse_config(CONFIG, "tocsin.yaml", {}, packs).config
    (tmp_path / "rules.yml").write_text(rules_text(config, packs, page_url="http://tocsin:8642"))
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml", cwd=tmp_path)
    assert "SUCCESS" in said


@pytest.mark.system
def test_the_rules_fire_when_they_should_and_hold_limits_while_no_scores_come(tmp_path):
    (tmp_path / "rules.yml").write_text(
        rules_text(parse_config(CONFIG, "tocsin.yaml", {}).config, page_url="http://tocsin")
    )
    (tmp_path / "tests.yml").write_text(TESTS)
    assert "SUCCESS" in promtool("test", "rules", "tests.yml", cwd=tmp_path)


def rules_of(config_text, packs=(), **options):
    groups = yaml.safe_load(rules_text(parse_config(config_text, "tocsin.yaml", {}).config, packs, **options))["groups"]
    return {group["name"]: group["rules"] for group in groups}


def test_what_only_supports_others_calls_nobody(packs):
    found = rules_of("{}", packs)
    named = {rule["labels"].get("monitor") for rule in found["tocsin-verdicts"] if "alert" in rule}
    support = {m.name for pack in packs for m in pack.monitors if m.role == "support"}
    assert named
    assert not named & support


def test_the_limits_speak_the_language_of_the_metric():
    found = rules_of(CONFIG)["tocsin-standby"]
    exprs = {(rule["labels"]["monitor"], rule["labels"]["limit"]): rule["expr"] for rule in found}
    assert exprs["p95", "upper"].startswith(
        '(histogram_quantile(0.95, sum by (le, service_name) (rate(request_seconds_bucket{region=~"eu-.*"}[300s])))'
    )
    assert ("p95", "lower") not in exprs  # it looks upwards only
    assert {side for name, side in exprs if name == "memory"} == {"upper", "lower"}
    assert "tocsin-standby" not in rules_of(CONFIG, standby=False)


def test_the_command_writes_what_the_configuration_says(tmp_path):
    from typer.testing import CliRunner

    from tocsin.cli.main import app

    config, out = tmp_path / "tocsin.yaml", tmp_path / "rules.yml"
    config.write_text(CONFIG)
    result = CliRunner().invoke(app, ["rules", "--config", str(config), "--out", str(out)])
    assert result.exit_code == 0, result.output
    named = {
        rule["labels"].get("monitor")
        for group in yaml.safe_load(out.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert {"queue", "p95", "memory", "host-memory-full"} <= named


def test_a_learned_limit_of_a_spread_is_held_against_the_spread():
    monitor = "{name: restless, signal: pressure, aggregate: std, window: {size: 60s, step: 10s}}"
    config = parse_config(f"monitors: [{monitor}]", "tocsin.yaml", {}).config
    assert "stddev_over_time(pressure[60s])" in rules_text(config)
