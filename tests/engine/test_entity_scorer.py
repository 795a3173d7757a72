"""All signals of an entity together: laws, faults that are found and put down to the right signals, gaps."""

import numpy as np
import pytest

from tocsin.engine.entity_scorer import MEMBERS, SECOND, EntityScorer
from tocsin.model.errors import Corrupt

STEP_NS = 60 * SECOND


def stream(rows, signals, seed=1):
    """A load that all signals follow, each with its own weight and noise; (rows, signals)."""
    rng = np.random.default_rng(seed)
    load = np.sin(np.arange(rows) / 15.0) + np.cumsum(rng.normal(size=rows)) * 0.02
    weight = np.linspace(1.0, 3.0, signals)
    return 10.0 + load[:, None] * weight + 0.1 * rng.normal(size=(rows, signals))


def told(scorer, rows, begin=0):
    return [scorer.fold((begin + t) * STEP_NS, row) for t, row in enumerate(rows)]


def bits(verdicts):
    return np.array([[v.score, v.log10_p, v.level, v.alarm, *v.contributions] for v in verdicts]).tobytes()


def test_the_same_rows_give_the_same_bits_whatever_comes_after():
    rows = stream(260, 5)
    other = rows.copy()
    other[200:] *= -3.0
    first, second = told(EntityScorer(5, 60.0), rows), told(EntityScorer(5, 60.0), other)
    assert bits(first[:200]) == bits(second[:200])
    assert bits(first[200:]) != bits(second[200:])


@pytest.mark.parametrize("cut", [30, 61, 215])
def test_a_restart_changes_nothing(cut):
    rows = stream(300, 5)
    rows[250:] += 4.0
    whole = EntityScorer(5, 60.0)
    expected = told(whole, rows)
    before, after = EntityScorer(5, 60.0), EntityScorer(5, 60.0)
    told(before, rows[:cut])
    kept = before.snapshot()
    told(before, rows[cut : cut + 20], cut)  # a snapshot is a copy
    after.restore(kept)
    assert bits(told(after, rows[cut:], cut)) == bits(expected[cut:])


def test_a_snapshot_of_another_entity_is_refused():
    scorer = EntityScorer(5, 60.0)
    told(scorer, stream(10, 5))
    with pytest.raises(Corrupt, match="this entity wants"):
        EntityScorer(6, 60.0).restore(scorer.snapshot())
    with pytest.raises(Corrupt, match="this one has own"):
        EntityScorer(5, 60.0, members=("spread",)).restore(scorer.snapshot())


def test_the_order_of_signals_means_nothing():
    rows = stream(300, 6)
    rows[280:, 2] += 5.0
    order = np.array([3, 5, 0, 2, 1, 4])
    plain, shuffled = told(EntityScorer(6, 60.0), rows), told(EntityScorer(6, 60.0), rows[:, order])
    for one, other in zip(plain[61:], shuffled[61:], strict=True):
        assert other.score == pytest.approx(one.score, rel=1e-6)
        assert other.contributions == pytest.approx(one.contributions[order], rel=1e-5, abs=1e-9)


def test_a_broken_correlation_is_found_though_each_signal_is_within_its_range():
    rows = stream(1500, 6)
    broken = rows.copy()
    broken[1450:, 1] = 20.0 - rows[1450:, 1]  # mirrored about its centre: as high and as low as ever
    calm, alarmed = told(EntityScorer(6, 60.0), rows), told(EntityScorer(6, 60.0), broken)
    assert not any(v.alarm for v in calm[1400:])
    worst = max(alarmed[1450:], key=lambda v: v.members["relation"].score)
    assert worst.members["relation"].log10_p < -3
    assert worst.members["spread"].log10_p > -2
    assert any(v.alarm for v in alarmed[1450:])
    assert not any(v.alarm for v in alarmed[1400:1450])
    scorer = EntityScorer(6, 60.0, members=("relation",))
    alone = told(scorer, broken)
    worst = max(alone[1450:], key=lambda v: v.score)
    assert int(np.argmax(worst.contributions)) == 1


def test_a_constant_signal_that_moves_is_blamed():
    rows = stream(820, 5)
    rows[:, 3] = 7.0
    rows[800:, 3] = 7.5
    verdicts = told(EntityScorer(5, 60.0), rows)
    assert not any(v.alarm for v in verdicts[700:800])
    assert any(v.alarm for v in verdicts[800:])
    assert int(np.argmax(verdicts[803].contributions)) == 3


def test_missing_values_and_signals_that_come_and_go():
    rows = stream(500, 6)
    rows[np.random.default_rng(3).random(rows.shape) < 0.2] = np.nan
    rows[:250, 0] = np.nan  # appears
    rows[300:, 1] = np.nan  # vanishes
    rows[:, 2] = np.nan  # never there
    rows[350] = np.nan
    rows[360, 4] = np.inf
    rows[450:, 5] += 25.0
    verdicts = told(EntityScorer(6, 60.0), rows)
    assert np.isnan(verdicts[350].score)
    assert not any(v.alarm for v in verdicts[:450])
    known = [v for k, v in enumerate(verdicts) if k > 62 and k != 350]
    assert all(np.isfinite(v.score) for v in known)
    assert all(np.isfinite(v.contributions).all() for v in verdicts)
    assert all(v.contributions[2] == 0.0 for v in verdicts)
    assert any(v.alarm for v in verdicts[450:470])
    assert int(np.argmax(verdicts[460].contributions)) == 5


def test_contributions_sum_to_the_score():
    for verdict in told(EntityScorer(4, 60.0), stream(150, 4))[65:]:
        assert verdict.contributions.sum() == pytest.approx(verdict.score, rel=0.2)
        assert (verdict.contributions >= 0.0).all()


def test_members_are_chosen_from_the_data():
    rng = np.random.default_rng(5)
    smooth = told(EntityScorer(5, 60.0), stream(300, 5))[-1]
    assert set(smooth.members) == {member.name for member in MEMBERS}
    unrelated = told(EntityScorer(5, 60.0), rng.normal(size=(300, 5)))[-1]
    assert set(unrelated.members) == {"spread", "near_rows", "subspace"}
    assert unrelated.character.dependence < 0.2 < smooth.character.dependence
    rare = np.where(rng.random((300, 5)) < 0.02, rng.normal(size=(300, 5)), 0.0)
    assert "autoregression" not in told(EntityScorer(5, 60.0), rare)[-1].members


@pytest.mark.parametrize("signals", [1, 2, 500])
def test_narrow_and_wide_entities(signals):
    rows = stream(130, signals)
    rows[120:] += 6.0
    verdicts = told(EntityScorer(signals, 60.0), rows)
    assert verdicts[125].log10_p < -2
    assert all(np.isfinite(v.score) for v in verdicts[61:])


def test_rows_that_never_came_and_rows_that_are_refused():
    scorer, rows = EntityScorer(3, 60.0), stream(200, 3)
    told(scorer, rows[:150])
    verdict = scorer.fold(170 * STEP_NS, rows[150])
    assert np.isfinite(verdict.score)
    with pytest.raises(ValueError, match="later than"):
        scorer.fold(170 * STEP_NS, rows[151])
    with pytest.raises(ValueError, match="3 values"):
        scorer.fold(171 * STEP_NS, rows[151, :2])
    with pytest.raises(ValueError, match="members are some of spread"):
        EntityScorer(3, 60.0, members=("nothing",))
