"""The ensemble of a series: a detector like any other, chosen from what the data are like and how many there are."""

import numpy as np
import pytest

from engine.worlds import any_series, fold_all, records, said, spiking
from tocsin.engine import series_character
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.series_character import NAMES, PREFERRED, Kind, Traits, allowance_us, members_for
from tocsin.engine.series_ensemble import Ensemble, ensemble
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.codec import findings_of
from tocsin.model.detection import Step
from tocsin.model.errors import BadConfig
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind
from tocsin.model.series import Catalog
from tocsin.spec.monitor import DetectSpec
from tocsin.testing.laws import LAWS

SECOND = 10**9
START = 1_760_000_000 * SECOND


def run(detector, values, step_s=10.0, learn=True):
    """Scores of (n, k) values, one series a column."""
    rows, out = np.arange(values.shape[1], dtype="i4"), []
    for k, row in enumerate(values):
        step = Step(rows, np.full(len(rows), START + round(k * step_s * SECOND)), row.copy())
        out.append(detector.score(step).value)
        if learn:
            detector.learn(step, np.ones(len(rows)))
    return np.array(out)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law_holds(law):
    law(Ensemble)


def life(kind, seed=1, steps=400):
    noise = np.random.default_rng(seed)
    t = np.arange(steps)
    if kind is Kind.ON_OFF:
        return np.where(noise.random(steps) < 0.3, 10.0, 0.0), 60.0
    if kind is Kind.STABLE:
        return np.where(noise.random(steps) < 0.03, noise.normal(size=steps), 5.0), 60.0
    if kind is Kind.SPARSE:
        return noise.lognormal(2, 0.5, steps), 3600.0
    if kind is Kind.COUNTS:
        return noise.poisson(6, steps).astype("f8"), 60.0
    if kind is Kind.NOISE:
        return 50 + noise.normal(size=steps), 10.0
    if kind is Kind.SEASONAL:
        return 50 + 20 * np.sin(2 * np.pi * t / 240) + noise.normal(size=steps) * 0.3, 360.0
    smooth = np.zeros(steps)
    for k in range(1, steps):
        smooth[k] = 0.9 * smooth[k - 1] + noise.normal()
    return 100 + 3 * smooth, 300.0 if kind is Kind.SLOW else 10.0


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.UNKNOWN], ids=lambda k: k.name)
def test_members_are_chosen_from_what_a_series_is_like(kind):
    values, step_s = life(kind, steps=3000 if kind is Kind.SEASONAL else 500)
    detector = Ensemble()
    run(detector, values[:50, None], step_s)
    assert set(detector.members_of(0)) == set(PREFERRED[Kind.UNKNOWN])
    later = Ensemble()
    run(later, values[:, None], step_s)
    assert Kind(int(later.traits.verdict[0])) is kind
    assert set(later.members_of(0)) == set(PREFERRED[kind])
    assert later.explain(0)[f"character.{kind.name.lower()}"] == 1.0


def test_one_odd_review_changes_nothing():
    traits = Traits()
    traits.touch(np.zeros(1, "i4"))
    row, calm = np.zeros(1, "i4"), np.zeros(1, bool)
    traits.moments[0] = [0.0, 1.0, 0.9, 0.0, 0.0]
    traits.shares[0] = [0.0, 0.0, 0.0, 0.0, 300.0]
    assert traits.review(row, calm)[0] == Kind.SLOW
    assert traits.review(row, ~calm)[0] == Kind.SLOW
    assert traits.review(row, calm)[0] == Kind.SLOW
    assert [traits.review(row, ~calm)[0] for _ in range(2)] == [Kind.SLOW, Kind.SEASONAL]


def test_more_series_get_fewer_members_and_the_baseline_always():
    for kind in Kind:
        chosen = [members_for(kind, 10**power) for power in range(1, 8)]
        assert [len(names) for names in chosen] == sorted([len(names) for names in chosen], reverse=True)
        assert chosen[0] == PREFERRED[kind]
        assert chosen[-1] == ("baseline",)
        costs = dict(series_character.SEATS)
        for power, names in enumerate(chosen, 1):
            assert len(names) == 1 or sum(costs[name] for name in names) <= allowance_us(10**power)


