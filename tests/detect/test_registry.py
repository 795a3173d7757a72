"""Detectors by name."""

import subprocess
import sys

import pytest

from tocsin.detect.registry import build
from tocsin.model.errors import BadConfig


def test_the_nearest_name_is_told():
    with pytest.raises(BadConfig, match="did you mean 'baseline'"):
        build("basline", {})


def test_the_nearest_parameter_is_told():
    with pytest.raises(BadConfig, match="'seasn': did you mean 'season'"):
        build("baseline", {"seasn": "auto"})


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ewma", {"alpha": 2.0}),
        ("baseline", {"season": "year"}),
        ("baseline", {"warmup": 0}),
        ("threshold", {}),
        ("iqr", {"every": 0}),
        ("ewma", {"alpha": "much"}),
    ],
)
def test_a_value_out_of_range_is_refused(name, params):
    with pytest.raises(BadConfig):
        build(name, params)


def test_naming_one_detector_imports_no_other():
    code = (
        "import sys; from tocsin.detect.registry import build; build('ewma', {}); "
        "print(*sorted(name for name in sys.modules if name.startswith('tocsin.detect.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [f"tocsin.detect.{name}" for name in ("array", "ewma", "mean_sd", "registry")]
