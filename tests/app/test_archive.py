"""Backup and restore: whole or not at all."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tocsin.app.archive import MANIFEST, archived, backup_directory, restore
from tocsin.app.datadir import lock_data_dir
from tocsin.model.errors import BadConfig, BadInput, Corrupt


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    (root / "input").mkdir(parents=True)
    (root / "input" / "0001.seg").write_bytes(b"x" * 3_000_001)
    (root / "state.db").write_bytes(b"")
    (root / "keys.json").write_text("{}")
    (root / "cache").mkdir()
    (root / "cache" / "kernel.nbi").write_text("compiled")
    (root / "tocsin.lock").write_text("1")
    return root


def test_what_goes_in_comes_out(data, tmp_path):
    body = b"".join(backup_directory(data))
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["input/0001.seg", "keys.json", "state.db", MANIFEST]
    target = tmp_path / "new" / "data"
    assert restore(io.BytesIO(body), target) == 3
    assert (target / "input" / "0001.seg").read_bytes() == (data / "input" / "0001.seg").read_bytes()
    assert (target / "keys.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [lambda b: b[: len(b) // 2], lambda b: b[:2000] + b"y" + b[2001:], lambda b: b"no tar at all" * 100, lambda b: b""],
)
def test_a_damaged_backup_leaves_nothing_behind(data, tmp_path, change):
    body = change(b"".join(backup_directory(data)))
    with pytest.raises(Corrupt):
        restore(io.BytesIO(body), tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_a_name_that_leads_out(tmp_path):
    evil = tmp_path / "f"
    evil.write_text("x")
    body = b"".join(archived([("../evil", evil)]))
    with pytest.raises(Corrupt, match="leads out of the directory"):
        restore(io.BytesIO(body), tmp_path / "new")
    assert not (tmp_path.parent / "evil").exists()


def tar_of(*members):
    """A tar file of (name, body) pairs."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return io.BytesIO(body.getvalue())


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("a/\0é" + "b" * 120, b"x")], "leads out of the directory"),
        ([(MANIFEST, b'{"format": 1, "sha256": [1]}')], "list of files can't be read"),
        ([(MANIFEST, b'{"format": 1, "sha256": 7}')], "list of files can't be read"),
        ([(MANIFEST, b'{"format": 1, "sha256": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")], "can't be read"),
    ],
)
def test_a_hostile_archive_is_refused_in_words(tmp_path, members, says):
    with pytest.raises(Corrupt, match=says):
        restore(tar_of(*members), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_into_the_directory_one_stands_in(data, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert restore(io.BytesIO(b"".join(backup_directory(data))), Path()) == 3
    assert (tmp_path / "here" / "keys.json").read_text() == "{}"


def test_never_over_what_is_there(data):
    body = b"".join(backup_directory(data))
    with pytest.raises(BadInput, match="is not empty"):
        restore(io.BytesIO(body), data)


def test_not_under_a_running_server(data):
    import os

    lock = lock_data_dir(data)
    try:
        with pytest.raises(BadConfig, match=f"another tocsin .pid {os.getpid()}. uses the data directory"):
            b"".join(backup_directory(data))
    finally:
        os.close(lock)


def test_a_file_that_grows_is_cut_where_it_was(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"abc")
    parts = archived([("log", path)])
    head = next(parts)
    path.write_bytes(b"abcdef")
    body = head + b"".join(parts)
    restore(io.BytesIO(body), tmp_path / "new")
    assert (tmp_path / "new" / "log").read_bytes() == b"abc"
