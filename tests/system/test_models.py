"""A real server with a trained model: checked, run, and run again when the file is gone."""

import time

import numpy as np
import pytest

from onnx_files import mean_model
from system.otlp_json import gauge, request
from system.server import until
from tocsin.detect.onnx_model import ModelCard

CONFIG = """
monitors:
  - name: modelled
    signal: load
    window: {size: 1s, step: 1s}
    detect: {onnx: {path: MODEL}}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mean.onnx"
    path.write_bytes(mean_model(6, centre=100.0, card=ModelCard("mean", ("load",), 10**9, 1.0, 0.5)))
    return path


@pytest.fixture(scope="module")
def server(make_server, model):
    return make_server(CONFIG.replace("MODEL", str(model)))


def scored(server, after):
    """Post half a minute of life and see that it is scored."""
    now = time.time_ns()
    noise = np.random.default_rng(1).normal(size=30)
    points = [(now - (30 - k) * 10**9, 100.0 + float(noise[k]), {}) for k in range(30)]
    assert server.http.post("/v1/metrics", json=request("api", gauge("load", points, "1"))).status_code == 200
    rows = lambda: [r for r in server.export("scores") if r["score"] is not None and r["monitor"] == "modelled"]  # noqa: E731
    return until(lambda: [row for row in rows() if row["time"] > after], 30)


def test_a_model_scores_and_survives_its_file(server, model):
    first = scored(server, "")
    assert first, server.log()
    server.stop()
    model.unlink()
    server.start()
    later = scored(server, max(row["time"] for row in first))
    assert later, server.log()
    assert "the copy that was kept when it was last good is used" in server.log()
