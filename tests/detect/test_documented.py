"""`docs/detectors.md` tells the truth about what can be measured again anywhere."""

import re
from pathlib import Path

import pytest

from onnx_files import mean_model
from tocsin.detect.registry import build
from tocsin.engine.series_ensemble import Ensemble
from tocsin.spec.monitor import DetectSpec

PAGE = Path(__file__).parents[2] / "docs" / "detectors.md"
ROWS = re.findall(r"^\| `(\w+)` \|[^|]+\|[^|]+\| ([\d,]+) \|", PAGE.read_text(), re.MULTILINE)


def test_every_detector_is_on_the_page_once():
    assert sorted(name for name, _ in ROWS) == sorted(DetectSpec.model_fields)


@pytest.mark.parametrize(("name", "said"), ROWS)
def test_bytes_of_a_series_are_as_said(name, said):
    needs = {"threshold": {"above": 1.0}, "pyod": {"model": "KNN"}, "onnx": {"model": mean_model(12)}}
    detector = Ensemble() if name == "ensemble" else build(name, needs.get(name, {}))
    assert detector.row_bytes() == int(said.replace(",", ""))
