"""What the engine tells of models and p-values: counted beside the fold, once, and never part of what it says."""

import itertools

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.worlds import any_series, fold_all, records, said, spiking
from onnx_files import mean_model
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.runner import Runner
from tocsin.engine.score_metrics import EXCESS, REFITS, ScoreMetrics
from tocsin.engine.snapshot import Snapshots
from tocsin.journal.directory import Directory
from tocsin.model.frame import SCHEMAS, FrameKind, frame_of
from tocsin.model.log import Control, Output
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import REGISTRY, exposition
from tocsin.selfmon.stopwatch import Stopwatch
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec
from tocsin.testing.memory_log import MemoryLog


def value(name, **labels):
    """A sample of the own metrics; 0 before it is there."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def modelled(name, detect):
    fields = {"name": name, "signal": "load", "window": {"size": "5s", "step": "5s"}, "detect": detect}
    return EngineSpec(monitors=[MonitorSpec.model_validate(fields)]).control()


@pytest.mark.parametrize("kind", ["onnx", "pyod"])
def test_runs_of_models_and_ticks_are_timed_and_what_is_said_stays_the_same(tmp_path, kind):
    name, catalog, log, spoken = f"timed-{kind}", Catalog(), MemoryLog(), MemoryLog()
    model = Control.of("model", mean_model(6, centre=100.0, spread=5.0))
    onnx = {"onnx": {"path": "models/m.onnx", "sha256": model.sha256}}
    spec = modelled(name, onnx if kind == "onnx" else {"pyod:HBOS": {}})
    log.append([model, spec, *spiking(catalog, series=2, seconds=300, spike_at=280)])
    ticks = value("tocsin_engine_tick_seconds_count")
    times = itertools.count()  # a clock that goes on by a second whenever it is looked at
    runner = Runner(log, spoken, Snapshots(Directory(tmp_path)), catalog, Stopwatch(lambda: float(next(times))))
    while runner.step():
        pass
    shown = {"monitor": name, "model": "m.onnx" if kind == "onnx" else "pyod:HBOS"}
    runs = value("tocsin_engine_inference_seconds_count", **shown)
    assert runs > 0
    assert value("tocsin_engine_inference_seconds_sum", **shown) == runs
    assert value("tocsin_engine_tick_seconds_count") - ticks == 300
    assert said(spoken.entries, catalog) == said(fold_all(Pipeline(catalog), records(log.entries)), catalog)
    runner.close()


def test_the_p_values_of_judged_windows_are_counted_once_whatever_is_folded_again(tmp_path):
    catalog, log, spoken = Catalog(), MemoryLog(), MemoryLog()
    spec = any_series(name="counted", window={"size": "5s", "step": "5s", "min_samples": 1})
    log.append([spec.control(), *spiking(catalog, seconds=700)])
    for _ in range(2):  # the second knows nothing but the logs, folds all again and says nothing
        runner = Runner(log, spoken, Snapshots(Directory(tmp_path / "gone")), catalog)
        while runner.step():
            pass
        for kept in (tmp_path / "gone").glob("*"):
            kept.unlink()
    panes = [f for out in spoken.entries for f in out.frames if f.kind is FrameKind.PANES]
    told = np.concatenate([frame.f8("log10_p") for frame in panes])
    told = told[np.isfinite(told)]
    assert told.size > 100
    assert value("tocsin_engine_score_decades_count", monitor="counted") == told.size
    rare = value("tocsin_engine_score_decades_bucket", monitor="counted", le="1")
    assert rare == np.count_nonzero(told >= -1.0)
    families = {family.name: family for family in text_string_to_metric_families(exposition().decode())}
    assert families["tocsin_engine_score_decades"].type == "histogram"
    assert value("tocsin_engine_score_decades_sum", monitor="counted") == pytest.approx(-told.sum())


def panes(p, monitor):
    n = len(p)
    columns = {
        field.name: np.zeros(n, field.type.to_pandas_dtype())
        for field in SCHEMAS[FrameKind.PANES]
        if field.name != "monitor"
    }
    frame = frame_of(FrameKind.PANES, "main", "engine", columns | {"monitor": [monitor] * n, "log10_p": np.log10(p)})
    return [Output(1, 1, True, (frame,))]


def test_p_values_that_are_too_small_are_told_from_uniform_ones():
    metrics, rng = ScoreMetrics(), np.random.default_rng(3)
    metrics.take(panes(rng.uniform(size=400), "few"))
    assert REGISTRY.get_sample_value("tocsin_engine_p_value_excess_ratio", {"monitor": "few"}) is None
    for _ in range(20):
        metrics.take(
            panes(rng.uniform(size=500), "right") + panes(np.minimum(rng.uniform(size=500) * 1.5, 1.0), "cautious")
        )
    assert EXCESS.labels("right")._value.get() < 0.05
    assert EXCESS.labels("cautious")._value.get() < 0.02
    for _ in range(20):
        metrics.take(panes(rng.uniform(size=500) ** 2, "right"))  # half below 0.25, and so on: 0.25 too many there
    assert EXCESS.labels("right")._value.get() == pytest.approx(0.25, abs=0.04)


def test_the_gauges_of_calibration_are_right_from_the_first_moment_after_a_restart(tmp_path):
    catalog, log, spoken = Catalog(), MemoryLog(), MemoryLog()
    log.append([any_series().control(), *spiking(catalog, seconds=120)])
    runner = Runner(log, spoken, Snapshots(Directory(tmp_path)), catalog)
    while runner.step():
        pass
    (watch,) = (each for each in runner.pipeline.roster.watches.values() if each.lanes)
    watch.calibrator.drifts[:2] = [2, 1]  # what a week of changes leaves behind
    watch.calibrator.size = max(watch.calibrator.size, 2)
    runner.close()
    assert value("tocsin_engine_calibration_refits") == 3
    REFITS.set(0)
    Runner(log, spoken, Snapshots(Directory(tmp_path)), catalog)
    assert value("tocsin_engine_calibration_refits") == 3
