"""The plain charts against their textbooks: moments, sums and quartiles computed anew for each value, on noise in bounds."""

import numpy as np
import pytest

from one_series import scores
from tocsin.detect.cusum import Cusum
from tocsin.detect.ewma import Ewma
from tocsin.detect.iqr import Iqr
from tocsin.detect.threshold import Threshold
from tocsin.detect.zscore import Zscore

WARM = 30
VALUES = np.random.default_rng(1).uniform(90, 110, 400)  # no value is beyond 4 sd, where influence is bounded


@pytest.mark.parametrize("alpha", [0.02, 0.05, 0.3])
def test_moments_of_roberts_chart_are_the_weighted_ones_of_the_whole_past(alpha):
    """Roberts 1959; the variance as T. Finch, Incremental Calculation of Weighted Mean and Variance, 2009."""
    got = scores(Ewma(alpha=alpha, warmup=WARM), VALUES)
    for k in range(WARM, len(VALUES)):
        weight = alpha * (1 - alpha) ** np.arange(k - 1, -1, -1.0)
        weight[0] /= alpha  # the first value is all that is known
        mean = weight @ VALUES[:k]
        assert weight.sum() == pytest.approx(1.0)
        assert got[k] == pytest.approx(abs(VALUES[k] - mean) / np.sqrt(weight @ (VALUES[:k] - mean) ** 2), rel=1e-9)


def test_moments_of_the_z_score_are_those_of_the_values_so_far():
    got = scores(Zscore(window=1_000, warmup=WARM), VALUES)
    expected = [abs(VALUES[k] - VALUES[:k].mean()) / VALUES[:k].std() for k in range(WARM, len(VALUES))]
    np.testing.assert_allclose(got[WARM:], expected, rtol=1e-9)


@pytest.mark.parametrize("slack", [0.0, 0.25, 0.5])
def test_sums_are_those_of_page(slack):
    """Page 1954, with the moments of all values so far for the target."""
    shifted = VALUES + np.where(np.arange(len(VALUES)) >= 300, 6.0, 0.0)
    got = scores(Cusum(slack=slack, warmup=WARM), shifted)
    up = down = 0.0
    for k in range(WARM, len(shifted)):
        z = (shifted[k] - shifted[:k].mean()) / shifted[:k].std()
        up, down = max(0.0, up + z - slack), max(0.0, down - z - slack)
        assert got[k] == pytest.approx(max(up, down), rel=1e-9, abs=1e-9)
    assert up > 10 > down


@pytest.mark.parametrize("every", [1, 3])
def test_fences_are_those_of_tukey(every):
    """Tukey 1977, with quartiles as numpy has them of the values kept."""
    wild = np.where(np.arange(len(VALUES)) % 40 == 39, VALUES * 2, VALUES)
    got = scores(Iqr(every=every, warmup=WARM), wild)
    kept = []
    for k, value in enumerate(wild):
        if k >= (WARM if every == 1 else 64 * (every + 1)):  # thinned, the ring is in order after a round
            low, high = np.percentile(kept[-64:], [25, 75])
            assert got[k] == pytest.approx(max(low - value, value - high, 0.0) / (high - low), rel=1e-9)
        if k < 64 or k % every == 0:
            kept.append(value)
    assert np.nanmax(got) > 3


def test_a_limit_is_a_limit():
    values = np.array([0.0, 0.0, 90.0, 80.0, 100.0, 150.0, 40.0, np.nan])
    np.testing.assert_allclose(
        scores(Threshold(above=100.0, below=50.0), values)[1:], [2.0, 0.0, 0.0, 0.0, 1.5, 1.2, np.nan]
    )
