"""The readers are compiled beside the server, once for a cache."""

import subprocess
import threading

import pytest

from tocsin.app import warming


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """A cache directory of its own, and the calls that would have compiled."""
    calls = []
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(warming.wire, "compile_readers", lambda: calls.append("child"))
    monkeypatch.setattr(warming.wire, "compile_or_do_without", lambda: calls.append("server"))
    monkeypatch.setattr(warming.os, "nice", lambda _: 19)
    return calls


class Child:
    """Stands for the process; runs what it would run."""

    def __init__(self, *_arguments, **_named):
        self.ended = False
        warming.main()

    def poll(self):
        return 0

    def kill(self):
        self.ended = True

    def wait(self):
        return 0


def test_the_cache_is_filled_by_another_process_and_only_once(monkeypatch, compiled):
    monkeypatch.setattr(subprocess, "Popen", Child)
    for _ in range(2):
        warming.compile_aside(threading.Event()).join(10)
    assert compiled == ["child", "server", "server"]


def test_a_server_that_stops_takes_its_compiler_along(monkeypatch, compiled):
    class Slow(Child):
        def __init__(self, *arguments, **named):
            children.append(self)
            self.ended = False

        def poll(self):
            return None

    children: list[Slow] = []
    monkeypatch.setattr(subprocess, "Popen", Slow)
    stop = threading.Event()
    thread = warming.compile_aside(stop)
    stop.set()
    thread.join(10)
    assert children[0].ended
    assert compiled == []
