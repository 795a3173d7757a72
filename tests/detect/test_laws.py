"""Every registered detector keeps every law."""

import pytest

from onnx_files import mean_model
from tocsin.detect.registry import build, detectors
from tocsin.spec.monitor import DetectSpec
from tocsin.testing.laws import LAWS

NEEDS = {
    "threshold": {"above": 18.0},
    # the same arithmetic on less, for the time it takes
    "random_cut_forest": {"kept": 64},
    "lof": {"kept": 48},
    "onnx": {"model": mean_model(centre=13.0)},
    "pyod": {"model": "PCA", "every": 40},
}
CASES = [(name, NEEDS.get(name, {})) for name in detectors()]
CASES += [("baseline", {"season": season}) for season in ("clock", "none", "hour", "day", "week")]
CASES += [("iqr", {"every": 3}), ("record", {"warmup": 5})]


def case_id(value):
    if isinstance(value, str):
        return value
    return ",".join(k if isinstance(v, bytes) else f"{k}={v}" for k, v in value.items()) or "defaults"


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize(("name", "params"), CASES, ids=case_id)
def test_law_holds(name, params, law):
    law(lambda: build(name, params))


def test_every_detector_can_be_chosen_in_a_monitor():
    """And the ensemble of them, which keeps the laws in tests/engine."""
    assert {*detectors(), "ensemble"} == set(DetectSpec.model_fields)
