"""D13's world: a fraud model whose GPU runs out of memory, so that a small stand-in answers, and a shop slow for itself."""

from __future__ import annotations

import numpy as np

from fold_world import S, gauge
from tocsin.spec.packs import load_packs

STEP_S = 30
CALM_S = 40 * 60
CONFIG = """
monitors:
  - {name: model-confidence, signal: tocsin.model.confidence, aggregate: mean, window: {size: 2m, step: 30s, min_samples: 20},
     detect: {threshold: {below: 0.8}}, for: 30s, clear: 5m, direction: down}
  - {name: gpu-memory, signal: DCGM_FI_DEV_FB_USED, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 78000}}, clear: 5m, direction: up}
  - {name: shop-latency, signal: http.server.request.duration, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 0.5}}, clear: 5m, direction: up}
topology:
  edges: [{from: fraud, to: scorer-0}]
"""
NAMES = {"resources", "llm_edges", "models", "logs", "dcgm"}
LABELS = {"UUID": "GPU-7", "gpu": "0", "Hostname": "gpu-node-1", "exported_pod": "scorer-0"}
SCORER = {"service.name": "scorer", "k8s.pod.name": "scorer-0"}


def packs():
    """Those that know what is in this world; of log lines only what is new and an error is watched."""
    return [
        pack.model_copy(update={"monitors": [each for each in pack.monitors if each.name == "log-new-errors"]})
        for pack in load_packs()
        if pack.name in NAMES
    ]


def steps(start, seed=3, minutes=56):
    """(points, records, log lines) of each step; the GPU runs out of memory after 40 minutes."""
    rng = np.random.default_rng(seed)
    for second in range(0, minutes * 60, STEP_S):
        since = second - CALM_S
        used = 60_000 + rng.normal(0, 20) + (21_000 * min(1.0, since / 60) if since >= 0 else 0)
        points = [
            gauge("DCGM_FI_DEV_FB_USED", float(used), "MiBy", **LABELS),
            gauge("http.server.request.duration", 0.9 if since > 60 else 0.2, "s", service__name="shop"),
            gauge(
                "http.server.request.duration",
                0.1,
                "s",
                **{key.replace(".", "__"): text for key, text in SCORER.items()},
            ),
        ]
        now = start + second * S
        sure = np.clip(rng.normal(0.66 if since > 120 else 0.95, 0.03, 20), 0.5, 1.0).tolist()
        records = [(f"{second}-{k}", now - k * 10**6, each) for k, each in enumerate(sure)]
        yield points, records, _lines(second, 2 if since > 60 else 0)


def _lines(second, failing):
    """Log lines (text, severity, number); no two are the same, for a line that comes again is one."""
    usual = [(f"scored batch {second}{k} of 20", "INFO", 9) for k in range(8)]
    oom = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {}.00 GiB"
    return usual + [(oom.format(2 + k), "ERROR", 17) for k in range(failing)]
