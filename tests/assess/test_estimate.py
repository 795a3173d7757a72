"""Estimates without truth on made-up models: unbiased under a shift of inputs, honest about what they can't see."""

import numpy as np
import pytest

from tocsin.assess.estimate import Estimator, Said, Task
from tocsin.assess.estimate_error import EstimateError
from tocsin.assess.intervals import Measure, rate_of
from tocsin.assess.performance import of_classes, of_numbers
from tocsin.assess.performance_alarm import PerformanceNorm, blocks_of, error_of
from tocsin.model.errors import BadInput


def _world(rng, n, shift=0.0, concept=0.0):
    """A model that knows `x` but not the group `g`, in which it is worse; a shift makes that group larger."""
    group = (rng.random(n) < 0.15 + shift).astype("i8")
    x = rng.normal(shift, 1, n)
    chance = 1 / (1 + np.exp(-(2 * x * np.where(group == 1, 0.3, 1.0) + concept)))
    truth = rng.random(n) < chance
    score = 1 / (1 + np.exp(-1.4 * x))  # not calibrated, too
    return Said((x, group), score >= 0.5, score), truth


def _real(said, truth):
    return {k: m.value for k, m in of_classes(truth, said.predicted, said.score, np.random.default_rng(0)).items()}


@pytest.fixture(scope="module")
def estimator():
    return Estimator(Task.BINARY, *_world(np.random.default_rng(1), 20_000))


def test_under_a_shift_of_inputs_estimates_are_near_what_comes_true(estimator):
    rng = np.random.default_rng(2)
    for shift in (0.0, 0.2, 0.4):
        gaps = {}
        for _ in range(10):
            said, truth = _world(rng, 3000, shift)
            real, found = _real(said, truth), estimator.estimate(said)
            for name in ("accuracy", "precision", "recall", "f1", "auc", "log_loss"):
                gaps.setdefault(name, []).append(real[name] - found.measures[name].value)
        for name, gap in gaps.items():
            assert abs(np.mean(gap)) < (0.03 if shift > 0.3 or name == "log_loss" else 0.012), (shift, name)


def test_features_mend_what_confidence_alone_gets_wrong(estimator):
    """Confidence alone does not see that the group in which the model is worse has grown."""
    rng = np.random.default_rng(3)
    said, truth = _world(rng, 50_000, 0.6)
    blind = Estimator(Task.BINARY, *_without_features(_world(rng, 20_000)))
    real = _real(said, truth)["accuracy"]
    with_features = estimator.estimate(said).measures["accuracy"].value
    without = blind.estimate(Said((), said.predicted, said.score)).measures["accuracy"].value
    assert abs(with_features - real) < 0.5 * abs(without - real)


def _without_features(made):
    return Said((), made[0].predicted, made[0].score), made[1]


def test_intervals_hold_the_realised_value(estimator):
    rng = np.random.default_rng(4)
    inside = dict.fromkeys(("accuracy", "precision", "recall", "f1", "auc"), 0)
    for _ in range(200):
        said, truth = _world(rng, 400, 0.1)
        real, found = _real(said, truth), estimator.estimate(said).measures
        for name in inside:
            inside[name] += found[name].low <= real[name] <= found[name].high
    for name, count in inside.items():
        assert count / 200 >= 0.9, name


def test_numbers_are_estimated_by_the_rows_that_are_alike():
    rng = np.random.default_rng(5)

    def world(n, shift):
        x = rng.normal(shift, 1, n)
        truth = 3 * x + rng.normal(0, 1, n) * np.exp(0.5 * x)
        return Said((x,), 3 * x), truth

    estimator = Estimator(Task.NUMBERS, *world(20_000, 0.0))
    said, truth = world(5000, 0.5)
    real = {k: m.value for k, m in of_numbers(truth, said.predicted).items()}
    found = estimator.estimate(said).measures
    assert found["mae"].value == pytest.approx(real["mae"], rel=0.08)
    assert found["rmse"].value == pytest.approx(real["rmse"], rel=0.12)


def test_classes_have_an_accuracy():
    rng = np.random.default_rng(6)

    def world(n, shift):
        group = (rng.random(n) < 0.2 + shift).astype("i8")
        said = rng.integers(0, 4, n)
        truth = np.where(rng.random(n) < np.where(group == 1, 0.5, 0.9), said, (said + 1) % 4)
        return Said((group,), said), truth

    estimator = Estimator(Task.CLASSES, *world(20_000, 0.0))
    assert estimator.estimate(world(5000, 0.5)[0]).measures["accuracy"].value == pytest.approx(0.62, abs=0.02)


def test_what_the_reference_never_had_is_told(estimator):
    said, _ = _world(np.random.default_rng(7), 1000)
    odd = Said((said.features[0], np.where(np.arange(1000) < 300, -2, said.features[1])), said.predicted, said.score)
    assert estimator.estimate(said).unknown_share < 0.02
    assert estimator.estimate(odd).unknown_share == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_handful_of_rows_gives_values_without_warnings(estimator, rows):
    said, _ = _world(np.random.default_rng(8), rows)
    found = estimator.estimate(said)
    assert 0 <= found.measures["accuracy"].value <= 1


