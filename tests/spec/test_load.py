"""Configurations, good and bad: exact messages at exact places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.spec.config import Config
from tocsin.spec.load import load_config, parse_config
from tocsin.spec.monitor import MonitorSpec
from tocsin.spec.pack import PackSpec
from tocsin.spec.problem import BadSpec
from tocsin.spec.source import PrometheusSource

S = 10**9
EVERYTHING = """
sources:
  - {name: node, type: prometheus, targets: ["http://127.0.0.1:9100/metrics"], interval: 15s}
  - {name: api-log, type: file, path: /var/log/api.log, resource: {service.name: api}, rules: [{signal: api.latency, unit: ms, pattern: 'took (?P<value>[0-9.]+) ms'}]}
  - {name: lines, type: jsonl, path: points.jsonl}
  - {name: me, type: host, interval: 5s}
  - {name: bus, type: kafka, topics: [otlp_metrics], group_id: tocsin, concurrency: 4}
  - {name: stream, type: redis, streams: [telemetry.metrics], group_id: tocsin}
monitors:
  - name: p95-latency
    signal: gen_ai.client.operation.duration
    where: {service.name: support-bot}
    by: [gen_ai.request.model, region]
    aggregate: p95
    window: {size: 15m, step: 10s, min_samples: 15}
    detect: {baseline: {season: auto}}
    for: 5m
    impact: {users: high}
drift:
  - {model: churn, reference: first 10d, chunk: 1d, threshold: 0.2, for: 3d, min_n: 500, actions: [{type: webhook, url: "https://x/y"}, {type: notify, to: [ds]}]}
destinations:
  - {name: hook, type: webhook, url: "https://x/y", secret: "${HOOK_SECRET}", headers: {}, allow: [10.0.0.0/8]}
  - {name: pd, type: pagerduty, routing_key: "${PD_KEY}", url: "https://x/y"}
  - {name: mail, type: email, host: smtp, port: 587, username: u, password: "${SMTP}", tls: true, from: a@b.c, to: [d@e.f]}
  - {name: am, type: alertmanager, url: "http://127.0.0.1:9093", allow: [127.0.0.0/8]}
  - {name: ds, type: slack, token: "${SLACK}", channel: "#data-science"}
  - {name: tty, type: console}
routes:
  - {match: {severity: [error, critical], service.name: gateway}, to: [pd], cooldown: 5m, escalate: {after: 15m, to: [mail]}}
  - {match: {}, to: [hook]}
teams:
  - {name: ml, owns: {model: churn}, false_pages_per_week: 3}
context:
  - {name: provider, type: status_page, url: "https://x/y"}
remediation: {enabled: false}
playbooks:
  - name: shift-traffic
    when: {monitor: p95-latency, cause: model}
    approved: true
    action: {type: traffic_weight, url: "https://x/y", variant: "${gen_ai.request.model}", factor: 0.5, fallback: stable}
    verify: {after: 60s, else: rollback}
