"""Directories of one run: gone with it, swept after a kill, never while somebody lives in them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from tocsin.app.datadir import lock_data_dir
from tocsin.app.passing import MARK, SOCKET_PATH_BYTES, passing_dir, sweep
from tocsin.model.errors import BadConfig

DIES = """
import os, sys, tempfile
from tocsin.app.passing import passing_dir
with passing_dir("demo-") as (path, lock):
    print(path, flush=True)
    os._exit(0)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory for temporary files of our own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(place):
    """The directory of a process that was killed."""
    done = subprocess.run(
        [sys.executable, "-c", DIES],
        env=os.environ | {"TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (path,) = place.glob("tocsin-demo-*")
    assert done.stdout.strip() == str(path)
    return path


def test_it_is_private_and_gone_at_the_end(place):
    with passing_dir("") as (path, lock):
        assert path.parent == place
        assert path.stat().st_mode & 0o777 == 0o700
        assert os.get_inheritable(lock)
        assert not sweep()
        assert path.is_dir()
    assert not list(place.iterdir())


def test_what_a_killed_process_left_is_swept(place):
    path = left_behind(place)
    assert sweep() == [path]
    assert not list(place.iterdir())


def test_data_that_a_server_still_holds_is_left_alone(place):
    path = left_behind(place)
    lock = lock_data_dir(path)
    assert not sweep()
    os.close(lock)
    assert sweep() == [path]


def test_directories_of_others_are_left_alone(place):
    (place / "tocsin-mine").mkdir()
    (place / "tocsin-mine" / "tocsin.lock").touch()
    (place / "tocsin-file").touch()
    marked = place / "elsewhere"
    marked.mkdir()
    (marked / MARK).touch()
    (place / "tocsin-link").symlink_to(marked)
    assert not sweep()
    assert len(list(place.iterdir())) == 4


def test_sockets_find_a_place_where_the_usual_one_has_a_long_name(place, monkeypatch):
    deep = place / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with passing_dir("") as (path, _):
        assert len(os.fsencode(path / "cold.sock")) <= SOCKET_PATH_BYTES
    assert not path.exists()


def test_no_place_at_all_is_said_with_the_remedy(place, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(place / "gone"))
    with pytest.raises(BadConfig, match=r"no such file or directory.*TMPDIR"), passing_dir(""):
        pass
    assert not sweep()