def test_columns_that_hold_nothing_or_one_value_change_nothing():
    rng = np.random.default_rng(9)
    said, truth = _world(rng, 5000)
    empty, same = np.full(5000, np.nan), np.full(5000, 3.0)
    odd = Said((*said.features, empty, same, np.full(5000, -1, "i8")), said.predicted, said.score)
    plain, full = Estimator(Task.BINARY, said, truth), Estimator(Task.BINARY, odd, truth)
    part = slice(0, 500)
    one, other = (each.on_reference(part).measures["accuracy"].value for each in (plain, full))
    assert one == pytest.approx(other, abs=0.002)


def test_many_features_and_categories_are_bounded():
    rng = np.random.default_rng(10)
    said, truth = _world(rng, 3000)
    noise = [rng.normal(size=3000) for _ in range(300)] + [rng.integers(0, 3000, 3000)]
    estimator = Estimator(Task.BINARY, Said((*said.features, *noise), said.predicted, said.score), truth)
    assert estimator._ratio.grid.size <= 400
    assert any(used in (0, 1) for used in estimator._used)


def test_too_little_truth_is_refused():
    said, truth = _world(np.random.default_rng(11), 99)
    with pytest.raises(BadInput, match="99 rows with truth"):
        Estimator(Task.BINARY, said, truth)
    with pytest.raises(BadInput, match="without rows"):
        Estimator(Task.BINARY, *_world(np.random.default_rng(11), 200)).estimate(said.part(slice(0, 0)))


def _norm(estimator, said, truth, n):
    blocks = blocks_of(len(said), n)
    guesses = [estimator.on_reference(block) for block in blocks]
    whole = of_classes(truth, said.predicted, said.score, np.random.default_rng(0))
    return PerformanceNorm.of(
        whole, [{k: m.value for k, m in each.measures.items()} for each in guesses], [each.errors for each in guesses]
    )


def test_a_fall_of_performance_is_found_from_predictions_alone_and_calm_chunks_are_calm():
    rng = np.random.default_rng(12)
    said, truth = _world(rng, 20_000)
    estimator = Estimator(Task.BINARY, said, truth)
    norm = _norm(estimator, said, truth, 1000)

    def falls(shift):
        found = estimator.estimate(_world(rng, 1000, shift)[0])
        return norm.falls({k: m.value for k, m in found.measures.items()}, found.errors)

    assert sum(bool(falls(0.0)) for _ in range(200)) <= 2
    assert all(falls(0.7) for _ in range(10))


def test_a_sure_but_tiny_fall_is_no_alarm():
    norm = PerformanceNorm({"accuracy": Measure(0.9, 0.899, 0.901, 10**6)}, {"accuracy": 1.0}, 20)
    assert not norm.falls({"accuracy": 0.893}, {"accuracy": 1e-5})
    assert norm.falls({"accuracy": 0.889}, {"accuracy": 1e-5})
    assert not norm.falls({"accuracy": 0.5}, {"accuracy": float("nan")})
    assert not norm.falls({"accuracy": 0.95}, {"accuracy": 1e-5}), "better is no fall"


def test_an_error_that_rises_by_a_tenth_is_an_alarm():
    norm = PerformanceNorm({"mae": Measure(2.0, 1.99, 2.01, 10**6)}, {"mae": 1.0}, 20)
    assert not norm.falls({"mae": 2.1}, {"mae": 0.001})
    assert norm.falls({"mae": 2.3}, {"mae": 0.001})
    assert error_of(Measure(2.0, 1.0, 3.0)) == pytest.approx(0.51, abs=0.01)


def test_truth_corrects_later_estimates_and_widens_what_was_too_narrow():
    rng = np.random.default_rng(13)
    error = EstimateError()
    first = Measure(0.8, 0.79, 0.81, 1000)
    assert error.corrected(first) == first, "no truth, no correction"
    off = []
    for _ in range(60):
        real = 0.72 + rng.normal(0, 0.02)
        corrected = error.corrected(first)
        off.append(abs(corrected.value - real))
        error.learn(first.value, real)
    assert np.mean(off[20:]) < 0.045
    assert np.mean(off[20:]) < 0.5 * error.mean_absolute
    late = error.corrected(first)
    assert late.high - late.low > 0.05
    error.learn(0.8, float("nan"))
    assert error.chunks == 60


@pytest.mark.parametrize("labels", [150, 1000, 4000])
def test_blocks_that_vary_are_no_fall_and_few_labels_find_one(labels):
    """Blocks of 1,000 rows whose accuracy varies by .02 of itself; a chunk has fewer labels than a block, or more."""
    rng = np.random.default_rng(labels)
    false = found = 0
    for _ in range(400):
        chances = np.clip(0.83 + 0.02 * rng.normal(size=9), 0, 1)
        blocks = [rate_of(int(rng.binomial(1000, chance)), 1000, 0.95, "") for chance in chances[:8]]
        whole = rate_of(sum(round(1000 * each.value) for each in blocks), 8000, 0.95, "")
        norm = PerformanceNorm.of(
            {"accuracy": whole},
            [{"accuracy": each.value} for each in blocks],
            [{"accuracy": error_of(each)} for each in blocks],
        )
        for fallen, chance in ((False, chances[8]), (True, chances[8] - 0.2)):
            now = rate_of(int(rng.binomial(labels, chance)), labels, 0.95, "")
            alarm = bool(norm.falls({"accuracy": now.value}, {"accuracy": error_of(now)}))
            found, false = found + (alarm and fallen), false + (alarm and not fallen)
    assert false <= 4
    assert found > 320
