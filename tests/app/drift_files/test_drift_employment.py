"""Real data with real drift: employment in Massachusetts, 42 chunks of which the model's accuracy falls in three.

Nothing in the rules knows this set. It is judged twice: from predictions alone, and with the truth that came later.
"""

import os
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.datasets

FALLEN = [26, 27, 28]
NAME = "drift_employment_ma/employment_MA"


@pytest.fixture(scope="module")
def place():
    root = os.environ.get("TOCSIN_DATASETS")
    if not root or not Path(root, f"{NAME}_reference.parquet").exists():
        pytest.skip("TOCSIN_DATASETS names no directory with drift_employment_ma")
    return Path(root)


@pytest.fixture(scope="module")
def found(place):
    from typer.testing import CliRunner

    from drift_world import drifted

    files = [place / f"{NAME}_{part}.parquet" for part in ("reference", "analysis", "analysis_target")]
    blind = drifted(CliRunner(), files[0], files[1], "--chunk", "5000", "--target", "employed")
    told = drifted(CliRunner(), files[0], files[1], "--truth", files[2], "--id", "id", "--chunk", "5000")
    return blind, told


def test_the_three_chunks_are_found_from_predictions_alone(found):
    blind, _ = found
    assert len(blind["chunks"]) == 42
    assert all(chunk["realised"] is None for chunk in blind["chunks"])
    assert [chunk["index"] for chunk in blind["chunks"] if chunk["performance_alarm"]] == FALLEN
    assert [chunk["index"] for chunk in blind["chunks"] if chunk["alarm"]] == FALLEN


def test_truth_confirms_them_and_adds_none(found):
    _, told = found
    assert [chunk["index"] for chunk in told["chunks"] if chunk["performance_alarm"]] == FALLEN
    assert [chunk["realised"]["accuracy"] for chunk in told["chunks"]][26:29] == pytest.approx(
        [0.8088, 0.7662, 0.7824], abs=1e-4
    )


def test_the_estimated_accuracy_is_near_the_realised_one(found):
    blind, told = found
    real = np.array([chunk["realised"]["accuracy"] for chunk in told["chunks"]])
    estimated = np.array([chunk["estimated"]["accuracy"] for chunk in blind["chunks"]])
    assert np.abs(estimated - real).mean() < 0.0045
    assert told["estimate_error"]["accuracy"]["mean_absolute"] == pytest.approx(np.abs(estimated - real).mean())
    ends = np.array([chunk["estimated"]["interval"]["accuracy"] for chunk in blind["chunks"]])
    inside = (ends[:, 0] <= real) & (real <= ends[:, 1])
    assert inside.sum() >= 38, "95 % intervals hold the truth"
    late = [chunk["estimated"]["corrected"]["accuracy"] for chunk in told["chunks"][1:]]
    assert np.abs(late - real[1:]).mean() < np.abs(estimated - real)[1:].mean(), "truth of the past mends estimates"
