"""Models in the fold: they come as records, their monitors find, and a snapshot holds them."""

import numpy as np
import pytest

from engine.worlds import fold_all, records, said, spiking
from onnx_files import mean_model
from tocsin.detect.onnx_model import ModelCard
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.codec import findings_of
from tocsin.model.errors import BadConfig
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import Control, Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec

S = 10**9


def spec_of(sha256, **changes):
    fields = {
        "name": "modelled", "signal": "load", "window": {"size": "5s", "step": "5s"},
        "detect": {"onnx": {"path": "m.onnx", "sha256": sha256}},
    } | changes  # fmt: skip
    return EngineSpec(monitors=[MonitorSpec.model_validate(fields)]).control()


def world():
    model = Control.of("model", mean_model(6, centre=100.0, spread=5.0))
    catalog = Catalog()
    entries = [model, spec_of(model.sha256), *spiking(catalog, series=2, seconds=500, spike_at=400)]
    return catalog, records(entries)


def findings(outputs, catalog):
    frames = [frame for out in outputs for frame in out.frames if frame.kind is FrameKind.FINDINGS]
    return [found for frame in frames for found in findings_of(frame, catalog)]


def test_a_model_finds_a_spike_and_nothing_before_it():
    catalog, entries = world()
    found = findings(fold_all(Pipeline(catalog), entries), catalog)
    assert {f.series.label("host") for f in found} == {"h0", "h1"}
    assert {f.monitor for f in found} == {"modelled"}
    assert min(f.start for f in found) > 1_790_000_400 * S


def test_a_snapshot_holds_the_model():
    catalog, entries = world()
    whole = said(fold_all(Pipeline(catalog), entries), catalog)
    first = Pipeline(catalog)
    before = fold_all(first, entries[:1000])
    second = Pipeline(catalog)
    second.restore(unpack(pack(first.snapshot())))
    assert said(before + fold_all(second, entries[1000:]), catalog) == whole


def test_a_model_that_no_monitor_names_is_let_go():
    catalog, entries = world()
    pipeline = Pipeline(catalog)
    fold_all(pipeline, entries[:2])
    assert pipeline.shelf.holds(entries[0].entry.sha256)
    fold_all(pipeline, records([EngineSpec().control()], start=2))
    assert not pipeline.shelf.holds(entries[0].entry.sha256)


def test_a_log_without_the_model_says_so():
    with pytest.raises(BadConfig, match="'modelled': the log holds no model 0123"):
        fold_all(Pipeline(Catalog()), records([spec_of("0123456789abcdef" * 4)]))


def entities(steps=400, fault_at=360):
    """Three signals of one host, two of which go together until the fault; the model knows two of them."""
    catalog, rng = Catalog(), np.random.default_rng(1)
    names = ("heat", "load", "other")
    refs = np.array([catalog.intern(Series.of("main", Signal(name), {"host": "a"})) for name in names], "i4")
    card = ModelCard("mean", ("load", "heat"), 10 * S, 1.0, 0.5)
    model = Control.of("model", mean_model(5, ("load", "heat"), card=card))
    window = {"size": "10s", "step": "10s"}
    found = [model, spec_of(model.sha256, signal="*", by=["host"], together=True, window=window)]
    for t in range(steps):
        now = (1_790_000_000 + 10 * t + 5) * S
        values = rng.normal(size=3) + np.array([40.0 * (t >= fault_at), 0.0, 900.0 * (t % 7 == 0)])
        found += [points_frame("main", "otlp/w", refs, np.full(3, now), values), Tick(now, {("main", "otlp/w"): now})]
    return catalog, records(found)


def test_an_entity_is_judged_by_a_model_of_its_signals():
    catalog, entries = entities()
    pipeline = Pipeline(catalog)
    found = findings(fold_all(pipeline, entries), catalog)
    (first, *_) = found
    assert first.start >= (1_790_000_000 + 10 * 355) * S
    assert first.evidence["blame.1"] == "heat"
    assert {key for key in first.evidence if key.startswith("member.")} == {"member.model", "member.model.log10_p"}
    (watch,) = pipeline.roster.watches.values()
    assert watch.entities.left_out > 300


def test_an_entity_goes_on_after_a_restart():
    catalog, entries = entities(200, 150)
    whole = said(fold_all(Pipeline(catalog), entries), catalog)
    first = Pipeline(catalog)
    before = fold_all(first, entries[:201])
    second = Pipeline(catalog)
    second.restore(unpack(pack(first.snapshot())))
    assert said(before + fold_all(second, entries[201:]), catalog) == whole
