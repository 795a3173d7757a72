"""Every bench runs, small, and what it writes has the promised fields. No number is judged: that is for readers."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from tocsin.app.bench import BENCHES, run_bench, storm
from tocsin.app.bench.bodies import Template, event_bodies, load_bodies, metric_templates, series_bodies, store_bodies
from tocsin.app.bench.figure import Bench, Figure
from tocsin.app.bench.peers import PROMETHEUS, VICTORIA
from tocsin.app.bench.report import finished, replaced, write
from tocsin.app.bench.sizes import SMALL
from tocsin.model.errors import BadInput

NOW = 1_790_000_000 * 10**9


def measured(tmp_path, name, sizes=SMALL, *, peers=False):
    out = tmp_path / "bench.json"
    assert run_bench([name], peers=peers, datasets=None, out=out, sizes=sizes) == 0
    run = json.loads(out.read_text())["runs"][name]
    assert run["date"]
    assert run["machine"].keys() >= {"cpu", "cores", "memory_gib"}
    assert run["versions"].keys() >= {"python", "tocsin"}
    assert run["command"] == f"tocsin bench {name}" + (" --peers" if peers else "")
    figures = {figure["name"]: figure for figure in run["figures"]}
    page = (tmp_path / "bench.md").read_text()
    for figure in figures.values():
        # a process that ran other tests before gives memory back while this one grows
        assert figure["value"] > 0 or figure["name"].startswith("resident memory gained"), figure
        assert figure["name"] in page
        assert figure["unit"]
    return figures


def test_detect(tmp_path):
    figures = measured(tmp_path, "detect")
    assert figures.keys() >= {
        "detection kernel",
        "copy bandwidth",
        "state per series, seasons and calibration included",
        "window close to finding, p99",
        "ONNX inference, one window, temporal autoencoder, p50",
    }


def test_calibration(tmp_path):
    out = tmp_path / "bench.json"
    assert (
        run_bench(["calibration"], peers=False, datasets=None, out=out, sizes=replace(SMALL, stationary_series=7)) == 0
    )
    names = {figure["name"] for figure in json.loads(out.read_text())["runs"]["calibration"]["figures"]}
    for budget in ("1", "3", "10"):
        assert f"false episodes a week, budget {budget}" in names
        assert f"false episodes a week, budget {budget}, first week" in names
        assert f"spikes found, budget {budget}, normal" in names


@pytest.mark.soak
def test_latency(tmp_path):
    figures = measured(tmp_path, "latency")
    assert figures.keys() >= {
        "start to ready, cold kernels",
        "start to ready, warm",
        "first page after start",
        "breach to webhook, Tocsin, p99",
        "breach in the first second after start",
    }


@pytest.mark.soak
def test_ingest(tmp_path):
    figures = measured(tmp_path, "ingest", replace(SMALL, kinds=("spans",)))
    assert figures.keys() >= {
        "spans, received to stored and judged",
        "spans, hot process alone",
        "spans, decode alone",
        "resident memory after the spans",
    }


@pytest.mark.soak
@pytest.mark.system
def test_ingest_beside_others(tmp_path):
    figures = measured(tmp_path, "ingest", replace(SMALL, kinds=("samples",)), peers=True)
    assert figures.keys() >= {f"samples, {PROMETHEUS}", f"samples, {VICTORIA}"}


@pytest.mark.soak
def test_llm(tmp_path):
    figures = measured(tmp_path, "llm")
    assert figures.keys() >= {"calls, received to stored and judged", "resident memory after the calls"}


def test_a_bench_that_is_not_there_is_refused():
    command = [sys.executable, "-c", "from tocsin.cli.main import main; main()", "bench", "detect", "speed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "speed" in done.stderr
    assert all(name in done.stderr for name in BENCHES)


@pytest.mark.parametrize(("value", "code", "word"), [(10.0, 0, "held"), (11.0, 1, "MISSED"), (math.nan, 1, "MISSED")])
def test_a_promised_figure_that_is_missed_is_a_failure_and_is_named(monkeypatch, capsys, value, code, word):
    figures = [
        Figure("incidents", value, "incidents", 10, aim_high=False, promised=True),
        Figure("time", 9.0, "s", 1.0, aim_high=False),
    ]
    monkeypatch.setattr(storm, "measure", lambda _: Bench("storm", figures))
    given = {"peers": False, "datasets": None, "out": None, "sizes": SMALL}
    assert run_bench(["storm"], **given, check=True) == code
    said = capsys.readouterr().err
    assert f"{word} storm: incidents is " in " ".join(said.split())
    assert "time is" not in said, "what depends on the machine is not checked"
    assert run_bench(["storm"], **given) == 0


def test_a_bench_that_promises_nothing_can_not_be_checked(monkeypatch):
    monkeypatch.setattr(storm, "measure", lambda _: Bench("storm", [Figure("time", 9.0, "s", 10.0)]))
    with pytest.raises(BadInput, match="promises no figure"):
        run_bench(["storm"], peers=False, datasets=None, out=None, sizes=SMALL, check=True)


def test_a_page_keeps_what_people_wrote(tmp_path):
    page = tmp_path / "bench.md"
    page.write_text("# Words\n<!-- bench:detect -->\nold\n<!-- /bench:detect -->\nmore words\n")
    write(
        finished([Bench("detect", [Figure("speed", 3.0, "m/s", 2.0)])], ["detect"], peers=False, small=True),
        tmp_path / "bench.json",
    )
    text = page.read_text()
    assert "| speed | 3 | m/s | ≥ 2 | yes |" in text
    assert text.startswith("# Words\n")
    assert text.endswith("more words\n")
    assert "old" not in text


def test_a_marker_without_its_end_is_refused():
    with pytest.raises(BadInput, match="has no"):
        replaced("<!-- bench:x -->", "x", "new", "page.md")


def test_bodies_are_requests_with_new_times_and_values(tmp_path):
    import gzip

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    bodies = list(series_bodies(metric_templates(150, 100), "/v1/metrics", 2, 2, NOW, snappy=False))
    bodies += event_bodies("logs", 30, 20, 2, 60.0, NOW)
    store_bodies(tmp_path / "load", bodies)
    assert list(load_bodies(tmp_path / "load")) == bodies
    assert [(body.lane, body.turn, body.rows) for body in bodies[:4]] == [
        (0, 0, 100),
        (1, 0, 50),
        (0, 1, 100),
        (1, 1, 50),
    ]
    seen = []
    for body in bodies[:4]:
        request = ExportMetricsServiceRequest.FromString(gzip.decompress(body.content))
        points = [
            point
            for resource in request.resource_metrics
            for metric in resource.scope_metrics[0].metrics
            for point in metric.gauge.data_points
        ]
        assert len(points) == body.rows
        assert len({point.time_unix_nano for point in points}) == 1
        seen.append((points[0].time_unix_nano, points[0].as_double))
    assert [time for time, _ in seen] == [NOW - 10**10, NOW - 10**10, NOW, NOW]
    assert len({value for _, value in seen}) == 4


def test_a_template_without_marks_stays_as_it_is():
    import numpy as np

    assert Template(b"plain", 1).stamped(NOW, np.zeros(1)) == b"plain"
