"""`tocsin bench drift`: its figures are all there, and the rules it measures are those that are written."""

import json

import numpy as np
import pytest
from scipy import stats

from tocsin.app.bench import run_bench
from tocsin.app.bench.drift_peers import beside
from tocsin.app.bench.drift_rules import AsWritten, ks_p_value
from tocsin.app.bench.sizes import SMALL


def test_the_bench_has_every_figure_that_is_promised(tmp_path):
    out = tmp_path / "bench.json"
    assert run_bench(["drift"], peers=False, datasets=None, out=out, sizes=SMALL) == 0
    figures = {each["name"]: each for each in json.loads(out.read_text())["runs"]["drift"]["figures"]}
    for n in (50, 100, 200, 1000):
        assert f"false decisions to n = {n}" in figures
        assert f"PSI > 0.1 as written, false at n = {n}" in figures
        assert f"KS, found at n = {n}, mean + 0.5 sd" in figures
    assert figures["all of 50 rows outside the range, evidence"]["note"].startswith("alarm: True; KL as written is nan")
    assert figures["bytes of a sketch of numbers"]["value"] < 4_096
    assert figures["20 columns compared"]["value"] > 0


@pytest.mark.parametrize("python", ["/nonexistent/python", "false"])
def test_a_library_that_is_not_there_is_said_and_left_out(tmp_path, monkeypatch, capsys, python):
    monkeypatch.setenv("TOCSIN_PEERS_PYTHON", python)
    assert list(beside(tmp_path / "no", tmp_path / "no", 1.0)) == []
    assert "Evidently was not measured" in capsys.readouterr().err


def test_rules_as_written_misfire_as_the_table_says():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=10_000)
    rules = AsWritten(reference)
    assert np.mean([rules.psi(rng.normal(size=50)) > 0.1 for _ in range(200)]) > 0.8
    assert np.mean([rules.kl(rng.normal(size=50)) > 0.1 for _ in range(200)]) > 0.7
    assert np.isnan(rules.kl(np.full(50, 100.0)))


@pytest.mark.parametrize("moved", [0.0, 0.05, 0.1, 0.3])
def test_the_p_value_is_near_scipys(moved):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=2_000), rng.normal(moved, 1, 800)
    assert ks_p_value(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp").pvalue, rel=0.15, abs=0.01)
