"""The committed pages are what their sources build to, byte for byte."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "src" / "tocsin" / "api" / "static"


def _files(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.system
def test_a_rebuild_gives_the_same_bytes(tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: the pages can't be built here")
    web = tmp_path / "web"
    shutil.copytree(ROOT / "web", web, ignore=shutil.ignore_patterns("node_modules"))
    for command in ([npm, "ci", "--silent"], [npm, "run", "--silent", "build"]):
        done = subprocess.run(command, cwd=web, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    rebuilt = _files(tmp_path / "src" / "tocsin" / "api" / "static")
    committed = _files(BUILT)
    assert sorted(rebuilt) == sorted(committed), "`make web` and commit what it builds"
    assert [name for name in rebuilt if rebuilt[name] != committed[name]] == []
