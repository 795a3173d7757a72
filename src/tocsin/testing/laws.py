"""The laws every detector keeps; `check_detector(factory)` runs them all, for built-in and installed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Detector, Params, Step

Factory: TypeAlias = Callable[[], Detector]
Law: TypeAlias = Callable[[Factory], None]

SERIES: Final = 7
STEPS: Final = 120
STEP_NS: Final = 60_000_000_000
START_NS: Final = 1_760_000_000_000_000_000


def _stream(seed: int, steps: int = STEPS) -> list[Step]:
    """Ordinary life of seven series: normal noise about levels 10, 11, ..., sd 0.5 to 2."""
    noise = np.random.default_rng(seed).normal(size=(steps, SERIES))
    rows = np.arange(SERIES, dtype=np.int32)
    values = 10.0 + rows + noise * (0.5 + 0.25 * rows)
    times = START_NS + STEP_NS * np.arange(steps, dtype=np.int64)
    return [Step(rows.copy(), np.full(SERIES, t), v.copy()) for t, v in zip(times, values, strict=True)]


def _ones(step: Step) -> F8:
    return np.ones(len(step))


def _run(detector: Detector, steps: Sequence[Step]) -> F8:
    """Scores and band of each step, then learn it: (steps, 4, n)."""
    out = []
    for step in steps:
        band = detector.expect(step)
        out.append(np.stack([detector.score(step).value, band.lower, band.centre, band.upper]))
        detector.learn(step, _ones(step))
    return np.array(out)


def _same_state(one: Detector, other: Detector) -> None:
    a, b = one.snapshot(), other.snapshot()
    assert a.keys() == b.keys(), "snapshots of one class have different columns"
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=f"state column {name}")


def law_is_deterministic(make: Factory) -> None:
    """The same steps give the same bits."""
    steps = _stream(1)
    np.testing.assert_array_equal(_run(make(), steps), _run(make(), steps))


def law_splits_mean_nothing(make: Factory) -> None:
    """A step in two parts gives the same bits as in one, state included."""
    steps = _stream(2)
    whole, parts = make(), make()
    for k, step in enumerate(steps):
        cut = k % SERIES
        halves = [step.take(np.arange(cut)), step.take(np.arange(cut, SERIES))]
        got = [parts.score(half).value for half in halves]
        np.testing.assert_array_equal(whole.score(step).value, np.concatenate(got))
        whole.learn(step, _ones(step))
        for half in halves:
            parts.learn(half, _ones(half))
    _same_state(whole, parts)


def law_order_of_rows_means_nothing(make: Factory) -> None:
    """Permuting the rows of a step permutes the answer, bit for bit."""
    steps = _stream(3)
    order = np.random.default_rng(0).permutation(SERIES)
    np.testing.assert_array_equal(_run(make(), steps)[..., order], _run(make(), [s.take(order) for s in steps]))


def law_series_do_not_touch_each_other(make: Factory) -> None:
    """Leaving series out changes nothing for the others; nor does the number of their row."""
    steps = _stream(4)
    some = [step.take(np.array([2, 5])) for step in steps]
    moved = [Step(step.rows + np.int32(40), step.time, step.value) for step in some]
    whole = _run(make(), steps)[..., [2, 5]]
    np.testing.assert_array_equal(whole, _run(make(), some))
    np.testing.assert_array_equal(whole, _run(make(), moved))


def law_restart_is_no_restart(make: Factory) -> None:
    """Restoring a snapshot into a new instance goes on as if nothing had happened, also for rows yet unseen."""
    steps = _stream(5)
    whole = make()
    expected = _run(whole, steps)
    first = make()
    before = _run(first, steps[:50])
    second = make()
    second.restore(first.snapshot())
    np.testing.assert_array_equal(expected, np.concatenate([before, _run(second, steps[50:])]))
    _same_state(whole, second)


def law_snapshot_is_a_copy(make: Factory) -> None:
    """Learning on changes no snapshot taken before, and changing a snapshot changes no detector."""
    steps = _stream(6)
    detector = make()
    _run(detector, steps[:60])
    snapshot = detector.snapshot()
    before = {name: column.copy() for name, column in snapshot.items()}
    other = make()
    other.restore(snapshot)
    _run(detector, steps[60:])
    _run(other, steps[60:])
    for name, column in snapshot.items():
        np.testing.assert_array_equal(column, before[name], err_msg=f"state column {name}")


def law_scoring_is_pure(make: Factory) -> None:
    """`score` and `expect` leave no trace, also for rows never learned."""
    steps = _stream(7)
    detector, untouched = make(), make()
    _run(detector, steps[:60])
    untouched.restore(detector.snapshot())
    unseen = Step(steps[60].rows + np.int32(SERIES), steps[60].time, steps[60].value)
    for step in (steps[60], unseen, steps[60]):
        np.testing.assert_array_equal(detector.score(step).value, detector.score(step).value)
        detector.expect(step)
    _same_state(detector, untouched)


def law_bad_values_are_harmless(make: Factory) -> None:
    """NaN and infinities score NaN, teach nothing, and leave the other rows of their step alone."""
    steps = _stream(8)
    detector, clean = make(), make()
    for step in steps[:60]:
        detector.learn(step, _ones(step))
        clean.learn(step, _ones(step))
    for k, bad in enumerate((np.nan, np.inf, -np.inf)):
        good = np.arange(SERIES) != 2
        step = Step(steps[60 + k].rows, steps[60 + k].time, np.where(good, steps[60 + k].value, bad))
        scores = detector.score(step).value
        assert np.isnan(scores[2]), f"a value of {bad} got the score {scores[2]}"
        assert np.isfinite(scores[good]).all(), f"a value of {bad} spoilt the scores of other rows"
        detector.learn(step, _ones(step))
        clean.learn(step.take(good), np.ones(SERIES - 1))
    _same_state(detector, clean)


def law_weight_zero_learns_nothing(make: Factory) -> None:
    """A step of weight 0 leaves the state as it was, bit for bit; half a weight learns no more than a whole."""
    steps = _stream(9)
    detector, untouched = make(), make()
    for step in steps[:60]:
        detector.learn(step, _ones(step))
    untouched.restore(detector.snapshot())
    detector.learn(steps[60], np.zeros(SERIES))
    _same_state(detector, untouched)


def law_influence_is_bounded(make: Factory) -> None:
    """One monstrous value, learned, does not make the next strange value look ordinary."""
    steps = _stream(10)
    detector = make()
    calm = _run(detector, steps)[:, 0]
    later = [Step(steps[-1].rows, steps[-1].time + STEP_NS * k, steps[0].value) for k in range(1, 4)]
    detector.learn(Step(later[0].rows, later[0].time, np.full(SERIES, 1e12)), np.ones(SERIES))
    for step in later[1:2]:
        detector.learn(step, _ones(step))
    strange = Step(later[2].rows, later[2].time, np.full(SERIES, 1e3))
    assert (detector.score(strange).value > np.nanquantile(calm, 0.9, axis=0)).all()


def law_adopt_replays(make: Factory) -> None:
    """Adopting the same parameters at the same place gives the same bits, and an empty set changes nothing."""
    steps = _stream(11)
    source = make()
    _run(source, steps[:60])
    params: Params = {"rows": np.arange(SERIES, dtype=np.int32), **source.snapshot()}
    one, other = make(), make()
    for detector in (one, other):
        _run(detector, steps[60:80])
        detector.adopt(params)
    np.testing.assert_array_equal(_run(one, steps[80:]), _run(other, steps[80:]))
    before = make()
    before.restore(one.snapshot())
    one.adopt({})
    _same_state(one, before)


def law_silent_until_warm(make: Factory) -> None:
    """No score and no band before `warm` says 1, a score from then on; and `warm` starts at 0."""
    detector = make()
    steps = _stream(12)
    assert (detector.warm(steps[0].rows) == 0.0).all(), "a new row is warm before it saw anything"
    for step in steps:
        warm = detector.warm(step.rows)
        assert ((warm >= 0.0) & (warm <= 1.0)).all()
        given = np.isfinite(detector.score(step).value)
        np.testing.assert_array_equal(given, warm == 1.0, err_msg="scores are given exactly when warm")
        assert np.isnan(detector.expect(step).centre[~given]).all(), "a band before there are scores"
        detector.learn(step, _ones(step))
    assert (detector.warm(steps[0].rows) == 1.0).all(), f"not warm after {STEPS} steps"


def law_forget_makes_new(make: Factory) -> None:
    """A forgotten row lives on like one never seen; the others stay as they are."""
    steps = _stream(13)
    detector, fresh, kept = make(), make(), make()
    for step in steps[:60]:
        detector.learn(step, _ones(step))
        kept.learn(step, _ones(step))
    gone: I4 = np.array([2], np.int32)
    detector.forget(gone)
    others = np.arange(SERIES) != 2
    for step in steps[60:]:
        got = detector.score(step).value
        np.testing.assert_array_equal(got[2:3], fresh.score(step.take(~others)).value)
        np.testing.assert_array_equal(got[others], kept.score(step).value[others])
        detector.learn(step, _ones(step))
        fresh.learn(step.take(~others), np.ones(1))
        kept.learn(step, _ones(step))


def law_a_planted_spike_is_found(make: Factory) -> None:
    """A value 20 sds up scores above all that ordinary life scored in its last hour."""
    steps = _stream(14)
    detector = make()
    calm = _run(detector, steps)[-60:, 0]
    rows = steps[-1].rows
    spike = Step(rows, steps[-1].time + STEP_NS, 10.0 + rows + 20.0 * (0.5 + 0.25 * rows))
    assert (detector.score(spike).value > calm.max(axis=0)).all()


def law_scores_and_bands_are_sane(make: Factory) -> None:
    """Scores are >= 0 and finite, about their own time; bands are ordered and hold their centre."""
    detector = make()
    for step in _stream(15):
        scores, band = detector.score(step), detector.expect(step)
        given = np.isfinite(scores.value)
        assert (scores.value[given] >= 0.0).all()
        np.testing.assert_array_equal(scores.rows, step.rows)
        assert (scores.at <= step.time).all(), "a verdict about the future"
        assert (band.lower[given] <= band.centre[given]).all()
        assert (band.centre[given] <= band.upper[given]).all()
        detector.learn(step, _ones(step))


LAWS: Final[tuple[Law, ...]] = tuple(law for name, law in sorted(globals().items()) if name.startswith("law_"))


def check_detector(factory: Factory) -> None:
    """Run every law on new instances that `factory` makes.

    Raises
    ------
    AssertionError
        A law is broken; the message names it first.
    """
    for law in LAWS:
        try:
            law(factory)
        except AssertionError as broken:
            raise AssertionError(f"{law.__name__}: {law.__doc__} {broken}") from broken