def test_under_load_members_are_let_go_and_their_state_with_them(monkeypatch):
    values, step_s = life(Kind.SLOW)
    detector = Ensemble()
    run(detector, values[:239, None], step_s)
    assert set(detector.members_of(0)) == {"baseline", "pca", "novelty"}
    monkeypatch.setattr(series_character, "ALLOWED_US", 4.0)  # as if there were a million
    run(detector, values[239:240, None], step_s)
    assert detector.members_of(0) == ("baseline",)
    assert detector.members[detector.names.index("pca")].seen[0] == 0
    assert np.isfinite(run(detector, values[240:, None], step_s)).all()


def test_a_series_in_company_is_judged_as_alone():
    mixed = np.column_stack([life(kind, 2)[0] for kind in (Kind.NOISE, Kind.ON_OFF, Kind.COUNTS)])
    together = run(Ensemble(), mixed)
    for k in range(3):
        np.testing.assert_array_equal(together[:, k], run(Ensemble(), mixed[:, [k]])[:, 0])


def test_the_sum_is_fishers():
    values = life(Kind.NOISE, 3)[0]
    detector = Ensemble(members="baseline kmeans novelty", records=0.5)
    run(detector, values[:300, None])
    step = Step(np.zeros(1, "i4"), np.array([START + 3000 * SECOND]), np.array([54.0]))
    found = detector.score(step).value[0]
    said = detector.explain(0)
    baseline, kmeans, novelty = (-said[f"member.{name}.log10_p"] for name in detector.names)
    assert max(baseline, kmeans, novelty) < 8
    assert found == pytest.approx((baseline + kmeans) / np.sqrt(2) + 0.5 * novelty)


def test_of_what_one_member_calls_impossible_not_all_counts():
    values = life(Kind.NOISE, 4)[0]
    detector = Ensemble(members="baseline")
    run(detector, values[:300, None])
    odd = [run(detector, np.array([[v]]), learn=False)[0, 0] for v in (60.0, 1e3, 1e9)]
    assert odd == sorted(odd)
    assert 8 < odd[-1] <= 8 * (1 + np.log(300 / 8))


def test_scores_may_be_asked_again_before_they_are_learned():
    """Learning takes what scoring said, or asks anew: the same comes of it."""
    values = np.column_stack([life(Kind.NOISE, seed)[0] for seed in (5, 6)])
    plain, careless = Ensemble(), Ensemble()
    rows = np.arange(2, dtype="i4")
    for k, row in enumerate(values[:200]):
        step = Step(rows, np.full(2, START + k * 10 * SECOND), row.copy())
        plain.score(step)
        plain.learn(step, np.ones(2))
        careless.score(Step(rows, step.time + 1, row + 1))
        for part in (0, 1):
            careless.learn(step.take(np.array([part])), np.ones(1))
    for name, kept in plain.snapshot().items():
        np.testing.assert_array_equal(kept, careless.snapshot()[name], err_msg=name)


def test_a_row_that_waits_for_its_verdict_is_explained_by_what_was_said_of_it():
    values = np.column_stack([life(Kind.NOISE, seed)[0] for seed in (7, 8)])
    detector = Ensemble()
    run(detector, values[:300])
    step = Step(np.arange(2, dtype="i4"), np.full(2, START + 3000 * SECOND), np.array([50.0, 90.0]))
    detector.score(step)
    detector.learn(step.take(np.array([0])), np.ones(1))
    assert detector.explain(1)["member.baseline.log10_p"] < -5
    assert detector.explain(1)["member.baseline"] > 10


