"""Snapshots on disk: whole or refused, the newest that is whole, none that is of another format."""

from pathlib import Path

import numpy as np
import pytest

from tocsin.engine.snapshot import KEEP, Snapshots, pack, unpack
from tocsin.journal.directory import Directory
from tocsin.model.errors import Corrupt

TREE = {
    "numbers": np.arange(100_000, dtype="f8").reshape(-1, 4),
    "strided": np.arange(10, dtype="i4")[::3],
    "none": np.zeros((0, 3), "u1"),
    ("a", "key"): [1, 2.5, None, True, "text \ud800", b"\0\xff", {"deep": np.float32(1.5)}],
}


def test_what_was_written_is_read_back():
    found = unpack(pack(TREE))
    assert list(found) == list(TREE)
    for name in ("numbers", "strided", "none"):
        np.testing.assert_array_equal(found[name], TREE[name])
        assert found[name].dtype == TREE[name].dtype
        assert found[name].shape == TREE[name].shape
        assert found[name].flags.writeable
    assert found["a", "key"] == TREE["a", "key"]


def test_the_same_tree_gives_the_same_bytes():
    assert pack(TREE) == pack(unpack(pack(TREE)))


@pytest.mark.parametrize("spoilt", ["cut", "flipped", "empty", "older"])
def test_what_is_not_whole_or_of_another_format_is_refused(spoilt):
    raw = bytearray(pack(TREE))
    if spoilt == "cut":
        del raw[-100:]
    elif spoilt == "flipped":
        raw[len(raw) // 2] ^= 1
    elif spoilt == "empty":
        raw.clear()
    else:
        raw[:8] = b"TOCSNAP1"
    with pytest.raises(Corrupt, match="older format" if spoilt == "older" else "checksum"):
        unpack(bytes(raw))


def test_a_broken_snapshot_gives_way_to_the_one_before(tmp_path: Path):
    snapshots = Snapshots(Directory(tmp_path))
    for offset in range(1, KEEP + 3):
        snapshots.save(offset, {"offset": offset})
    newest = tmp_path / f"{KEEP + 2:020d}.snap"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert snapshots.load(1000) == (KEEP + 1, {"offset": KEEP + 1})
    assert newest.with_suffix(".broken").exists()
    assert snapshots.oldest() == KEEP + 1
