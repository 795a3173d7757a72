"""A wheel installs with pip alone and is whole: pages, packs, migrations, the program."""

import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_IN_A_WHEEL = {"__pycache__", ".nbi", ".nbc"}


def _run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, **options)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from the sources, with the build back end fetched as anybody's pip would."""
    place = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    builder = [uv, "build", "--quiet", "--wheel", "--out-dir"] if uv.exists() else [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir",
    ]  # fmt: skip
    _run(*builder, place, ROOT)
    (built,) = place.glob("*.whl")
    return built


@pytest.mark.system
def test_everything_that_is_not_python_is_in_it(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src" / "tocsin"
    wanted = {
        f"tocsin/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file() and not NOT_IN_A_WHEEL & {*path.parts, path.suffix}
    }
    assert wanted - inside == set()
    assert any(name.endswith(".js") for name in inside)
    assert not [name for name in inside if name.startswith(("tests", "web"))]


@pytest.mark.system
def test_pip_alone_installs_it_and_it_works_away_from_the_clone(wheel, tmp_path):
    _run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", wheel)
    # what it depends on is installed already: it's borrowed, behind the new environment's own packages
    (own,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (own / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    tocsin = tmp_path / "venv" / "bin" / "tocsin"
    away = {"cwd": tmp_path, "env": {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}}
    assert str(own) in _run(python, "-c", "import tocsin; print(tocsin.__file__)", **away)
    assert _run(tocsin, "--version", **away).startswith("tocsin ")
    (tmp_path / "tocsin.yaml").write_text("monitors: []\n")
    _run(tocsin, "check", "tocsin.yaml", **away)
    asked = "from tocsin.spec.packs import load_packs; print(*sorted(pack.name for pack in load_packs()))"
    assert {"genai", "vllm", "dcgm", "host"} <= set(_run(python, "-c", asked, **away).split())
