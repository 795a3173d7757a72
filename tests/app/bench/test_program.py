"""Programs under measurement are waited for as long as they live and compute."""

import sys

import pytest

from tocsin.app.bench import program
from tocsin.app.bench.program import Program
from tocsin.model.errors import Unreachable


def test_a_program_that_ended_or_does_nothing_is_not_waited_for(tmp_path, monkeypatch):
    ending = [sys.executable, "-c", "raise SystemExit('no port')"]
    with Program(ending, tmp_path) as ended, pytest.raises(Unreachable, match="no port"):
        ended.wait(lambda: False, "a port")
    monkeypatch.setattr(program, "STILL_S", 0.0)
    with Program(["sleep", "600"], tmp_path) as still:
        with pytest.raises(Unreachable, match=r"a port: it has computed nothing for 0 s"):
            still.wait(lambda: False, "a port")
        still.wait(lambda: True, "a port")
