"""Coverage-guided fuzzing of every decoder, each for TOCSIN_FUZZ_SECONDS (300 unless set)."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FUZZERS = sorted(path.stem for path in HERE.glob("fuzz_*.py"))


def test_there_are_fuzzers():
    assert {"fuzz_otlp", "fuzz_remote_write", "fuzz_segment"} <= set(FUZZERS)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", FUZZERS)
def test_fuzzer_finds_nothing(name, tmp_path):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: uv sync --group fuzz")
    seconds = int(os.environ.get("TOCSIN_FUZZ_SECONDS", "300"))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            HERE / f"{name}.py",
            f"-max_total_time={seconds}",
            "-rss_limit_mb=4096",
            "-timeout=30",
            f"-artifact_prefix={tmp_path}/",
            corpus,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 600,
    )
    said = done.stderr[-4000:]
    assert done.returncode == 0, f"{[p.name for p in tmp_path.iterdir()]}\n{said}"
    runs = [int(line.split()[1]) for line in said.splitlines() if line.startswith("Done ")]
    assert runs, said
    assert runs[0] > 100, "a fuzzer that hardly ran has shown nothing"
