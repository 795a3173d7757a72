"""Programs under measurement are waited for as long as they live and compute."""

import sys

import psutil
import pytest

from tocsin.app.bench import program
from tocsin.app.bench.program import Program, wait_until
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


def test_what_ended_and_was_not_waited_for_is_still_measured(tmp_path):
    with Program([sys.executable, "-c", "sum(range(3_000_000))"], tmp_path) as ended:
        process = psutil.Process(ended.process.pid)
        wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 30, "its end")
        assert ended.cpu_s()["all"] > 0
        assert ended.memory_bytes() == {"other": 0.0}
