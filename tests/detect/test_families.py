"""Shares, durations and counts, each judged as what it is; nothing is normalised across series."""

import numpy as np
import pytest

from tocsin.detect.baseline import Baseline
from tocsin.detect.working_scale import from_work, slope, to_work
from tocsin.engine.metric_family import PLAIN, MetricFamilies
from tocsin.model.detection import Step
from tocsin.model.series import Kind, Signal
from tocsin.spec.pack import FamilySpec
from tocsin.spec.packs import load_packs

MINUTE = 60 * 10**9
SHARE, PERCENT, DURATION = 1, 2, 3


def score_after(values, last, *, told=0, least=0.0):
    """Score of a last value after the values before it, one a minute."""
    detector, row = Baseline(), np.zeros(1, "i4")
    detector.adopt({"rows": row, "told": np.array([told], "u1"), "least": np.array([least], "f4")})
    for k, value in enumerate(values):
        step = Step(row, np.array([k * MINUTE]), np.array([value]))
        detector.score(step)
        detector.learn(step, np.ones(1))
    step = Step(row, np.array([len(values) * MINUTE]), np.array([last]))
    return float(detector.score(step).value[0]), detector


@pytest.mark.parametrize(("offset", "top"), [(0.0, 0.0), (2.0, 0.0), (1e-4, 1.0), (0.05, 1.0), (1.0, 100.0)])
def test_a_working_scale_rises_and_is_undone_within_its_bounds_and_beyond(offset, top):
    values = np.linspace(-0.5, 1.5, 41) * (top or 10.0)
    work = np.array([to_work(v, offset, top) for v in values])
    assert (np.diff(work) > 0).all()
    assert np.allclose([from_work(y, offset, top) for y in work], values, rtol=1e-9, atol=1e-9 * (top or 10.0))
    numeric = (to_work(0.3 * (top or 10) + 1e-6, offset, top) - to_work(0.3 * (top or 10) - 1e-6, offset, top)) / 2e-6
    assert slope(0.3 * (top or 10.0), offset, top) == pytest.approx(numeric, rel=1e-4)


def availability(scale, seed=1):
    """Failures come in shares that differ by factors: about one in two thousand."""
    rng = np.random.default_rng(seed)
    return scale * (1.0 - 5e-4 * np.exp(0.5 * rng.normal(size=1500)))


@pytest.mark.parametrize(("told", "top"), [(SHARE, 1.0), (PERCENT, 100.0)])
def test_a_tenth_of_what_was_left_to_the_bound_counts_and_a_few_points_of_a_processor_do_not(told, top):
    found, detector = score_after(availability(top), 0.99 * top, told=told)
    assert detector.explain(0)["logit_scale"] == 1.0
    assert found > 4.0
    calm, _ = score_after(availability(top), 0.9985 * top, told=told)
    assert calm < 3.0
    processor = top * (0.40 + 0.002 * np.random.default_rng(2).normal(size=600))
    small, _ = score_after(processor, 0.45 * top, told=told, least=0.02 * top)
    assert small < 3.0
    large, _ = score_after(processor, 0.60 * top, told=told, least=0.02 * top)
    assert large > 8.0
    untold, _ = score_after(processor, 0.45 * top)
    assert untold > 8.0


def test_a_share_of_failures_that_is_nearly_always_zero_loses_nothing_by_its_family():
    rng = np.random.default_rng(3)
    values = np.where(rng.random(1500) < 0.03, 1.0 / rng.integers(20, 60, 1500), 0.0)
    for last in (0.2, 0.5, 1.0):
        assert score_after(values, last, told=SHARE)[0] >= 0.9 * score_after(values, last)[0] > 3.0


def test_what_is_said_to_be_a_share_and_is_none_goes_on_as_a_plain_number():
    cores = 250.0 + 5.0 * np.random.default_rng(4).normal(size=600)
    found, detector = score_after(cores, 320.0, told=PERCENT)
    assert detector.explain(0)["logit_scale"] == 0.0
    assert found > 8.0
    assert score_after(cores, 255.0, told=PERCENT)[0] < 3.0


def test_a_duration_is_judged_by_factors_from_its_first_minutes():
    values = 0.2 * np.exp(0.1 * np.random.default_rng(5).normal(size=40))
    slow, detector = score_after(values, 0.5, told=DURATION, least=0.02)
    assert detector.explain(0)["log_scale"] == 1.0
    assert slow > 6.0
    steady = np.full(60, 0.2) + 1e-6 * np.arange(60)
    assert score_after(steady, 0.205, told=DURATION, least=0.02)[0] < 3.0


FAMILIES = MetricFamilies([rule for pack in load_packs() for rule in pack.families])


@pytest.mark.parametrize(
    ("signal", "scale", "least"),
    [
        (Signal("system.cpu.utilization", "1"), SHARE, 0.02),
        (Signal("system.memory.utilization", "1"), SHARE, 0.0),
        (Signal("node_disk_busy", "%"), PERCENT, 0.0),
        (Signal("orders.change", "%"), 0, 0.0),
        (Signal("DCGM_FI_DEV_GPU_UTIL"), PERCENT, 1.0),
        (Signal("vllm:kv_cache_usage_perc"), SHARE, 0.0),
        (Signal("vllm:time_to_first_token_seconds"), DURATION, 0.02),
        (Signal("http.server.request.duration", "s", Kind.HISTOGRAM), DURATION, 0.02),
        (Signal("queue.depth", "{message}"), 0, 0.2),
        (Signal("process.uptime", "s"), 0, 0.0),
        (Signal("process_start_time_seconds"), 0, 0.0),
    ],
)
def test_the_packs_know_what_common_signals_are(signal, scale, least):
    assert tuple(FAMILIES.of(signal, None)) == (scale, least)


def test_totals_numbers_and_counters_have_no_bounds_and_the_longer_name_wins():
    assert FAMILIES.of(Signal("system.cpu.utilization", "1"), "sum") == PLAIN
    assert FAMILIES.of(Signal("http.server.request.duration", "s"), "count") == PLAIN
    assert FAMILIES.of(Signal("jobs_duration_seconds", "", Kind.SUM, monotonic=True), None) == PLAIN
    own = MetricFamilies(
        [
            FamilySpec(family="plain", names=["*"]),
            FamilySpec(family="share", names=["load*"]),
            FamilySpec(family="plain"),
        ]
    )
    assert own.of(Signal("load.a"), None).scale == SHARE
    assert own.of(Signal("other"), None) == PLAIN
