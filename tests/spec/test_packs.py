"""Packs: those that ship are good; the user's own replace them; faults have places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.spec.check import check_file
from tocsin.spec.packs import load_packs
from tocsin.spec.problem import BadSpec


def test_the_shipped_packs_are_good_and_are_not_mixed_with_other_yaml():
    packs = load_packs()
    names = [pack.name for pack in packs]
    assert names == sorted(set(names))
    assert names
    assert "content" not in names


def test_a_pack_of_the_user(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("name: mine\nversion: 1\nmonitors: [{name: a, signal: b}]\n")
    (tmp_path / "other.yaml").write_text("something: else\n")
    shipped = load_packs()
    both = load_packs([tmp_path])
    assert {pack.name for pack in both} == {"mine"} | {pack.name for pack in shipped}
    (tmp_path / "mine.yaml").write_text(f"name: {shipped[0].name}\nversion: 99\n")
    assert {pack.name: pack.version for pack in load_packs([tmp_path])}[shipped[0].name] == 99


def test_faults_in_several_packs_are_told_together(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("name: a\nversion: 1\nmonitrs: []\n")
    (tmp_path / "b.yaml").write_text("name: b\nversion: x\n")
    with pytest.raises(BadSpec) as caught:
        load_packs([tmp_path])
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/a.yaml:3:1: unknown key `monitrs`; did you mean `monitors`?",
        f"{tmp_path}/b.yaml:2:10: a whole number is needed here, found `x`",
    ]


def test_two_files_with_one_name(tmp_path: Path):
    for file in ("a", "b"):
        (tmp_path / f"{file}.yaml").write_text("name: same\nversion: 1\n")
    with pytest.raises(BadSpec, match=r"b.yaml:1:1: the pack `same` is already in .*a.yaml"):
        load_packs([tmp_path])


def test_check_takes_packs_and_configurations(tmp_path: Path):
    pack, config = tmp_path / "pack.yaml", tmp_path / "tocsin.yaml"
    pack.write_text("name: mine\nversion: 1\nmonitors: [{name: A, signal: b}]\n")
    config.write_text("dry_run: true\n")
    assert check_file(config, {}) == ()
    (problem,) = check_file(pack, {})
    assert (problem.line, problem.column) == (3, 19)