limits: {series_per_source: 100000, series_per_tenant: 1000000, body_bytes: 20MiB, retention: {points: 30d, spans: 7d, logs: 7d, panes: 30d}}
redaction: {keep_content: false, rules: [{name: ticket, pattern: 'TCK-[0-9]+', replacement: TCK}]}
dry_run: false
"""
ENV = {"HOOK_SECRET": "h", "PD_KEY": "k", "SMTP": "s", "SLACK": "t"}


def faults(text: str, **env: str) -> list[str]:
    with pytest.raises(BadSpec) as caught:
        parse_config(text, "t.yaml", env)
    return str(caught.value).splitlines()


def test_everything_in_the_reference_is_understood():
    config = parse_config(EVERYTHING, "t.yaml", ENV).config
    node = config.sources[0]
    assert isinstance(node, PrometheusSource)
    assert (node.interval, node.timeout_ns) == (15 * S, 10 * S)
    assert [d.type for d in config.destinations] == [
        "webhook",
        "pagerduty",
        "email",
        "alertmanager",
        "slack",
        "console",
    ]
    assert config.destinations[0].secret == "h"
    assert config.routes[0].match == {"severity": ["error", "critical"], "service.name": ["gateway"]}
    assert (config.routes[0].cooldown, config.routes[0].escalate[0].after) == (300 * S, 900 * S)
    assert config.limits.body_bytes == 20 << 20
    assert config.limits.retention.spans == 7 * 86400 * S
    assert config.playbooks[0].action.variant == "${gen_ai.request.model}"


def test_nothing_is_a_good_configuration():
    for text in ("", "# only a comment\n", "{}", "---\n", "routes:\n"):
        assert parse_config(text, "t.yaml", {}).config.monitors == []


def test_json_is_yaml():
    text = '{"dry_run": true, "lateness": "5s", "limits": {"series_per_source": 1e3}}'
    config = parse_config(text, "t.json", {}).config
    assert (config.dry_run, config.lateness, config.limits.series_per_source) == (True, 5 * S, 1000)


def test_parts_that_have_no_effect_yet_are_said():
    warnings = [str(w) for w in parse_config(EVERYTHING, "t.yaml", ENV).warnings]
    assert any(w.startswith("t.yaml:7:23: warning: no broker is named, so nothing is read") for w in warnings)
    assert any("playbooks act only where `remediation: {enabled: true}` allows it" in w for w in warnings)
    assert not any("drift" in w for w in warnings)
    assert not parse_config("destinations: [{name: a, type: console}]", "t", {}).warnings  # gets everything


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dry_rn: true", "t.yaml:1:1: unknown key `dry_rn`; did you mean `dry_run`?"),
        (
            "q: 1",
            f"t.yaml:1:1: unknown key `q`; known here: {', '.join(sorted(Config.model_fields))}",
        ),
        (
            "sources:\n  - {name: b, type: promethius}",
            "t.yaml:2:21: `promethius` is not known here; did you mean `prometheus`?",
        ),
        ("sources:\n  - {name: b, path: x}", "t.yaml:2:5: the key `type` is missing here"),
        (
            "sources:\n  - {name: b, type: jsonl, path: 5}",
            "t.yaml:2:34: text is needed here, found 5; put it in quotes",
        ),
        ("sources:\n  - {name: b, type: jsonl, path: }", "t.yaml:2:34: text is needed here, found nothing"),
        ("sources: [{name: b, type: jsonl}]", "t.yaml:1:11: the key `path` is missing here"),
        ("sources: {name: b}", "t.yaml:1:10: a list is needed here, found a mapping"),
        (
            "sources: [{name: a, type: prometheus, targets: [nope]}]",
            "t.yaml:1:49: 'nope' is not an address; write it like https://host:port/path",
        ),
        (
            "sources: [{name: a, type: file, path: x, rules: [{signal: s, pattern: '(?<!a)b'}]}]",
            "t.yaml:1:71: not a pattern of RE2: invalid perl operator: (?<!",
        ),
        (
            "sources: [{name: a, type: file, path: x, rules: [{signal: s, pattern: '([0-9]+)'}]}]",
            "t.yaml:1:71: the pattern has groups but none is the value; name it like (?P<value>[0-9.]+)",
        ),
        (
            "sources: [{name: a, type: host}, {name: a, type: host}]",
            "t.yaml:1:41: the name `a` is already taken by number 1 under `sources`",
        ),
        (
            "monitors: [{name: x, signal: y, aggregate: p96}]",
            "t.yaml:1:44: `p96` is not known here; did you mean `p99`?",
        ),
        (
            "monitors: [{name: x, signal: y, where: {port: 80}}]",
            "t.yaml:1:47: text is needed here, found 80; put it in quotes",
        ),
        (
            "monitors: [{name: x, signal: y, detect: {threshold: {abov: 5}}}]",
            "t.yaml:1:54: unknown key `abov`; did you mean `above`?",
        ),
        (
            "monitors: [{name: x, signal: y, detect: {treshold: {above: 5}}}]",
            "t.yaml:1:42: unknown key `treshold`; did you mean `threshold`?",
        ),
        (
            "monitors: [{name: x, signal: y, detect: {ewma: {}, cusum: {}}}]",
            "t.yaml:1:41: name exactly one detector, found ewma, cusum",
        ),
        (
            "monitors: [{name: x, signal: y, for: 5q}]",
            "t.yaml:1:38: '5q' is not a duration; write it like 30s, 5m, 1h or 7d",
        ),
        (
            "monitors: [{name: x, signal: y, window: {size: 15s, step: 10s}}]",
            "t.yaml:1:41: window size must be a whole multiple of its step",
        ),
        (
            "monitors: [{name: x, signal: y, role: suport}]",
            "t.yaml:1:39: `suport` is not known here; did you mean `support`?",
        ),
        (
            "destinations: [{name: h, type: webhook, url: 'ftp://x'}]",
            "t.yaml:1:46: 'ftp://x' is not an address; write it like https://host:port/path",
        ),
        (
            "destinations: [{name: h, type: webhook, url: 'https://x', allow: [10.0.0.1/8]}]",
            "t.yaml:1:67: not a network (10.0.0.1/8 has host bits set); write it like 10.0.0.0/8",
        ),
        (
            "destinations: [{name: h, type: slack}]",
            "t.yaml:1:16: needs `token` and `channel` of a bot, or the `url` of an incoming webhook",
        ),
        (
            "destinations: [{name: h, type: console}]\nroutes: [{to: [hh]}]",
            "t.yaml:2:16: no destination is called `hh`; did you mean `h`?",
        ),
        (
            "routes: [{to: pd}]",
            "t.yaml:1:15: no destination is called `pd`; there are none yet: add it under `destinations:`",
        ),
        (
            "destinations: [{name: h, type: console}]\nroutes: [{to: h, match: {severity: [eror]}}]",
            "t.yaml:2:37: `eror` is no severity; did you mean `error`?",
        ),
        (
            "destinations: [{name: h, type: console}]\nroutes: [{to: h, escalate: {after: 5m, to: [g]}}]",
            "t.yaml:2:45: no destination is called `g`; known here: h",
        ),
        (
            "destinations: [{name: h, type: console}]\nroutes:\n- to: h\n  escalate:\n  - {after: 5m, to: h}\n  - {after: 9m, to: [h, g]}",
            "t.yaml:6:25: no destination is called `g`; known here: h",
        ),
        (
            "destinations: [{name: h, type: console}]\nroutes: [{to: h, escalate: [{after: 9m, to: h}, {after: 5m, to: h}]}]",
            "t.yaml:2:28: each level needs a longer `after` than the one before it; all count from the first notice",
        ),
        (
            "destinations: [{name: h, type: console}]\nroutes: [{to: h, escalate: [{after: 5m, to: h, every: 5m}, {after: 9m, to: h}]}]",
            "t.yaml:2:28: only the last level can be told again (`every`); those before it are followed by the next one",
        ),
        ("limits: {body_bytes: 20MiBB}", "t.yaml:1:22: '20MiBB' is not a size; write it like 512kB or 20MiB"),
        ("limits: {retention: {poins: 3d}}", "t.yaml:1:22: unknown key `poins`; did you mean `points`?"),
        ("dry_run: maybe", "t.yaml:1:10: true or false is needed here, found `maybe`"),
        ("severity: {warning: 3, critical: 2}", "t.yaml:1:34: `critical` must be above `warning`"),
        ("redaction: {rules: [{name: a, pattern: '('}]}", "t.yaml:1:40: not a pattern of RE2: missing ): ("),
        (
            "playbooks: [{name: p, when: {cause: promt}, action: {type: webhook, url: 'https://x'}}]",
            "t.yaml:1:37: `promt` is no kind of cause; did you mean `prompt`?",
        ),
        ("- a\n- b", "t.yaml:1:1: a mapping is needed here: `key: value` lines"),
        ("dry_run: true\ndry_run: false", "t.yaml:2:1: the key `dry_run` is already given at 1:1; keep one"),
        (
            "a: [1, 2",
            "t.yaml:2:1: not YAML: did not find expected ',' or ']' while parsing a flow sequence that begins at 1:4",
        ),
        ("a: b: c", "t.yaml:1:5: not YAML: mapping values are not allowed in this context"),
        ("a: *nope", "t.yaml:1:4: no anchor `&nope` before this alias"),
        (
            "a: !!python/object:os.system {}",
            "t.yaml:1:4: the tag `tag:yaml.org,2002:python/object:os.system` is not taken here; write a plain value",
        ),
        ("dry_run: true\n---\ndry_run: false", "t.yaml:2:1: a second document; one file holds one configuration"),
        (
            "a: ${NOPE_X}",
            "t.yaml:1:4: the environment variable `NOPE_X` is not set; set it, or write $${...} for the text itself",
        ),
        ("a: \x01", "t.yaml:1:4: not YAML: control characters are not allowed"),
    ],
)
def test_a_fault_is_told_exactly(text, message):
    assert faults(text) == [message]


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    text = "limits: {body_byts: 1}\nsources:\n  - {nam: a, type: host}\ndry_run: 7\n"
    assert [line.split(" ", 1)[0] for line in faults(text)] == [
        "t.yaml:1:10:",
        "t.yaml:3:5:",
        "t.yaml:3:6:",
        "t.yaml:4:10:",
    ]


def test_a_message_is_short_whatever_the_value():
    (line,) = faults(f"lateness: {'x' * 5000}")
    assert line.startswith("t.yaml:1:11: 'xxx")
    assert line.endswith("is not a duration; write it like 30s, 5m, 1h or 7d")
    assert len(line) < 500


def test_a_missing_variable_names_the_nearest():
    assert faults("destinations: [{name: a, type: webhook, url: '${HOOK_ULR}'}]", HOOK_URL="https://x") == [
        "t.yaml:1:46: the environment variable `HOOK_ULR` is not set; did you mean `HOOK_URL`?"
    ]


def test_a_variable_is_text_and_never_yaml():
    text = "destinations: [{name: a, type: webhook, url: 'https://x', secret: '${S}'}]"
    config = parse_config(text, "t", {"S": "}, evil: [1"}).config
    assert config.destinations[0].secret == "}, evil: [1"
    assert parse_config(text.replace("${", "$${"), "t", {}).config.destinations[0].secret == "${S}"


def test_variables_in_numbers_and_inside_texts():
    text = "destinations: [{name: a, type: email, host: 'smtp.${D}', port: '${P}', from: a@b.c, to: x@y.z}]"
    mail = parse_config(text, "t", {"D": "example.org", "P": "465"}).config.destinations[0]
    assert (mail.host, mail.port, mail.to) == ("smtp.example.org", 465, ["x@y.z"])


def test_a_playbook_needs_a_monitor_that_a_pack_or_the_user_has():
    pack = PackSpec(name="p", version=1, monitors=[MonitorSpec(name="ttft", signal="x")])
    text = "playbooks: [{name: p, when: {monitor: tftf}, action: {type: webhook, url: 'https://x'}}]"
    with pytest.raises(BadSpec, match="t:1:39: no monitor is called `tftf`; did you mean `ttft`"):
        parse_config(text, "t", {}, [pack])


def test_the_engine_hears_of_monitors_packs_and_the_budget():
    pack = PackSpec(
        name="p", version=1, monitors=[MonitorSpec(name="a", signal="x"), MonitorSpec(name="b", signal="x")]
    )
    text = (
        "monitors: [{name: a, signal: mine}]\nteams: [{name: all, false_pages_per_week: 1.5}, {name: ml, owns: {m: c}}]"
    )
    spec = parse_config(text, "t", {}).config.engine_spec([pack])
    assert spec.false_pages_per_week == 1.5
    assert [(m.name, m.signal) for m in spec.all_monitors()] == [("a", "mine"), ("b", "x")]
    assert type(spec).of(spec.control()) == spec


def test_the_engine_hears_after_which_time_what_lasts_is_the_new_normal():
    hours = [
        parse_config(text, "t", {}).config.engine_spec().absorb_after / (3600 * S)
        for text in ("", "absorb_after: 3d", "absorb_after: 0")
    ]
    assert hours == [24, 72, 0]


def test_files_that_can_not_be_read(tmp_path: Path):
    with pytest.raises(BadSpec, match=r"none.yaml:1:1: can't read the file: no such file or directory"):
        load_config(tmp_path / "none.yaml", {})
    with pytest.raises(BadSpec, match=r"can't read the file: is a directory"):
        load_config(tmp_path, {})
    bad = tmp_path / "latin.yaml"
    bad.write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(BadSpec, match=r"latin.yaml:2:4: not UTF-8"):
        load_config(bad, {})
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (5 << 20))
    with pytest.raises(BadSpec, match=r"over 4 MiB"):
        load_config(big, {})


def test_a_byte_order_mark_is_no_fault(tmp_path: Path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfdry_run: true\n")
    assert load_config(path, {}).config.dry_run


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("for: 99999999999999999999d", "longer than anything lasts; write at most 36500d"),
        ("for: -5m", "greater than or equal to 0"),
        ("clear: -1s", "greater than or equal to 0"),
        ("window: {size: 10s, step: 1ns}", "a step is at least 0.1 s"),
        ("window: {size: 30d, step: 1s}", "a window at most 100,000 steps"),
        ("window: {size: 1000000d, step: 1d}", "longer than anything lasts"),
    ],
)
def test_lengths_that_no_engine_could_live_with_are_faults(field, says):
    with pytest.raises(BadSpec, match=re.escape(says)):
        parse_config(f"monitors: [{{name: a, signal: x, {field}}}]", "t", {})
