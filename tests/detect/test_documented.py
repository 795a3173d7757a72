"""`docs/detectors.md` tells the truth about what can be measured again anywhere."""

import re
import sys
from pathlib import Path

import pytest

from onnx_files import mean_model
from tocsin.detect.multi_model import ModelMember
from tocsin.detect.registry import build, detector, detectors
from tocsin.engine.entity_scorer import MEMBERS
from tocsin.engine.series_ensemble import Ensemble
from tocsin.spec.monitor import DetectSpec

PAGE = Path(__file__).parents[2] / "docs" / "detectors.md"
ROWS = re.findall(r"^\| `(\w+)` \|[^|]+\|[^|]+\| ([\d,]+) \|", PAGE.read_text(), re.MULTILINE)


def test_every_detector_is_on_the_page_once():
    assert sorted(name for name, _ in ROWS) == sorted(DetectSpec.model_fields)


@pytest.mark.parametrize(
    "cls",
    [*(detector(name) for name in sorted(detectors())), *MEMBERS, ModelMember, Ensemble],
    ids=lambda cls: cls.__name__,
)
def test_every_detector_says_where_it_comes_from_and_shows_itself_at_work(cls):
    assert ">>> " in cls.__doc__ or ">>> " in cls.__mro__[1].__doc__
    assert re.search(r"\bReferences?\b", cls.__doc__, re.IGNORECASE)
    assert sys.modules[cls.__module__].__doc__


@pytest.mark.parametrize(("name", "said"), ROWS)
def test_bytes_of_a_series_are_as_said(name, said):
    needs = {"threshold": {"above": 1.0}, "pyod": {"model": "KNN"}, "onnx": {"model": mean_model(12)}}
    detector = Ensemble() if name == "ensemble" else build(name, needs.get(name, {}))
    assert detector.row_bytes() == int(said.replace(",", ""))
