"""A model that is given what it doesn't know is watched: the baseline judges, or its scores are ranked anew; and told."""

import numpy as np
import pytest

from engine.worlds import T0, S, fold_all, records, said
from onnx_files import mean_model
from tocsin.calibrate.inputs import Inputs
from tocsin.detect.ewma import Ewma
from tocsin.engine.budget import calibration_of
from tocsin.engine.guarded import Guarded
from tocsin.engine.own_signals import FOREIGN
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.codec import findings_of
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import Control, Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec
from tocsin.testing.laws import LAWS

HOUR = 3600 * S
DAY = 24 * HOUR
START = T0 - T0 % DAY + DAY
A_DAY = 48  # values


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("fallback", [True, False])
def test_law_holds(law, fallback):
    law(lambda: Guarded(Ewma(), Inputs(), fallback=fallback))


def world(fallback, *, days=19, drift_day=15, spike=True):
    """Values every half hour about 100, from one day on about 160; in the end one of 400."""
    catalog, rng = Catalog(), np.random.default_rng(1)
    model = Control.of("model", mean_model(6, centre=100.0, spread=5.0))
    onnx = {"path": "m.onnx", "sha256": model.sha256, "fallback": fallback}
    spec = MonitorSpec.model_validate(
        {"name": "modelled", "signal": "load", "window": {"size": "30m", "step": "30m", "min_samples": 1},
         "detect": {"onnx": onnx}}
    )  # fmt: skip
    ref = catalog.intern(Series.of("main", Signal("load", "1"), {"host": "a"}))
    entries = [model, EngineSpec(monitors=[spec]).control()]
    steps = days * A_DAY
    for k in range(1, steps):
        value = (160.0 if k >= drift_day * A_DAY else 100.0) + 5.0 * rng.normal()
        if spike and k >= steps - 6:
            value = 400.0 if k % 2 else 40.0
        now = START + k * DAY // A_DAY
        entries += [
            points_frame("main", "otlp/w", np.array([ref], "i4"), np.array([now]), np.array([value])),
            Tick(now + S, {("main", "otlp/w"): now}),
        ]
    return catalog, records(entries)


def told(outputs, catalog, signal="tocsin.calibration.inputs_drifted"):
    found, points = [], []
    for out in outputs:
        for frame in out.frames:
            if frame.kind is FrameKind.FINDINGS:
                found += findings_of(frame, catalog)
            if frame.kind is FrameKind.POINTS:
                points += [row["value"] for row in frame.rows() if catalog[row["series"]].signal.name == signal]
    return found, points


def test_the_baseline_judges_where_the_input_has_drifted_and_the_finding_says_so():
    catalog, entries = world("baseline")
    pipeline = Pipeline(catalog)
    found, points = told(fold_all(pipeline, entries), catalog)
    last = [f for f in found if "state.judged_by_baseline" in f.evidence][-1]
    assert last.evidence["state.judged_by_baseline"] == 1.0
    assert last.evidence["state.input_psi"] > 0.2
    assert last.evidence["state.input_ks"] > 0.2
    assert last.evidence["detector"] == "onnx"
    assert last.start > START + 18 * DAY
    assert points[-1] == 1.0
    assert points[10] == 0.0
    assert calibration_of(pipeline.roster.watches.values())[1] == 1


def test_without_a_fallback_the_model_goes_on_and_what_it_is_given_becomes_the_reference():
    catalog, entries = world(None, days=21, spike=False)
    pipeline = Pipeline(catalog)
    fold_all(pipeline, entries)
    watch = next(watch for watch in pipeline.roster.watches.values() if watch.spec.name == "modelled")
    explained = watch.explain(0)
    assert explained["judged_by_baseline"] == 0.0
    assert explained["input_drifts"] >= 1.0
    assert watch.detector.drifted() == 0
    assert watch.detector.foreign() == 1.0  # its new reference made it no other model


def test_the_share_of_series_that_it_was_not_made_for_is_a_point_a_day_once_it_is_known():
    catalog, entries = world("baseline")
    _, shares = told(fold_all(Pipeline(catalog), entries), catalog, FOREIGN)
    assert set(shares) == {0.0, 1.0}
    assert shares == sorted(shares)
    assert len(shares) < 19  # nothing is said before there are two weeks


def test_a_restart_changes_nothing():
    catalog, entries = world("baseline", days=17, drift_day=15)
    first, second = Pipeline(catalog), Pipeline(catalog)
    cut = 2 * A_DAY * 16
    assert fold_all(first, entries[:cut])
    second.restore(unpack(pack(first.snapshot())))
    assert said(fold_all(second, entries[cut:]), catalog) == said(fold_all(first, entries[cut:]), catalog) != []