def test_where_a_member_stands_on_new_ground_its_own_scores_are_let_go_and_no_others(monkeypatch):
    ensemble = Ensemble(members="baseline kmeans")
    values = np.random.default_rng(2).normal(50, 1, (200, 2))
    run(ensemble, values[:199])
    own, other = (calibrator.hist[:2].sum(axis=1) for calibrator in ensemble.calibrators)
    monkeypatch.setattr(ensemble.members[0], "renewed", lambda: np.array([1], "i4"))
    ensemble.learn(Step(np.arange(2, dtype="i4"), np.full(2, START + 1999 * SECOND), values[199]), np.ones(2))
    kept, same = (calibrator.hist[:2].sum(axis=1) for calibrator in ensemble.calibrators)
    assert kept[1] < 0.7 * own[1]
    assert kept[0] > 0.9 * own[0]
    assert (same > 0.9 * other).all()
    assert ensemble.renewed().size == ensemble.entrained().size == 0


def test_what_rows_measure_is_told_to_the_members_that_can_use_it():
    detector = Ensemble()
    rows = np.arange(3, dtype="i4")
    detector.adopt({"rows": rows, "told": np.array([1, 2, 3], "u1")})
    assert detector.members[0].told[:3].tolist() == [1, 2, 3]
    assert [name for name, member in zip(detector.names, detector.members, strict=True) if member.size] == ["baseline"]


def test_members_that_do_not_run_take_no_room():
    values = np.column_stack([life(Kind.ON_OFF, seed)[0] for seed in (5, 6)])
    detector = Ensemble()
    run(detector, values[:100], 60.0)
    sizes = {name: member.size for name, member in zip(detector.names, detector.members, strict=True)}
    assert sizes == {**dict.fromkeys(NAMES, 0), "baseline": 2, "novelty": 2}


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"member": "knn"}, "did you mean 'members'"),
        ({"members": "baseline basline"}, "did you mean 'baseline'"),
        ({"members": "knn knn"}, "differ"),
        ({"members": 3.0}, "names"),
        ({"records": -1.0}, "at least 0"),
    ],
)
def test_what_cannot_be_is_refused(params, told):
    with pytest.raises(BadConfig, match=told):
        ensemble(params)


def test_a_monitor_names_it():
    assert DetectSpec.model_validate({"ensemble": {}}).name == "ensemble"


@pytest.fixture(scope="module")
def spiked():
    """A fold of three series that jump, watched by the ensemble: catalog, entries, outputs."""
    catalog = Catalog()
    entries = [any_series(detect={"ensemble": {}}).control(), *spiking(catalog, seconds=960, spike_at=900)]
    return catalog, entries, fold_all(Pipeline(catalog), records(entries))


def test_a_finding_tells_which_members_ran_why_and_what_each_said(spiked):
    catalog, _, outputs = spiked
    frames = [frame for out in outputs for frame in out.frames if frame.kind is FrameKind.FINDINGS]
    opened = [found for frame in frames for found in findings_of(frame, catalog) if found.phase is Phase.OPEN]
    assert {dict(found.series.labels)["host"] for found in opened} == {"h0", "h1", "h2"}
    for found in opened:
        assert found.evidence["detector"] == "ensemble"
        assert found.evidence["state.allowance_us"] > 1000
        (kind,) = [kind for kind in Kind if f"state.character.{kind.name.lower()}" in found.evidence]
        assert kind is not Kind.UNKNOWN
        ran = {name for name in NAMES if f"state.member.{name}" in found.evidence}
        assert {"baseline", "novelty"} <= ran <= set(PREFERRED[kind])  # the others are not warm yet
        assert min(found.evidence[f"state.member.{name}.log10_p"] for name in ran) < -4
        assert found.expected[0] < 100 < found.expected[1] < found.value


def test_a_restart_changes_nothing(spiked):
    catalog, entries, outputs = spiked
    cut = len(entries) - 100
    first = Pipeline(catalog)
    before = fold_all(first, records(entries[:cut]))
    second = Pipeline(catalog)
    second.restore(unpack(pack(first.snapshot())))
    after = fold_all(second, records(entries[cut:], cut))
    assert said(before + after, catalog) == said(outputs, catalog)
