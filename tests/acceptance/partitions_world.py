"""D12's world: a fraud model on a node whose network comes and goes, and a disk elsewhere that fills up meanwhile."""

from __future__ import annotations

import numpy as np

from fold_world import S, counter, gauge, request
from tocsin.spec.packs import load_packs

STEP_S = 15
CALM_S = 40 * 60
CONFIG = """
monitors:
  - {name: fraud-false-negatives, signal: fraud.false_negative_ratio, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 0.06}}, for: 30s, clear: 5m, direction: up, impact: {revenue: high}}
  - {name: node-network-errors, signal: node_network_receive_errs_total, aggregate: rate, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 2}}, clear: 10m, direction: up}
  - {name: gateway-latency, signal: http.server.request.duration, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 0.5}}, for: 30s, clear: 5m, direction: up}
  - {name: disk-full, signal: system.filesystem.utilization, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 0.95}}, clear: 5m, direction: up}
topology:
  edges:
    - {from: fraud, to: scorer-0}
runbooks:
  - {title: Models on a broken network, url: "https://runbooks.example/model-network", joint: ["fraud-*", "node-network-*"]}
  - {title: Full disks, url: "https://runbooks.example/disks", joint: ["disk-*"]}
"""
NAMES = {"resources", "runtime", "llm_edges", "models"}


def packs():
    """Those that know what is in this world."""
    return [pack for pack in load_packs() if pack.name in NAMES]


def steps(start, seed=1, minutes=58):
    """(second, points, spans) of each step; the network breaks after 40 minutes."""
    rng = np.random.default_rng(seed)
    errors, restarts = 0.0, 0.0
    for second in range(0, minutes * 60, STEP_S):
        since = second - CALM_S
        cut = since >= 0 and since // 90 % 2 == 0  # the network comes and goes
        errors += rng.poisson(400 if cut else 1)
        restarts += since > 60 and since % 120 == 0
        misses = 0.02 + 0.15 / (1 + np.exp(-(since - 240) / 30)) + 0.004 * rng.standard_normal()
        slow = 0.2 * np.exp(0.05 * rng.standard_normal()) * (6 if since > 30 else 1)
        points = [
            counter("node_network_receive_errs_total", errors, instance="node-2:9100", job="node", device="eth0"),
            counter("node_network_receive_errs_total", 5.0, instance="node-3:9100", job="node", device="eth0"),
            counter("kube_pod_container_status_restarts_total", restarts, pod="scorer-0", node="node-2"),
            counter("kube_pod_container_status_restarts_total", 0.0, pod="billing-0", node="node-3"),
            gauge("fraud.false_negative_ratio", float(misses), model="fraud"),
            gauge("http.server.request.duration", float(slow), "s", service__name="payments"),
            gauge("system.filesystem.utilization", 0.99 if since > 120 else 0.4,
                  host__name="archive-1", mountpoint="/data"),
        ]  # fmt: skip
        yield second, points, _requests(rng, start + second * S, second, 1.2 if since > 20 else 0.0)


def _requests(rng, now, second, wait):
    rows = []
    for n in range(6):
        score = 0.05 * float(np.exp(0.2 * rng.standard_normal())) + wait
        calls = [
            ("payments", "", 0.0, 0.12 + score),
            ("scorer", "payments", 0.02, 0.03 + score),
            ("ledger", "payments", 0.06 + score, 0.03),
        ]
        rows += request(f"{second}-{n}", now + n * S // 10, calls, pods={"scorer": "scorer-0"})
    return rows
